package topology

import (
	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/node"
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
	Parents  []*Node
	Children []*Node // in the order in which they were attached
	Stores   []string
	Topics   []string // of a source; of a sink exactly one, none if it is chosen per record
	OnError  *dlq.Policy
	Site     string // file:line of the call that made it

	// Wire makes the typed node for one task: it takes the nodes after it from in (they are wired first) and hands itself to its
	// parents by [Instance.Attach], or to the task as a source by [Instance.AddSource].
	Wire func(in *Instance, self *Node) error
}

// Instance is a sub-topology made ready for one task.
type Instance struct {
	Task    *node.Task
	Sources map[string]node.Source // by topic
	Stores  map[string]any         // state.Store
	Infos   []*node.Info           // by Node.ID; nil for nodes of other sub-topologies

	after map[int][]any // Node.ID → Proc of each child, in order
}

// Attach puts proc, a node.Proc of the parent's output types, behind parent. Wiring goes from the last node to the first, so
// what is attached later stands earlier.
func (in *Instance) Attach(parent *Node, proc any) {
	in.after[parent.ID] = append([]any{proc}, in.after[parent.ID]...)
}

// After returns what is attached behind n as one Proc.
func After[K, V any](in *Instance, n *Node) node.Proc[K, V] {
	return node.Join[K, V](in.after[n.ID])
}
