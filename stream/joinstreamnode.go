package stream

import (
	"context"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/topology"
)

// joinKind says which sides have results without the other one.
type joinKind uint8

const (
	joinInner joinKind = iota
	joinLeft
	joinOuter
)

// pairMaker makes the joiner of two streams for one task.
type pairMaker[K, L, R, O any] func(t *node.Task, at *node.Info) func(K, Opt[L], Opt[R]) (O, error)

func plainPair[K, L, R, O any](f func(K, Opt[L], Opt[R]) O) pairMaker[K, L, R, O] {
	return func(*node.Task, *node.Info) func(K, Opt[L], Opt[R]) (O, error) {
		return func(k K, l Opt[L], r Opt[R]) (O, error) { return f(k, l, r), nil }
	}
}

func tryPair[K, L, R, O any](f func(context.Context, K, Opt[L], Opt[R]) (O, error)) pairMaker[K, L, R, O] {
	return func(t *node.Task, at *node.Info) func(K, Opt[L], Opt[R]) (O, error) { return node.TryFold(t, at, f) }
}

// streamJoin is a join of two streams while a program is written: a node in front of each side, a node of each side, a node
// behind them, and two or three stores.
type streamJoin[K, L, R, O any] struct {
	set    settings
	kind   joinKind
	window millis
	make   pairMaker[K, L, R, O]
	l      Stream[K, L]
	r      Stream[K, R]

	leftWindow, rightWindow, left, right, merge string // nodes
	leftStore, rightStore, unmatched            string // stores
}

func joinStreams[K, L, R, O any](l Stream[K, L], r Stream[K, R], w JoinWindow, set settings, kind joinKind,
	f pairMaker[K, L, R, O]) Stream[K, O] {
	b := l.builder()
	b.same(&set, r.builder())
	window, bad := w.check()
	if bad != "" {
		faultf(b, &set, "%s", bad)
	}
	valuesOfSides[L, R](b, &set)
	if l.rekeyed {
		of := set
		of.value = set.left
		l = repartitionForJoin(l, &of, suffixed(set.name, "-left"))
	}
	if r.rekeyed {
		of := set
		of.value = set.right
		r = repartitionForJoin(r, &of, suffixed(set.name, "-right"))
	}
	sources := union(l.sources, r.sources)
	b.graph.Copartition(sources)
	j := &streamJoin[K, L, R, O]{set: set, kind: kind, window: window, make: f, l: l, r: r}
	j.name(b.graph)
	first := b.graph.Add(&topology.Op{Site: set.site, Write: func(c *topology.Compiler) *topology.Node {
		if self := j.self(c); self != nil {
			return self.writeWindow(c)
		}
		return writeWindow(c, &j.set, l, j.leftWindow, j.leftStore)
	}}, l.op)
	second := b.graph.Add(&topology.Op{Site: set.site, Write: func(c *topology.Compiler) *topology.Node {
		if j.self(c) != nil {
			return nil
		}
		return writeWindow(c, &j.set, r, j.rightWindow, j.rightStore)
	}}, r.op)
	op := b.graph.Add(&topology.Op{Site: set.site, RelaxedNullKey: kind != joinInner, After: []*topology.Op{first, second},
		Write: func(c *topology.Compiler) *topology.Node {
			if self := j.self(c); self != nil {
				return self.write(c, c.Out(first))
			}
			return j.write(c, c.Out(first), c.Out(second))
		}}, l.op, r.op)
	return Stream[K, O]{b: b, op: op, name: j.merge, key: ownSerde(&set.key, l.key), sources: sources, again: new(reuse)}
}

// valuesOfSides gives the serde of WithValue to the sides that have values of its type.
func valuesOfSides[L, R any](b *Builder, set *settings) {
	if set.value.of == nil {
		return
	}
	_, left := set.value.serde.(serde.Serde[L])
	_, right := set.value.serde.(serde.Serde[R])
	if !left && !right {
		faultf(b, set, "WithValue gives a serde of %v, the values are %s and %s", set.value.of, typeName[L](), typeName[R]())
	}
	if left && set.left.of == nil {
		set.left = set.value
	}
	if right && set.right.of == nil {
		set.right = set.value
	}
}

// name takes the numbers of the nodes, in Kafka Streams' order, and names nodes and stores.
func (j *streamJoin[K, L, R, O]) name(g *topology.Graph) {
	set, left, right := &j.set, "-this-join", "-other-join"
	this, other, shared := "KSTREAM-JOINTHIS-", "KSTREAM-JOINOTHER-", "-left-shared-join"
	if j.kind != joinInner {
		right, other = "-outer-other-join", "KSTREAM-OUTEROTHER-"
	}
	if j.kind == joinOuter {
		left, this, shared = "-outer-this-join", "KSTREAM-OUTERTHIS-", "-outer-shared-join"
	}
	j.leftWindow = g.NameOr(suffixed(set.name, "-this-windowed"), "KSTREAM-WINDOWED-")
	j.rightWindow = g.NameOr(suffixed(set.name, "-other-windowed"), "KSTREAM-WINDOWED-")
	leftName, rightName := g.Name(this), g.Name(other)
	j.left, j.right = leftName, rightName
	if set.name != "" {
		j.left, j.right = set.name+left, set.name+right
	}
	j.merge = g.NameOr(suffixed(set.name, "-merge"), "KSTREAM-MERGE-")
	j.leftStore, j.rightStore = leftName+"-store", rightName+"-store"
	j.unmatched = "KSTREAM-OUTERSHARED-" + leftName[len(this):] + "-store"
	if set.store != "" {
		j.leftStore, j.rightStore = set.store+left+"-store", set.store+right+"-store"
		j.unmatched = set.store + shared + "-store"
	}
}

