package stream

import (
	"context"
	"slices"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/topology"
)

// Cogrouped are several grouped streams whose records are about to be folded into one table, by key, each with a function of its
// own. It is a value: And makes a longer one.
type Cogrouped[K, A any] struct {
	b     *Builder
	parts []part[K, A]
	was   map[*reuse]any // inputs that went through a repartition topic already
}

// part is an input of a Cogrouped.
type part[K, A any] struct {
	of *reuse // identity of the grouped stream
	f  func() folder[K, A]
}

// Cogroup begins a fold of several grouped streams into one table, with the first of them and its function.
func Cogroup[K, V, A any](g Grouped[K, V], add func(k K, v V, a A) A) Cogrouped[K, A] {
	return cogroup("Cogroup", Cogrouped[K, A]{}, g, add, foldWith[K, V, A](add))
}

// TryCogroup is [Cogroup] for a function that can fail.
func TryCogroup[K, V, A any](g Grouped[K, V], add func(ctx context.Context, k K, v V, a A) (A, error)) Cogrouped[K, A] {
	return cogroup("TryCogroup", Cogrouped[K, A]{}, g, add, tryFoldWith[K, V, A](add))
}

// CogroupOpt is [Cogroup] for a function that may delete the row, by None.
func CogroupOpt[K, V, A any](g Grouped[K, V], add func(k K, v V, a A) Opt[A]) Cogrouped[K, A] {
	return cogroup("CogroupOpt", Cogrouped[K, A]{}, g, add, foldOptWith[K, V, A](add))
}

// TryCogroupOpt is [CogroupOpt] for a function that can fail.
func TryCogroupOpt[K, V, A any](g Grouped[K, V], add func(ctx context.Context, k K, v V, a A) (Opt[A], error)) Cogrouped[K, A] {
	return cogroup("TryCogroupOpt", Cogrouped[K, A]{}, g, add, tryFoldOptWith[K, V, A](add))
}

// And adds another grouped stream and its function. All of them need equal partition counts.
func And[K, V, A any](c Cogrouped[K, A], g Grouped[K, V], add func(k K, v V, a A) A) Cogrouped[K, A] {
	return cogroup("And", c, g, add, foldWith[K, V, A](add))
}

// TryAnd is [And] for a function that can fail.
func TryAnd[K, V, A any](c Cogrouped[K, A], g Grouped[K, V], add func(ctx context.Context, k K, v V, a A) (A, error)) Cogrouped[K, A] {
	return cogroup("TryAnd", c, g, add, tryFoldWith[K, V, A](add))
}

// AndOpt is [And] for a function that may delete the row, by None.
func AndOpt[K, V, A any](c Cogrouped[K, A], g Grouped[K, V], add func(k K, v V, a A) Opt[A]) Cogrouped[K, A] {
	return cogroup("AndOpt", c, g, add, foldOptWith[K, V, A](add))
}

// TryAndOpt is [AndOpt] for a function that can fail.
func TryAndOpt[K, V, A any](c Cogrouped[K, A], g Grouped[K, V],
	add func(ctx context.Context, k K, v V, a A) (Opt[A], error)) Cogrouped[K, A] {
	return cogroup("TryAndOpt", c, g, add, tryFoldOptWith[K, V, A](add))
}

func cogroup[K, V, A any](call string, c Cogrouped[K, A], g Grouped[K, V], given any,
	step func(func() A) stepMaker[K, V, A]) Cogrouped[K, A] {
	set := start(call)
	b := g.s.builder()
	b.notNil(&set, given)
	if c.b == nil {
		c.b, c.was = b, map[*reuse]any{}
	}
	b.same(&set, c.b)
	p := part[K, A]{g.rep, func() folder[K, A] { return &fold[K, V, A]{g: g, step: step} }}
	c.parts = slices.Clone(c.parts)
	if i := slices.IndexFunc(c.parts, func(o part[K, A]) bool { return o.of == p.of }); i >= 0 {
		c.parts[i] = p // the same stream once more: its last function counts
	} else {
		c.parts = append(c.parts, p)
	}
	return c
}

func foldWith[K, V, A any](add func(K, V, A) A) func(func() A) stepMaker[K, V, A] {
	return func(zero func() A) stepMaker[K, V, A] { return plainFold(zero, add) }
}

func tryFoldWith[K, V, A any](add func(context.Context, K, V, A) (A, error)) func(func() A) stepMaker[K, V, A] {
	return func(zero func() A) stepMaker[K, V, A] { return tryFold(zero, add) }
}

func foldOptWith[K, V, A any](add func(K, V, A) Opt[A]) func(func() A) stepMaker[K, V, A] {
	return func(zero func() A) stepMaker[K, V, A] {
		return plainStep(func(k K, v V, old Opt[A]) (Opt[A], error) {
			a, ok := old.Get()
			if !ok {
				a = zero()
			}
			return add(k, v, a), nil
		})
	}
}

