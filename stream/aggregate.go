package stream

import (
	"context"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/topology"
)

// stepMaker makes the fold of an aggregation for one task.
type stepMaker[K, V, A any] func(t *node.Task, at *node.Info) node.Step[K, V, A]

// Count counts the records of each key. Records with a null value are not counted.
func (g Grouped[K, V]) Count(opts ...AggOption) Table[K, int64] {
	set := aggSettings("Count", opts)
	if set.materialized && set.store == "" {
		g.s.b.graph.StoreName("KSTREAM-AGGREGATE-") // Kafka Streams takes a number here too
	}
	return aggregate(g, set, "KSTREAM-AGGREGATE-", serde.Int64, plainStep(func(_ K, _ V, old Opt[int64]) (Opt[int64], error) {
		return Some(old.Or(0) + 1), nil
	}))
}

// Reduce folds the records of each key into one value: the first as it is, then f of what there was and what comes.
func (g Grouped[K, V]) Reduce(f func(old, v V) V, opts ...AggOption) Table[K, V] {
	set := aggSettings("Reduce", opts)
	g.s.b.notNil(&set, f)
	return aggregate(g, set, "KSTREAM-REDUCE-", g.s.value, plainStep(func(_ K, v V, old Opt[V]) (Opt[V], error) {
		if o, ok := old.Get(); ok {
			v = f(o, v)
		}
		return Some(v), nil
	}))
}

// ReduceOpt is [Grouped.Reduce] for a function that may delete the row, by None.
func (g Grouped[K, V]) ReduceOpt(f func(old, v V) Opt[V], opts ...AggOption) Table[K, V] {
	set := aggSettings("ReduceOpt", opts)
	g.s.b.notNil(&set, f)
	return aggregate(g, set, "KSTREAM-REDUCE-", g.s.value, plainStep(func(_ K, v V, old Opt[V]) (Opt[V], error) {
		if o, ok := old.Get(); ok {
			return f(o, v), nil
		}
		return Some(v), nil
	}))
}

// TryReduce is [Grouped.Reduce] for a function that can fail.
func (g Grouped[K, V]) TryReduce(f func(ctx context.Context, old, v V) (V, error), opts ...AggOption) Table[K, V] {
	set := aggSettings("TryReduce", opts)
	g.s.b.notNil(&set, f)
	return aggregate(g, set, "KSTREAM-REDUCE-", g.s.value, tryReduce[K](f))
}

// TryReduceOpt is [Grouped.ReduceOpt] for a function that can fail.
func (g Grouped[K, V]) TryReduceOpt(f func(ctx context.Context, old, v V) (Opt[V], error), opts ...AggOption) Table[K, V] {
	set := aggSettings("TryReduceOpt", opts)
	g.s.b.notNil(&set, f)
	return aggregate(g, set, "KSTREAM-REDUCE-", g.s.value, tryReduceOpt[K](f))
}

func tryReduceOpt[K, V any](f func(context.Context, V, V) (Opt[V], error)) stepMaker[K, V, V] {
	return func(t *node.Task, at *node.Info) node.Step[K, V, V] {
		try := node.Try(t, at, f)
		return func(_ K, v V, old Opt[V]) (Opt[V], error) {
			if o, ok := old.Get(); ok {
				return try(o, v)
			}
			return Some(v), nil
		}
	}
}

func tryReduce[K, V any](f func(context.Context, V, V) (V, error)) stepMaker[K, V, V] {
	return func(t *node.Task, at *node.Info) node.Step[K, V, V] {
		try := node.Try(t, at, f)
		return func(_ K, v V, old Opt[V]) (Opt[V], error) {
			o, ok := old.Get()
			if !ok {
				return Some(v), nil
			}
			v, err := try(o, v)
			return Some(v), err
		}
	}
}

// Aggregate folds the records of each key into a value of another type, beginning with zero.
func Aggregate[K, V, A any](g Grouped[K, V], zero func() A, add func(k K, v V, a A) A, opts ...AggOption) Table[K, A] {
	set := aggSettings("Aggregate", opts)
	g.s.b.notNil(&set, zero)
	g.s.b.notNil(&set, add)
	return aggregate(g, set, "KSTREAM-AGGREGATE-", nil, plainFold(zero, add))
}