// writeWindow adds the node in front of a side.
func writeWindow[K, V any](c *topology.Compiler, set *settings, s Stream[K, V], name, store string) *topology.Node {
	n := topology.NewProcessor(name, wired(s, c, set, func(in *topology.Instance, self *topology.Node) (node.Proc[K, V], error) {
		return node.JoinWindow(in.Task, in.Info(self), in.Store(store).(*state.JoinStore[K, V]), topology.After[K, V](in, self)), nil
	}))
	n.OnError = set.policy
	return c.Add(n, c.Out(s.op))
}

// write adds the nodes of the sides behind those in front of them, the one behind both, and the stores.
func (j *streamJoin[K, L, R, O]) write(c *topology.Compiler, leftWindow, rightWindow *topology.Node) *topology.Node {
	set := &j.set
	none := func(*topology.Instance, *topology.Node) error { return nil } // wired together, by the node behind them
	left := c.Add(topology.NewProcessor(j.left, none), leftWindow)
	right := c.Add(topology.NewProcessor(j.right, none), rightWindow)
	merge := topology.NewProcessor(j.merge, func(in *topology.Instance, self *topology.Node) error {
		sj := j.open(in, left, right)
		sj.Next = node.Pass(in.Info(self), topology.After[K, O](in, self))
		l, r := sj.Sides()
		in.Attach(leftWindow, left, l)
		in.Attach(rightWindow, right, r)
		return nil
	})
	c.Add(merge, left, right)
	for _, n := range []*topology.Node{left, right, merge} {
		n.OnError = set.policy
	}
	k := findSerde(c, j.l.b, set.call, "keys", "WithKey", set.key, firstSerde(j.l.key, j.r.key))
	lv := findSerde(c, j.l.b, set.call, "left values", "WithLeft", set.left, j.l.value)
	rv := findSerde(c, j.l.b, set.call, "right values", "WithRight", set.right, j.r.value)
	storable(c, set.call, k, lv)
	storable(c, set.call, k, rv)
	j.store(c, state.JoinStoreSpec(j.leftStore, k, lv, j.windows()), leftWindow, right)
	j.store(c, state.JoinStoreSpec(j.rightStore, k, rv, j.windows()), rightWindow, left)
	if j.kind != joinInner {
		j.store(c, state.UnmatchedSpec(j.unmatched, k, lv, rv, j.waits()), left, right)
	}
	return merge
}

func firstSerde[T any](a, b serde.Serde[T]) serde.Serde[T] {
	if a != nil {
		return a
	}
	return b
}

func (j *streamJoin[K, L, R, O]) windows() state.WindowConfig {
	w := j.window
	return state.WindowConfig{Size: w.before + w.after, Retention: w.before + w.after + w.grace}
}

func (j *streamJoin[K, L, R, O]) waits() state.UnmatchedConfig {
	w := j.window
	return state.UnmatchedConfig{LeftWait: w.after + w.grace, RightWait: w.before + w.grace, OneSide: j.kind == joinLeft}
}

// store adds a store and connects it with two nodes.
func (j *streamJoin[K, L, R, O]) store(c *topology.Compiler, spec state.Spec, nodes ...*topology.Node) {
	spec.InMemory, spec.Logged = j.set.inMemory, !j.set.noChangelog
	for _, n := range nodes {
		c.Store(n, &topology.Store{Name: spec.Name, Spec: spec, Identity: j})
	}
}

// open makes the join of a task.
func (j *streamJoin[K, L, R, O]) open(in *topology.Instance, left, right *topology.Node) *node.StreamJoin[K, L, R, O] {
	t, w := in.Task, j.window
	sj := &node.StreamJoin[K, L, R, O]{
		Task: t, LeftAt: in.Info(left), RightAt: in.Info(right), Clock: t.NewClock(j.left),
		Left:   in.Store(j.leftStore).(*state.JoinStore[K, L]),
		Right:  in.Store(j.rightStore).(*state.JoinStore[K, R]),
		Before: w.before, After: w.after, Grace: w.grace, LeftOuter: j.kind != joinInner, RightOuter: j.kind == joinOuter,
		JoinLeft: j.make(t, in.Info(left)), JoinRight: j.make(t, in.Info(right)),
	}
	if j.kind != joinInner {
		sj.Unmatched = in.Store(j.unmatched).(*state.UnmatchedStore[K, L, R])
	}
	return sj
}
