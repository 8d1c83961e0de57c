package topology

import (
	"container/heap"
	"fmt"
	"slices"
)

// Compiler turns the steps of a graph into nodes. Steps call it from [Op.Write].
type Compiler struct {
	graph    *Graph
	app      string
	op       *Op // being written
	merged   map[*Op]*Op
	out      map[*Op]*Node
	nodes    []*Node
	byName   map[string]*Node
	stores   []*Store
	internal map[string]*Internal
	faults   Faults
	relaxed  map[*Op]bool

	ops       []*Op // as optimized
	links     map[*Op]*links
	moved     map[edge]*Op // what a step follows in place of what it followed in the program
	dissolved map[*Op]*Op  // repartitions that became one with others
}

// Build compiles the graph. app is the application's id, the beginning of all internal topic names; without one the result
// can only be described. All faults are returned at once, as [Faults].
func (g *Graph) Build(app string) (*Topology, error) {
	c := &Compiler{graph: g, app: app, out: map[*Op]*Node{}, byName: map[string]*Node{}, internal: map[string]*Internal{},
		faults: slices.Clone(g.faults), relaxed: map[*Op]bool{}, moved: map[edge]*Op{}, dissolved: map[*Op]*Op{}}
	if app != "" {
		if err := CheckName(app); err != nil {
			c.fault("", "application id: %v", err)
		}
	}
	if len(g.ops) == 0 && len(c.faults) == 0 {
		c.fault("", "the program has no source: begin with From or TableFrom")
	}
	c.link()
	c.mergeSources()
	if c.Optimizes(MergeRepartitions) {
		c.mergeRepartitions()
	}
	c.findRelaxed()
	c.write()
	c.checkSources()
	t := c.topology()
	t.checkFixedCounts(c)
	if len(c.faults) > 0 {
		return nil, c.faults
	}
	return t, nil
}

// Fault notes a mistake of the step being written.
func (c *Compiler) Fault(format string, args ...any) { c.fault(c.op.Site, format, args...) }

func (c *Compiler) fault(site, format string, args ...any) {
	f := Fault{site, fmt.Sprintf(format, args...)}
	if !slices.Contains(c.faults, f) {
		c.faults = append(c.faults, f)
	}
}

// Out returns the node that the step being written attaches to, where it follows op.
func (c *Compiler) Out(op *Op) *Node {
	for to := c.moved[edge{c.op, op}]; to != nil; to = c.moved[edge{c.op, op}] {
		op = to
	}
	return c.out[c.main(op)]
}

// main is the step that stands for op.
func (c *Compiler) main(op *Op) *Op {
	if main := c.merged[op]; main != nil {
		return main
	}
	if one := c.dissolved[op]; one != nil {
		return one
	}
	return op
}

// Outs returns the nodes that steps after these attach to. Sources that are one with an earlier source come last, as Kafka
// Streams moves what follows them when it merges them.
func (c *Compiler) Outs(ops ...*Op) []*Node {
	ops = slices.Clone(ops)
	rank := func(op *Op) int {
		if c.merged[op] == nil {
			return -1
		}
		return op.priority
	}
	slices.SortStableFunc(ops, func(a, b *Op) int { return rank(a) - rank(b) })
	nodes := make([]*Node, len(ops))
	for i, op := range ops {
		nodes[i] = c.Out(op)
	}
	return nodes
}

// Relaxed tells whether the step being written carries records with a null key to a step that takes them.
func (c *Compiler) Relaxed() bool { return c.relaxed[c.op] }

// Add puts a node behind its parents, and connects it with stores, made known by [Compiler.Store] or here.
func (c *Compiler) Add(n *Node, parents ...*Node) *Node {
	n.ID, n.Site = len(c.nodes), c.op.Site
	if other := c.byName[n.Name]; other != nil {
		c.Fault("node %q exists already, made at %s: give one of them another name with Named", n.Name, other.Site)
	} else {
		c.byName[n.Name] = n
	}
	if err := CheckName(n.Name); err != nil {
		c.Fault("node: %v", err)
	}
	for _, t := range n.Topics {
		if err := CheckName(t); err != nil {
			c.Fault("topic: %v", err)
		}
	}
	for _, p := range parents {
		if p != nil && !slices.Contains(n.Parents, p) {
			n.Parents = append(n.Parents, p)
			p.Children = append(p.Children, n)
		}
	}
	c.nodes = append(c.nodes, n)
	return n
}