func tryFoldOptWith[K, V, A any](add func(context.Context, K, V, A) (Opt[A], error)) func(func() A) stepMaker[K, V, A] {
	return func(zero func() A) stepMaker[K, V, A] {
		return func(t *node.Task, at *node.Info) node.Step[K, V, A] {
			try := node.TryFold(t, at, add)
			return func(k K, v V, old Opt[A]) (Opt[A], error) {
				a, ok := old.Get()
				if !ok {
					a = zero()
				}
				return try(k, v, a)
			}
		}
	}
}

func (c Cogrouped[K, A]) builder() *Builder {
	if c.b == nil {
		panic("stream: a Cogrouped that was not made by Cogroup cannot be used")
	}
	return c.b
}

const (
	cogroupPrefix = "COGROUPKSTREAM-AGGREGATE-"
	mergePrefix   = "COGROUPKSTREAM-MERGE-"
)

// Aggregate folds the records of all streams by key, beginning with zero. Records with a null value are dropped.
func (c Cogrouped[K, A]) Aggregate(zero func() A, opts ...AggOption) Table[K, A] {
	set := aggSettings("Aggregate", opts)
	b := c.builder()
	b.notNil(&set, zero)
	t := &table[K, A]{b: b, set: set, store: set.store, stored: true}
	if t.store == "" {
		t.store = b.graph.StoreName(cogroupPrefix)
	}
	t.value = ownSerde[A](&t.set.value, nil)
	in := c.route(t.store)
	t.key, t.sources = ownSerde(&t.set.key, in.key), in.sources
	c.merge(t, in, func(cc *topology.Compiler, f folder[K, A], first bool) (wire, func(*topology.Node)) {
		k, v := t.serdes(cc)
		w := f.plain(cc, &t.set, zero, func(in *topology.Instance, self *topology.Node) *node.Emitter[K, A] {
			return t.oneDrain(in, self, k, v, first)
		})
		return w, func(n *topology.Node) { n.OnError = t.set.policy; t.addStore(cc, n, k, v) }
	})
	return Table[K, A]{t}
}

// oneDrain is the emitter of one input of several. Its first one empties the buffer.
func (t *table[K, V]) oneDrain(in *topology.Instance, self *topology.Node, k serde.Serde[K], v serde.Serde[V],
	first bool) *node.Emitter[K, V] {
	if first {
		return t.emitter(in, self, k, v)
	}
	return t.sender(in, self, k, v)
}

// routed are the inputs of a Cogrouped, where equal keys lie in equal partitions.
type routed[K, A any] struct {
	inputs  []folder[K, A]
	ops     []*topology.Op
	key     serde.Serde[K] // of the first input that knows one
	sources []*topology.Op
}

func (c Cogrouped[K, A]) route(store string) (r routed[K, A]) {
	for _, p := range c.parts {
		f := p.f()
		op, sources, key := f.route(store, c.was)
		r.inputs, r.ops, r.sources = append(r.inputs, f), append(r.ops, op), union(r.sources, sources)
		if r.key == nil {
			r.key = key
		}
	}
	c.b.graph.Copartition(r.sources)
	return r
}

// tableStep is what the nodes of a Cogrouped need to know of their table.
type tableStep interface {
	suffixedName(suffix, prefix string) string
	site() string
	become(name string, op *topology.Op)
	pass(in *topology.Instance, parents []*topology.Node, self *topology.Node)
}

// merge adds a node for each input, and one behind all of them, which is the table's.
func (c Cogrouped[K, A]) merge(t tableStep, r routed[K, A],
	input func(cc *topology.Compiler, f folder[K, A], first bool) (wire, func(*topology.Node))) {
	g := c.b.graph
	ops := make([]*topology.Op, len(r.inputs))
	for i, f := range r.inputs {
		name, above := t.suffixedName("-cogroup-agg-"+itoa(i), cogroupPrefix), r.ops[i]
		ops[i] = g.Add(&topology.Op{Site: t.site(), Name: name, Write: func(cc *topology.Compiler) *topology.Node {
			w, store := input(cc, f, i == 0)
			n := topology.NewProcessor(name, w)
			cc.Add(n, cc.Out(above))
			store(n)
			return n
		}}, above)
	}
	name := t.suffixedName("-cogroup-merge", mergePrefix)
	t.become(name, g.Add(&topology.Op{Site: t.site(), Name: name, Write: func(cc *topology.Compiler) *topology.Node {
		parents := cc.Outs(ops...)
		return cc.Add(topology.NewProcessor(name, func(in *topology.Instance, self *topology.Node) error {
			t.pass(in, parents, self)
			return nil
		}), parents...)
	}}, ops...))
}

func (t *table[K, V]) site() string { return t.set.site }

func (t *table[K, V]) suffixedName(suffix, prefix string) string {
	return t.b.graph.NameOr(suffixed(t.set.name, suffix), prefix)
}

func (t *table[K, V]) become(name string, op *topology.Op) { t.name, t.op = name, op }

// pass attaches a node that passes changes on unchanged.
func (t *table[K, V]) pass(in *topology.Instance, parents []*topology.Node, self *topology.Node) {
	next := topology.After[K, node.Change[V]](in, self)
	for _, p := range parents {
		in.Attach(p, self, next)
	}
}