// TryAggregate is [Aggregate] for a function that can fail.
func TryAggregate[K, V, A any](g Grouped[K, V], zero func() A, add func(ctx context.Context, k K, v V, a A) (A, error),
	opts ...AggOption) Table[K, A] {
	set := aggSettings("TryAggregate", opts)
	g.s.b.notNil(&set, zero)
	g.s.b.notNil(&set, add)
	return aggregate(g, set, "KSTREAM-AGGREGATE-", nil, tryFold(zero, add))
}

// AggregateOpt folds the records of each key. old is absent for a key without a row; None deletes the row.
func AggregateOpt[K, V, A any](g Grouped[K, V], add func(k K, v V, old Opt[A]) Opt[A], opts ...AggOption) Table[K, A] {
	set := aggSettings("AggregateOpt", opts)
	g.s.b.notNil(&set, add)
	return aggregate(g, set, "KSTREAM-AGGREGATE-", nil, plainStep(func(k K, v V, old Opt[A]) (Opt[A], error) {
		return add(k, v, old), nil
	}))
}

// TryAggregateOpt is [AggregateOpt] for a function that can fail.
func TryAggregateOpt[K, V, A any](g Grouped[K, V], add func(ctx context.Context, k K, v V, old Opt[A]) (Opt[A], error),
	opts ...AggOption) Table[K, A] {
	set := aggSettings("TryAggregateOpt", opts)
	g.s.b.notNil(&set, add)
	return aggregate(g, set, "KSTREAM-AGGREGATE-", nil, func(t *node.Task, at *node.Info) node.Step[K, V, A] {
		return node.TryFold(t, at, add)
	})
}

func plainStep[K, V, A any](step node.Step[K, V, A]) stepMaker[K, V, A] {
	return func(*node.Task, *node.Info) node.Step[K, V, A] { return step }
}

func plainFold[K, V, A any](zero func() A, f func(K, V, A) A) stepMaker[K, V, A] {
	return plainStep(func(k K, v V, old Opt[A]) (Opt[A], error) {
		a, ok := old.Get()
		if !ok {
			a = zero()
		}
		return Some(f(k, v, a)), nil
	})
}

func tryFold[K, V, A any](zero func() A, f func(context.Context, K, V, A) (A, error)) stepMaker[K, V, A] {
	return func(t *node.Task, at *node.Info) node.Step[K, V, A] {
		try := node.TryFold(t, at, f)
		return func(k K, v V, old Opt[A]) (Opt[A], error) {
			a, ok := old.Get()
			if !ok {
				a = zero()
			}
			a, err := try(k, v, a)
			return Some(a), err
		}
	}
}

// aggregate adds the node that folds a grouped stream, and its store. value is the serde of the result, if known.
func aggregate[K, V, A any](g Grouped[K, V], set settings, prefix string, value serde.Serde[A],
	step stepMaker[K, V, A]) Table[K, A] {
	b := g.s.builder()
	t := &table[K, A]{b: b, set: set, store: set.store, stored: true}
	if t.store == "" {
		t.store = b.graph.StoreName(prefix)
	}
	t.name = b.graph.NameOr(set.name, prefix)
	s := g.repartitioned(t.store)
	t.sources = s.sources
	t.key = ownSerde(&t.set.key, ownSerde(&g.set.key, s.key))
	t.value = ownSerde(&t.set.value, value)
	t.op = b.graph.Add(&topology.Op{Site: set.site, Name: t.name, Write: func(c *topology.Compiler) *topology.Node {
		k, v := t.serdes(c)
		n := topology.NewProcessor(t.name, wired(s, c, &set,
			func(in *topology.Instance, self *topology.Node) (node.Proc[K, V], error) {
				return node.Aggregate(in.Task, in.Info(self), step(in.Task, in.Info(self)), t.emitter(in, self, k, v)), nil
			}))
		return t.add(c, n, k, v, c.Out(s.op))
	}}, s.op)
	return Table[K, A]{t}
}
