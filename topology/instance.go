package topology

import (
	"errors"
	"fmt"
	"slices"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/state"
)

// Instance is a sub-topology made ready for one task. It belongs to the goroutine that runs the task.
type Instance struct {
	Topology *Topology
	Sub      *Sub
	Task     *node.Task
	Sources  map[string]node.Source // by real topic name; those of patterns appear when Source is asked for them
	Infos    []*node.Info           // by Node.ID; nil for nodes of other sub-topologies
	Drains   []node.Drain           // emission buffers in topological order

	stores   map[string]state.Store
	after    map[int][]attached // by Node.ID, in order
	byNode   map[int]node.Source
	inits    []func() error
	closes   []func() error
	sinkDest map[int]node.Dest
}

type attached struct {
	to   *Node
	proc any // a node.Proc of the parent's output types
}

// Instantiate wires the nodes of a sub-topology for one task. stores has every store of the sub-topology, by name.
func (t *Topology) Instantiate(sub int, task *node.Task, stores map[string]state.Store) (*Instance, error) {
	if t.App == "" {
		return nil, errors.New("topology: built without an application id, so it can only be described")
	}
	if sub < 0 || sub >= len(t.Subs) {
		return nil, fmt.Errorf("task %s: there are %d sub-topologies", task.ID, len(t.Subs))
	}
	in := &Instance{Topology: t, Sub: t.Subs[sub], Task: task, Sources: map[string]node.Source{}, stores: stores,
		Infos: make([]*node.Info, len(t.Nodes)), after: map[int][]attached{}, byNode: map[int]node.Source{},
		sinkDest: map[int]node.Dest{}}
	for _, s := range in.Sub.Stores {
		if stores[s.Name] == nil {
			return nil, fmt.Errorf("task %s: store %q is missing", task.ID, s.Name)
		}
	}
	nodes := in.Sub.Nodes
	for _, n := range nodes {
		in.Infos[n.ID] = &node.Info{ID: n.ID, Name: n.Name, Policy: n.OnError, Stats: new(node.Stats)}
	}
	for i := len(nodes) - 1; i >= 0; i-- {
		if err := nodes[i].Wire(in, nodes[i]); err != nil {
			return nil, fmt.Errorf("task %s: %s: %w", task.ID, nodes[i].Name, err)
		}
	}
	slices.Reverse(in.Drains)
	return in, nil
}

// AddDrain hands an emission buffer to the task.
func (in *Instance) AddDrain(d node.Drain) { in.Drains = append(in.Drains, d) }

// Attach puts proc, a node.Proc of the parent's output types, behind parent. Wiring goes from the last node to the first, so
// what is attached later stands earlier.
func (in *Instance) Attach(parent, self *Node, proc any) {
	in.after[parent.ID] = append([]attached{{self, proc}}, in.after[parent.ID]...)
}

// After returns what is attached behind n as one Proc.
func After[K, V any](in *Instance, n *Node) node.Proc[K, V] {
	procs := make([]any, len(in.after[n.ID]))
	for i, a := range in.after[n.ID] {
		procs[i] = a.proc
	}
	return node.Join[K, V](procs)
}

// Children returns what is attached behind n, by the names of the nodes.
func Children[K, V any](in *Instance, n *Node) map[string]node.Proc[K, V] {
	procs := map[string]node.Proc[K, V]{}
	for _, a := range in.after[n.ID] {
		procs[a.to.Name] = a.proc.(node.Proc[K, V])
	}
	return procs
}

// Node returns a node of the sub-topology by its name, nil if it has none of that name.
func (in *Instance) Node(name string) *Node {
	i := slices.IndexFunc(in.Sub.Nodes, func(n *Node) bool { return n.Name == name })
	if i < 0 {
		return nil
	}
	return in.Sub.Nodes[i]
}

// Info returns what is known of a node in this task.
func (in *Instance) Info(n *Node) *node.Info { return in.Infos[n.ID] }

// Buffered tells whether the updates of a store wait for the next drain.
func (in *Instance) Buffered(store string) bool {
	i := slices.IndexFunc(in.Sub.Stores, func(s *Store) bool { return s.Name == store })
	return i >= 0 && in.Sub.Stores[i].Spec.Buffered && !in.Topology.Unbuffered
}

// Store returns a store of the sub-topology, nil if it has none of that name.
func (in *Instance) Store(name string) state.Store { return in.stores[name] }

// AddSource hands a source to the task.
func (in *Instance) AddSource(n *Node, s node.Source) {
	in.byNode[n.ID] = s
	for _, topic := range n.Topics {
		in.Sources[in.Topology.TopicName(topic)] = s
	}
}

// Source returns the source of a topic, given by its real name, or nil.
func (in *Instance) Source(topic string) node.Source {
	if s := in.Sources[topic]; s != nil {
		return s
	}
	for _, n := range in.Sub.Nodes {
		if matches(n, topic) {
			in.Sources[topic] = in.byNode[n.ID]
			return in.byNode[n.ID]
		}
	}
	return nil
}

// Dest resolves the topic of a sink.
func (in *Instance) Dest(n *Node) (node.Dest, error) {
	d, err := in.Task.Out.Dest(in.Topology.TopicName(n.Topics[0]))
	in.sinkDest[n.ID] = d
	return d, err
}

// PassThrough tells whether the records of a topic go straight into one topic, their bytes unchanged and partitioned by key,
// so that whole batches can be handed over.
func (in *Instance) PassThrough(topic string) (p PassThrough, ok bool) {
	n := in.Topology.Source(topic)
	if n == nil || n.Sub != in.Sub.ID || !n.Plain || len(n.Children) != 1 {
		return p, false
	}
	sink := n.Children[0]
	if sink.Kind != KindSink || !sink.Plain || len(sink.Topics) != 1 {
		return p, false
	}
	return PassThrough{Dest: in.sinkDest[sink.ID], Topic: in.Topology.TopicName(sink.Topics[0]),
		Source: in.Infos[n.ID], Sink: in.Infos[sink.ID]}, true
}

// PassThrough is a way from a topic to a topic on which nothing happens.
type PassThrough struct {
	Dest         node.Dest
	Topic        string
	Source, Sink *node.Info
}

// Path names the nodes from a source to a node, both included.
func (in *Instance) Path(name string) []string {
	var path []string
	for n := in.Node(name); n != nil; {
		path = append(path, n.Name)
		if len(n.Parents) == 0 {
			break
		}
		n = n.Parents[0]
	}
	slices.Reverse(path)
	return path
}

// OnInit notes what a node does before its task's first record, and again whenever the task starts anew.
func (in *Instance) OnInit(f func() error) { in.inits = append(in.inits, f) }

// OnClose notes what a node does when its task ends.
func (in *Instance) OnClose(f func() error) { in.closes = append(in.closes, f) }

// Init prepares the user's processors, those nearer to the sources first. The stores must be restored.
func (in *Instance) Init() error {
	for i := len(in.inits) - 1; i >= 0; i-- {
		if err := in.inits[i](); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the user's processors, all of them, whatever one says.
func (in *Instance) Close() error {
	var errs []error
	for i := len(in.closes) - 1; i >= 0; i-- {
		errs = append(errs, in.closes[i]())
	}
	return errors.Join(errs...)
}
