package stream

import (
	"context"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/topology"
)

// Merge makes one stream of two. Between records of the two there is no order.
func (s Stream[K, V]) Merge(other Stream[K, V], opts ...NodeOption) Stream[K, V] {
	set := nodeSettings("Merge", opts)
	b := s.builder()
	b.same(&set, other.builder())
	name := b.graph.NameOr(set.name, "KSTREAM-MERGE-")
	op := &topology.Op{Site: set.site, Write: func(c *topology.Compiler) *topology.Node {
		left, right := c.Out(s.op), c.Out(other.op)
		n := topology.NewProcessor(name, func(in *topology.Instance, self *topology.Node) error {
			p := node.Pass(in.Info(self), topology.After[K, V](in, self))
			s.put(in, left, self, p)
			if right != left {
				other.put(in, right, self, p)
			}
			return nil
		})
		n.OnError = set.policy
		return c.Add(n, c.Outs(s.op, other.op)...)
	}}
	op.Merges = true
	b.graph.Add(op, s.op, other.op)
	r := Stream[K, V]{b: b, op: op, name: name, rekeyed: s.rekeyed || other.rekeyed, again: new(reuse)}
	r.sources = union(s.sources, other.sources)
	// One serde serves both if they have the same.
	if sameValue(s.key, other.key) {
		r.key = s.key
	}
	if sameValue(s.value, other.value) {
		r.value = s.value
	}
	return r
}

// Branches are the ways out of a [Stream.Split].
type Branches[K, V any] struct {
	s     Stream[K, V]
	name  string
	op    *topology.Op
	ways  []way[K, V]
	other int // index of Otherwise in ways, −1 for none
}

type way[K, V any] struct {
	when maker[K, V, bool]
	op   *topology.Op
}

// Split sends each record one way: the first branch whose predicate is true takes it, whatever is asked later. A record with a
// null value is shown to none of them. What no branch takes goes to Otherwise, or ends here.
func (s Stream[K, V]) Split(opts ...NodeOption) *Branches[K, V] {
	set := nodeSettings("Split", opts)
	b := s.builder()
	br := &Branches[K, V]{s: s, name: b.graph.NameOr(set.name, "KSTREAM-BRANCH-"), other: -1}
	br.op = b.graph.Add(&topology.Op{Site: set.site, Write: func(c *topology.Compiler) *topology.Node {
		n := topology.NewProcessor(br.name, wired(s, c, &set,
			func(in *topology.Instance, self *topology.Node) (node.Proc[K, V], error) {
				return br.proc(in, self), nil
			}))
		n.OnError = set.policy
		return c.Add(n, c.Out(s.op))
	}}, s.op)
	return br
}

// proc makes the splitting node: its children in the order of the branches, whatever else might hang on it.
func (br *Branches[K, V]) proc(in *topology.Instance, self *topology.Node) node.Proc[K, V] {
	to := topology.Children[K, V](in, self)
	var list []node.Branch[K, V]
	for i, w := range br.ways {
		if i == br.other {
			continue
		}
		list = append(list, node.Branch[K, V]{When: w.when(in.Task, in.Info(self)), Next: to[w.op.Name]})
	}
	if br.other >= 0 {
		list = append(list, node.Branch[K, V]{Next: to[br.ways[br.other].op.Name]})
	}
	return node.Split(in.Task, in.Info(self), list)
}

// When is the branch of the records for which f is true and no earlier branch was. With [Named] its node's name is that of the
// split and then the given one.
func (br *Branches[K, V]) When(f func(k K, v V) bool, opts ...NodeOption) Stream[K, V] {
	set := nodeSettings("When", opts)
	br.s.b.notNil(&set, f)
	return br.add(set, plain(f), len(br.ways)+1)
}

// TryWhen is [Branches.When] for a predicate that can fail.
func (br *Branches[K, V]) TryWhen(f func(ctx context.Context, k K, v V) (bool, error), opts ...NodeOption) Stream[K, V] {
	set := nodeSettings("TryWhen", opts)
	br.s.b.notNil(&set, f)
	return br.add(set, trying(f), len(br.ways)+1)
}

// Otherwise is the branch of the records that no other takes.
func (br *Branches[K, V]) Otherwise(opts ...NodeOption) Stream[K, V] {
	set := nodeSettings("Otherwise", opts)
	if br.other >= 0 {
		faultf(br.s.b, &set, "the split at %s has an Otherwise already", br.op.Site)
	}
	br.other = len(br.ways)
	return br.add(set, nil, 0)
}

func (br *Branches[K, V]) add(set settings, when maker[K, V, bool], number int) Stream[K, V] {
	b := br.s.b
	if br.other >= 0 && number > br.other {
		number-- // Otherwise has no number
	}
	name := br.name + set.name
	if set.name == "" {
		name = br.name + itoa(number)
	}
	b.graph.Name("") // a branch takes a number, unused
	op := &topology.Op{Site: set.site, Name: name, Write: func(c *topology.Compiler) *topology.Node {
		parent := c.Out(br.op)
		n := topology.NewProcessor(name, func(in *topology.Instance, self *topology.Node) error {
			in.Attach(parent, self, node.Pass(in.Info(self), topology.After[K, V](in, self)))
			return nil
		})
		n.OnError = set.policy
		return c.Add(n, parent)
	}}
	b.graph.Add(op, br.op)
	br.ways = append(br.ways, way[K, V]{when, op})
	return Stream[K, V]{b: b, op: op, name: name, key: br.s.key, value: br.s.value, rekeyed: br.s.rekeyed, sources: br.s.sources,
		again: new(reuse)}
}
