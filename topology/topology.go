package topology

import (
	"regexp"
	"slices"
	"strings"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/state"
)

// Topology is a compiled program. It may be used by any goroutine.
type Topology struct {
	App    string
	Subs   []*Sub
	Nodes  []*Node // by ID; parents stand before children
	Stores []*Store
	// Globals are the stores that every instance fills for all its tasks, by the numbers of their sub-topologies.
	Globals []*Global
	// Internals are the repartition topics, sorted by name.
	Internals []*Internal
	// Copartitions are the groups of topics that must have equal partition counts, by their real names.
	Copartitions []Copartition
	// Unbuffered switches all emission buffers off. It is set before the first task is instantiated.
	Unbuffered bool

	internal map[string]*Internal // by name as described
}

// Sub is a sub-topology: nodes that are connected, or share a store. A task is a sub-topology and a partition.
type Sub struct {
	ID       int
	Nodes    []*Node  // parents before children
	Topics   []string // real names of what its sources read, sorted
	Patterns []*regexp.Regexp
	Sinks    []string // real names of the topics its sinks write to, sorted; without those chosen per record
	Stores   []*Store
	Global   *Global // what it is if it makes no tasks; else nil
}

// Internal is a repartition topic.
type Internal struct {
	Topic      string // real name
	Partitions int    // 0: adopts the count of the topics around it
	Fixed      bool   // the program has set the count
	From, To   int    // the sub-topologies that write and read it

	site string
}

// Store is a store of a sub-topology.
type Store struct {
	Name string
	Sub  int
	Spec state.Spec
	// Changelog is the real name of the topic that the store is restored from, empty if it is not logged.
	Changelog string
	// Source says that Changelog is a topic that the sub-topology reads, and that nothing is written to it for the store: the
	// store holds what has been read, up to the input's position.
	Source bool
	// Reads is the topic that the store's table is read from, if it may stand for a changelog (ReuseSourceTopics).
	Reads string
	// ReadOnly: Reads stands for a changelog whatever is optimized, and what reads the store is co-partitioned with it.
	ReadOnly bool
	// Identity tells whether two stores of one name are the same: what made them.
	Identity any
	Site     string

	nodes []*Node
}

// TopicName returns the real name of a topic that is named as in a description.
func (t *Topology) TopicName(name string) string {
	if in := t.internal[name]; in != nil {
		return in.Topic
	}
	return name
}

// Source returns the source node that reads a topic, given by its real name, or nil.
func (t *Topology) Source(topic string) *Node {
	var byPattern *Node
	for _, n := range t.Nodes {
		if n.Kind != KindSource {
			continue
		}
		for _, name := range n.Topics {
			if t.TopicName(name) == topic {
				return n
			}
		}
		if matches(n, topic) {
			byPattern = n
		}
	}
	return byPattern
}

// Offset returns the reset policy of a topic, given by its real name. Internal topics are read from their beginning.
func (t *Topology) Offset(topic string) OffsetReset {
	for _, in := range t.Internals {
		if in.Topic == topic {
			return OffsetEarliest
		}
	}
	if n := t.Source(topic); n != nil {
		return n.Offset
	}
	return OffsetDefault
}

// Policy returns the OnError policy of a node, nil if the application's holds.
func (t *Topology) Policy(node string) *dlq.Policy {
	i := slices.IndexFunc(t.Nodes, func(n *Node) bool { return n.Name == node })
	if i < 0 {
		return nil
	}
	return t.Nodes[i].OnError
}

// matches tells whether the pattern of a source, if it has one, matches a whole topic name.
func matches(n *Node, topic string) bool { return n.whole != nil && n.whole.MatchString(topic) }

// Matching returns the sources whose patterns match a topic. More than one is a fault: a topic is read by one source.
func (t *Topology) Matching(topic string) (nodes []*Node) {
	for _, n := range t.Nodes {
		if matches(n, topic) {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// topology groups the nodes into sub-topologies, numbered in the order of their first nodes.
func (c *Compiler) topology() *Topology {
	t := &Topology{App: c.app, Nodes: c.nodes, Stores: c.stores, internal: c.internal}
	groups := newUnion(len(c.nodes))
	for _, n := range c.nodes {
		for _, p := range n.Parents {
			groups.unite(p.ID, n.ID)
		}
	}
	for _, s := range c.stores {
		for _, n := range s.nodes[1:] {
			groups.unite(s.nodes[0].ID, n.ID)
		}
	}
	byRoot := map[int]*Sub{}
	for _, n := range c.nodes {
		root := groups.root(n.ID)
		sub := byRoot[root]
		if sub == nil {
			sub = &Sub{ID: len(t.Subs)}
			byRoot[root] = sub
			t.Subs = append(t.Subs, sub)
		}
		n.Sub = sub.ID
		sub.Nodes = append(sub.Nodes, n)
		c.topics(sub, n)
	}
	for _, sub := range t.Subs {
		slices.Sort(sub.Topics)
		slices.Sort(sub.Sinks)
		sub.Sinks = slices.Compact(sub.Sinks)
	}
	for _, s := range c.stores {
		s.Sub = s.nodes[0].Sub
		switch {
		case !s.Spec.Logged:
		case s.Reads != "" && (s.ReadOnly || c.Optimizes(ReuseSourceTopics)):
			s.Changelog, s.Source = s.Reads, true
		default:
			s.Changelog = c.decorate(s.Name + changelogSuffix)
		}
		t.Subs[s.Sub].Stores = append(t.Subs[s.Sub].Stores, s)
	}
	for _, sub := range t.Subs {
		if sub.Global != nil {
			sub.Global.Store = sub.Stores[0]
			t.Globals = append(t.Globals, sub.Global)
		}
	}
	for _, in := range c.internal {
		t.Internals = append(t.Internals, in)
	}
	slices.SortFunc(t.Internals, func(a, b *Internal) int { return strings.Compare(a.Topic, b.Topic) })
	c.copartitions(t)
	return t
}

func (c *Compiler) topics(sub *Sub, n *Node) {
	for _, name := range n.Topics {
		in := c.internal[name]
		if in != nil {
			name = in.Topic
		}
		if n.global {
			sub.Global = &Global{Topic: name, Sub: sub}
			continue
		}
		if n.Kind == KindSource {
			sub.Topics = append(sub.Topics, name)
			if in != nil {
				in.To = sub.ID
			}
			continue
		}
		sub.Sinks = append(sub.Sinks, name)
		if in != nil {
			in.From = sub.ID
		}
	}
	if n.Pattern != nil {
		sub.Patterns = append(sub.Patterns, n.Pattern)
	}
}

// union joins numbers into groups.
type union struct{ parent []int }

func newUnion(n int) *union {
	u := &union{make([]int, n)}
	for i := range u.parent {
		u.parent[i] = i
	}
	return u
}

func (u *union) root(i int) int {
	for u.parent[i] != i {
		u.parent[i] = u.parent[u.parent[i]]
		i = u.parent[i]
	}
	return i
}

func (u *union) unite(a, b int) { u.parent[u.root(b)] = u.root(a) }
