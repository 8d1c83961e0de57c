package topology

import (
	"regexp"

	"github.com/oxbow-streams/oxbow/dlq"
)

// Kind is what a node is in a description: where records come from, what works on them, where they go.
type Kind uint8

// The kinds of node.
const (
	KindSource Kind = iota
	KindProcessor
	KindSink
)

// Node is a node of the graph. Its behaviour is in Wire, a function with the types closed over.
type Node struct {
	ID       int
	Name     string
	Kind     Kind
	Sub      int // number of its sub-topology
	Parents  []*Node
	Children []*Node // in the order in which they were written (G4)
	Stores   []string

	// Topics of a source; of a sink exactly one, none if it is chosen per record. They are named as in a description: internal
	// ones without the application's id, see [Topology.TopicName].
	Topics  []string
	Pattern *regexp.Regexp // of a source that reads every topic that matches
	whole   *regexp.Regexp // Pattern, for whole names
	Offset  OffsetReset    // of a source
	table   bool           // a source that is a table's
	global  bool           // a source that is a global table's
	// Plain says of a source or sink that bytes pass it unchanged: its serdes add nothing, timestamps are the records' own, and
	// partitions are chosen by the key's hash.
	Plain bool

	OnError *dlq.Policy
	Site    string // file:line of the call that made it

	// Wire makes the typed node for one task: it takes the nodes after it from in (they are wired first) and hands itself to its
	// parents by [Instance.Attach], or to the task as a source by [Instance.AddSource].
	Wire func(in *Instance, self *Node) error
}

// NewSource makes a source node.
func NewSource(name string, s *SourceSpec, wire func(in *Instance, self *Node) error) *Node {
	n := &Node{Name: name, Kind: KindSource, Topics: s.Topics, Pattern: s.Pattern, Offset: s.Offset, table: s.Table,
		global: s.Global, Wire: wire}
	if s.Pattern != nil {
		n.whole = regexp.MustCompile(`\A(?:` + s.Pattern.String() + `)\z`)
	}
	return n
}

// NewProcessor makes a node that works on records.
func NewProcessor(name string, wire func(in *Instance, self *Node) error) *Node {
	return &Node{Name: name, Kind: KindProcessor, Wire: wire}
}

// NewSink makes a node that writes to a topic, or, without one, to topics chosen per record.
func NewSink(name, topic string, wire func(in *Instance, self *Node) error) *Node {
	n := &Node{Name: name, Kind: KindSink, Wire: wire}
	if topic != "" {
		n.Topics = []string{topic}
	}
	return n
}
