package topology

import "strings"

// Repartition is the names around a repartition topic.
type Repartition struct {
	Topic                string // as in a description
	Filter, Sink, Source string
}

// RepartitionNames takes the numbers of a repartition step and names its nodes: by them if the topic's own name is one that a
// step got by number, else after the topic.
func RepartitionNames(g *Graph, topic string) Repartition {
	r := Repartition{Topic: topic}
	if !strings.HasSuffix(topic, repartitionSuffix) {
		r.Topic += repartitionSuffix
	}
	r.Sink, r.Filter, r.Source = g.Name("KSTREAM-SINK-"), g.Name("KSTREAM-FILTER-"), g.Name("KSTREAM-SOURCE-")
	if !generated(topic) {
		r.Sink, r.Filter, r.Source = r.Topic+"-sink", r.Topic+"-filter", r.Topic+"-source"
	}
	return r
}
