package topology

import "encoding/json"

// What JSON shows. Topics have their real names.
type (
	jsonTopology struct {
		App          string      `json:"app,omitempty"`
		Subs         []jsonSub   `json:"subTopologies"`
		Repartitions []jsonTopic `json:"repartitionTopics,omitempty"`
		Copartitions [][]string  `json:"copartitioned,omitempty"`
	}
	jsonSub struct {
		ID     int         `json:"id"`
		Global bool        `json:"global,omitempty"`
		Nodes  []jsonNode  `json:"nodes"`
		Stores []jsonStore `json:"stores,omitempty"`
	}
	jsonNode struct {
		Name       string   `json:"name"`
		Kind       string   `json:"kind"` // source, processor, sink
		Topics     []string `json:"topics,omitempty"`
		Pattern    string   `json:"pattern,omitempty"`
		PerRecord  bool     `json:"topicPerRecord,omitempty"`
		Stores     []string `json:"stores,omitempty"`
		Successors []string `json:"successors,omitempty"`
		Site       string   `json:"site,omitempty"` // file:line of the call that made it
	}
	jsonStore struct {
		Name      string `json:"name"`
		Changelog string `json:"changelog,omitempty"`
		Source    bool   `json:"changelogIsSource,omitempty"`
		InMemory  bool   `json:"inMemory,omitempty"`
	}
	jsonTopic struct {
		Name       string `json:"name"`
		Partitions int    `json:"partitions,omitempty"` // 0: as the topics around it
		From       int    `json:"writtenBy"`
		To         int    `json:"readBy"`
	}
)

var kindNames = map[Kind]string{KindSource: "source", KindProcessor: "processor", KindSink: "sink"}

// JSON returns the topology as an indented JSON object, for programs: sub-topologies with their nodes and stores, repartition
// topics, and the groups of topics that must have equal partition counts.
func (t *Topology) JSON() string {
	out := jsonTopology{App: t.App, Subs: []jsonSub{}}
	for _, sub := range t.Subs {
		s := jsonSub{ID: sub.ID, Global: sub.Global != nil, Nodes: []jsonNode{}}
		for _, n := range sub.Nodes {
			j := jsonNode{Name: n.Name, Kind: kindNames[n.Kind], Stores: n.Stores, Site: lastElement(n.Site)}
			for _, name := range n.Topics {
				j.Topics = append(j.Topics, t.TopicName(name))
			}
			if n.Pattern != nil {
				j.Pattern = n.Pattern.String()
			}
			j.PerRecord = n.Kind == KindSink && len(n.Topics) == 0
			for _, child := range n.Children {
				j.Successors = append(j.Successors, child.Name)
			}
			s.Nodes = append(s.Nodes, j)
		}
		for _, st := range sub.Stores {
			s.Stores = append(s.Stores, jsonStore{Name: st.Name, Changelog: st.Changelog, Source: st.Source, InMemory: st.Spec.InMemory})
		}
		out.Subs = append(out.Subs, s)
	}
	for _, in := range t.Internals {
		out.Repartitions = append(out.Repartitions, jsonTopic{in.Topic, in.Partitions, in.From, in.To})
	}
	for _, g := range t.Copartitions {
		out.Copartitions = append(out.Copartitions, g.Topics)
	}
	b, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return err.Error() // strings and numbers alone: cannot be
	}
	return string(b) + "\n"
}