// Store connects a node with a store. The first node that names a store makes it.
func (c *Compiler) Store(n *Node, s *Store) {
	if err := CheckName(s.Name); err != nil {
		c.Fault("store: %v", err)
	}
	i := slices.IndexFunc(c.stores, func(o *Store) bool { return o.Name == s.Name })
	switch {
	case i < 0:
		made := *s
		made.Site = c.op.Site
		c.stores = append(c.stores, &made)
		i = len(c.stores) - 1
	case c.stores[i].Identity != s.Identity:
		c.Fault("store %q exists already, made at %s: give one of them another name with As", s.Name, c.stores[i].Site)
		return
	}
	c.connect(n, c.stores[i])
}

// Connect lets a node use a store that another node made.
func (c *Compiler) Connect(n *Node, store string) {
	i := slices.IndexFunc(c.stores, func(o *Store) bool { return o.Name == store })
	if i < 0 {
		c.Fault("store %q does not exist", store)
		return
	}
	c.connect(n, c.stores[i])
}

func (c *Compiler) connect(n *Node, s *Store) {
	if !slices.Contains(n.Stores, s.Name) {
		n.Stores = append(n.Stores, s.Name)
		s.nodes = append(s.nodes, n)
	}
}

// Internal makes a topic of the application's own, named as in a description. partitions nil leaves the count to the topics
// around it. It answers false if there is one of that name.
func (c *Compiler) Internal(name string, partitions *int) bool {
	if other := c.internal[name]; other != nil {
		c.Fault("repartition topic %q exists already, made at %s: give one of them another name", name, other.site)
		return false
	}
	in := &Internal{Topic: c.decorate(name), site: c.op.Site}
	if partitions != nil {
		in.Partitions, in.Fixed = *partitions, true
		if *partitions < 1 {
			c.Fault("repartition topic %q: %d partitions, want 1 or more", name, *partitions)
		}
	}
	if err := CheckName(in.Topic); err != nil {
		c.Fault("repartition topic: %v", err)
	}
	c.internal[name] = in
	return true
}

func (c *Compiler) decorate(name string) string {
	if c.app == "" {
		return name
	}
	return c.app + "-" + name
}

// write writes the steps, each after its parents, earlier calls first.
func (c *Compiler) write() {
	var q queue
	missing, waiting := map[*Op]int{}, map[*Op][]*Op{}
	children := func(op *Op) {
		for _, next := range [][]*Op{c.links[op].children, waiting[op]} {
			for _, child := range next {
				if missing[child]--; missing[child] == 0 {
					heap.Push(&q, child)
				}
			}
		}
	}
	for _, op := range c.ops {
		missing[op] = len(c.links[op].parents) + len(op.After)
		if c.dissolved[op] != nil {
			continue
		}
		for _, first := range op.After {
			waiting[first] = append(waiting[first], op)
		}
		if len(c.links[op].parents) == 0 && c.merged[op] == nil {
			heap.Push(&q, op)
		}
	}
	for _, op := range c.graph.sources {
		if c.merged[op] != nil {
			children(op)
		}
	}
	for q.Len() > 0 {
		op := heap.Pop(&q).(*Op)
		c.op = op
		if n := op.Write(c); n != nil {
			c.out[op] = n
		}
		children(op)
	}
	c.op = nil
}

// queue orders steps by the time of their calls.
type queue []*Op

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].priority < q[j].priority }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(*Op)) }
func (q *queue) Pop() any {
	old := *q
	op := old[len(old)-1]
	*q = old[:len(old)-1]
	return op
}

// findRelaxed finds the repartition steps that lie before a step that takes null keys, with no other repartition between.
func (c *Compiler) findRelaxed() {
	var up func(op *Op)
	up = func(op *Op) {
		for _, p := range c.links[op].parents {
			if p.Repartition {
				c.relaxed[p] = true
				continue
			}
			up(p)
		}
	}
	for _, op := range c.ops {
		if op.RelaxedNullKey {
			up(op)
		}
	}
}
