package topology

import "slices"

// Optimization is a set of rewritings of a program that keep its results: those of Kafka Streams' topology.optimization. Each
// changes internal topics or stores, so an application that runs needs a reset when one is switched on.
type Optimization uint8

const (
	// ReuseSourceTopics restores a table that is read from a topic from that topic, in place of a changelog of its own. A record
	// that the table took and that failed further on, and was undone, is part of a state restored so.
	ReuseSourceTopics Optimization = 1 << iota
	// MergeRepartitions makes one repartition topic of those that stand behind one step that changes keys, as long as no step
	// in between changes values. It stands right behind that step.
	MergeRepartitions
	// SingleStoreSelfJoin keeps one store, not two, for a stream that is joined with itself.
	SingleStoreSelfJoin

	// OptimizeAll is all of them.
	OptimizeAll = ReuseSourceTopics | MergeRepartitions | SingleStoreSelfJoin
)

// Changes is what a step may change of the records that pass it.
type Changes uint8

// The kinds of change. A step that changes keys may change values, too.
const (
	ChangesNothing Changes = iota
	ChangesValues
	ChangesKeys
)

// Optimize adds to the optimizations of the graph.
func (g *Graph) Optimize(o Optimization) { g.optimize |= o }

// Optimizes tells whether an optimization is on.
func (c *Compiler) Optimizes(o Optimization) bool { return c.graph.optimize&o != 0 }

// links are the neighbours of a step while a graph is compiled.
type links struct {
	parents, children []*Op
	merged            bool // a repartition that stands for others
}

// edge is a step and one that it follows in the program.
type edge struct{ child, parent *Op }

func (c *Compiler) link() {
	c.links = make(map[*Op]*links, len(c.graph.ops))
	c.ops = slices.Clone(c.graph.ops)
	for _, op := range c.ops {
		c.links[op] = &links{parents: slices.Clone(op.parents), children: slices.Clone(op.children)}
	}
}

// connectOps lets child follow parent.
func (c *Compiler) connectOps(parent, child *Op) {
	p, l := c.links[parent], c.links[child]
	if !slices.Contains(l.parents, parent) {
		l.parents = append(l.parents, parent)
		p.children = append(p.children, child)
	}
}

func (c *Compiler) disconnectOps(parent, child *Op) {
	p, l := c.links[parent], c.links[child]
	p.children = slices.DeleteFunc(p.children, func(op *Op) bool { return op == child })
	l.parents = slices.DeleteFunc(l.parents, func(op *Op) bool { return op == parent })
}

// shared is a step behind which several repartition topics become one.
type shared struct {
	above  *Op
	topics []*Op
}

// mergeRepartitions carries out the optimization of that name. The steps that it looks at are chosen as Kafka Streams chooses
// them; where that would send records past the topic, because they come to the repartitioned step on another way too, a
// topic stays where it was.
func (c *Compiler) mergeRepartitions() {
	for _, s := range c.sharedRepartitions() {
		s.topics = slices.DeleteFunc(s.topics, func(r *Op) bool { return !c.onlyThrough(r, s.above) || !c.fits(r, s) })
		if len(s.topics) > 0 {
			c.mergeInto(s)
		}
	}
}

// fits tells whether a repartition takes the same records at its new place, and as those that it becomes one with. A step of
// Oxbow's own, such as Nullable, may lie in between.
func (c *Compiler) fits(r *Op, s shared) bool {
	if r.Records != s.topics[0].Records {
		return false
	}
	return slices.Contains(c.links[r].parents, s.above) || !r.Adapted && r.Records == s.above.Records
}

// sharedRepartitions finds the steps that change keys, with the repartitions behind them, in Kafka Streams' order.
func (c *Compiler) sharedRepartitions() []shared {
	var all []shared
	var merges []*Op
	for _, op := range c.ops {
		switch {
		case op.Changes == ChangesKeys:
			all = append(all, shared{above: op})
		case op.Movable:
			if changer := c.keyChangerAbove(op); changer != nil {
				i := slices.IndexFunc(all, func(s shared) bool { return s.above == changer })
				all[i].topics = append(all[i].topics, op)
			}
		}
		if op.Merges {
			merges = append(merges, op)
		}
	}
	var gone []*Op
	var merged []shared
	for _, m := range merges {
		s := shared{above: m}
		for _, other := range all {
			behind := !slices.ContainsFunc(other.topics, func(r *Op) bool { return c.above(r, c.follows(m)) == nil })
			if behind && c.above(m, c.follows(other.above)) != nil {
				s.topics = append(s.topics, other.topics...)
				gone = append(gone, other.above)
			}
		}
		merged = append(merged, s)
	}
	all = slices.DeleteFunc(all, func(s shared) bool { return slices.Contains(gone, s.above) })
	return append(all, merged...)
}

func (c *Compiler) follows(parent *Op) func(*Op) bool {
	return func(op *Op) bool { return slices.Contains(c.links[op].parents, parent) }
}

// keyChangerAbove returns the step that changed the keys of a repartition's records, nil if their values were changed since.
func (c *Compiler) keyChangerAbove(op *Op) *Op {
	changer := c.above(op, func(op *Op) bool { return op.Changes == ChangesKeys })
	if changer == nil || c.above(op, func(op *Op) bool { return op.Changes != ChangesNothing }) != changer {
		return nil
	}
	return changer
}

// above looks upwards for a step. Of a step's parents the last one's way is the one that counts, unless one of them is found
// at once: so does Kafka Streams.
func (c *Compiler) above(op *Op, is func(*Op) bool) *Op {
	if is(op) {
		return op
	}
	var found *Op
	for _, p := range c.links[op].parents {
		if is(p) {
			return p
		}
		found = c.above(p, is)
	}
	return found
}

// onlyThrough tells whether everything that comes to op comes through the given step.
func (c *Compiler) onlyThrough(op, step *Op) bool {
	parents := c.links[op].parents
	for _, p := range parents {
		if p != step && !c.onlyThrough(p, step) {
			return false
		}
	}
	return len(parents) > 0
}

// mergeInto puts one repartition topic behind a step: the first of those that it replaces, with its name.
func (c *Compiler) mergeInto(s shared) {
	first := s.topics[0]
	one := new(Op)
	*one = *first
	one.parents, one.children, one.priority = nil, nil, s.above.priority
	c.links[one] = &links{merged: true}
	c.ops = append(c.ops, one)
	if p := c.links[first].parents[0]; p != s.above {
		c.moved[edge{one, p}] = s.above
	}
	for _, r := range s.topics {
		for _, child := range slices.Clone(c.links[s.above].children) {
			if child != one && c.leadsTo(child, r) {
				c.disconnectOps(s.above, child)
				c.connectOps(one, child)
				c.moved[edge{child, s.above}] = one
				c.relaxed[one] = c.relaxed[one] || child != r
			}
		}
		for _, p := range slices.Clone(c.links[r].parents) {
			for _, child := range slices.Clone(c.links[r].children) {
				c.disconnectOps(r, child)
				c.connectOps(p, child)
				c.moved[edge{child, r}] = p
			}
			c.disconnectOps(p, r)
		}
		c.dissolved[r] = one
	}
	c.connectOps(s.above, one)
}

func (c *Compiler) leadsTo(from, to *Op) bool {
	return from == to || slices.ContainsFunc(c.links[from].children, func(op *Op) bool { return c.leadsTo(op, to) })
}
