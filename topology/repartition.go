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
		r = r.byTopic()
	}
	return r
}

// byTopic is r with its nodes named after the topic.
func (r Repartition) byTopic() Repartition {
	return Repartition{Topic: r.Topic, Sink: r.Topic + "-sink", Filter: r.Topic + "-filter", Source: r.Topic + "-source"}
}

// Repartition returns the names for the repartition step being written: its own, or those of a topic in place of several.
func (c *Compiler) Repartition(own Repartition) Repartition {
	if c.links[c.op].merged {
		return own.byTopic()
	}
	return own
}
