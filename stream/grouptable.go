package stream

import (
	"bytes"
	"context"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/topology"
)

// GroupedTable is a table whose rows are about to be folded by another key. A row that changes leaves its old group and enters
// its new one.
type GroupedTable[K, V any] struct {
	b   *Builder
	op  *topology.Op
	set settings
	rep *reuse
}

// GroupTableBy groups the rows of a table by what f makes of each, through a repartition topic. f is called for the old and the
// new value of a row, so it must give the same for the same.
func GroupTableBy[K, V, K2, V2 any](t Table[K, V], f func(k K, v V) (K2, V2), opts ...TopicOption) GroupedTable[K2, V2] {
	set := topicSettings("GroupTableBy", opts)
	t.table().b.notNil(&set, f)
	return groupTable(t, set, func(*node.Task, *node.Info) node.GroupChange[K, V, K2, V2] {
		return func(k K, v V) (K2, V2, bool, error) {
			k2, v2 := f(k, v)
			return k2, v2, true, nil
		}
	})
}

// GroupTableByOpt is [GroupTableBy] for a function that may leave a row out of all groups: ok is false.
func GroupTableByOpt[K, V, K2, V2 any](t Table[K, V], f func(k K, v V) (k2 K2, v2 V2, ok bool),
	opts ...TopicOption) GroupedTable[K2, V2] {
	set := topicSettings("GroupTableByOpt", opts)
	t.table().b.notNil(&set, f)
	return groupTable(t, set, func(*node.Task, *node.Info) node.GroupChange[K, V, K2, V2] {
		return func(k K, v V) (K2, V2, bool, error) {
			k2, v2, ok := f(k, v)
			return k2, v2, ok, nil
		}
	})
}

// TryGroupTableBy is [GroupTableBy] for a function that can fail.
func TryGroupTableBy[K, V, K2, V2 any](t Table[K, V], f func(ctx context.Context, k K, v V) (K2, V2, error),
	opts ...TopicOption) GroupedTable[K2, V2] {
	set := topicSettings("TryGroupTableBy", opts)
	t.table().b.notNil(&set, f)
	return groupTable(t, set, func(task *node.Task, at *node.Info) node.GroupChange[K, V, K2, V2] {
		try := node.TryPair(task, at, f)
		return func(k K, v V) (K2, V2, bool, error) {
			k2, v2, err := try(k, v)
			return k2, v2, true, err
		}
	})
}

// TryGroupTableByOpt is [GroupTableByOpt] for a function that can fail.
func TryGroupTableByOpt[K, V, K2, V2 any](t Table[K, V],
	f func(ctx context.Context, k K, v V) (k2 K2, v2 V2, ok bool, err error), opts ...TopicOption) GroupedTable[K2, V2] {
	set := topicSettings("TryGroupTableByOpt", opts)
	t.table().b.notNil(&set, f)
	return groupTable(t, set, func(task *node.Task, at *node.Info) node.GroupChange[K, V, K2, V2] {
		calls := node.NewCalls(task, at)
		return func(k K, v V) (K2, V2, bool, error) {
			defer calls.Over()
			return f(calls.Context(), k, v)
		}
	})
}

func groupTable[K, V, K2, V2 any](t Table[K, V], set settings,
	f func(*node.Task, *node.Info) node.GroupChange[K, V, K2, V2]) GroupedTable[K2, V2] {
	b := t.t.b
	if set.partitioner.value != nil || set.partitions != nil {
		faultf(b, &set, "Partitions and Partitioner have no place in a group of a table")
	}
	name := b.graph.NameOr(set.name, "KTABLE-SELECT-")
	op := &topology.Op{Site: set.site, Name: name, Write: func(c *topology.Compiler) *topology.Node {
		parent := c.Out(t.t.op)
		k := keySerde[K2](c, b, &set, nil)
		n := topology.NewProcessor(name, func(in *topology.Instance, self *topology.Node) error {
			in.Attach(parent, self, node.GroupTable(in.Task, in.Info(self), f(in.Task, in.Info(self)), sameBytes(k),
				topology.After[K2, node.Change[V2]](in, self)))
			return nil
		})
		n.OnError = set.policy
		return c.Add(n, parent)
	}}
	b.graph.Add(op, t.t.op)
	t.t.enableOld(true)
	return GroupedTable[K2, V2]{b, op, set, new(reuse)}
}

// sameBytes tells whether two keys are one, as the partitioner and the stores see it.
func sameBytes[K any](s serde.Serde[K]) func(a, b K) (bool, error) {
	var x, y []byte
	return func(a, b K) (bool, error) {
		var err error
		if x, err = s.Append(x[:0], a); err != nil {
			return false, err
		}
		if y, err = s.Append(y[:0], b); err != nil {
			return false, err
		}
		return bytes.Equal(x, y), nil
	}
}

// Count counts the rows of each group.
func (g GroupedTable[K, V]) Count(opts ...AggOption) Table[K, int64] {
	return aggregateTable(g, aggSettings("Count", opts), "KTABLE-AGGREGATE-", serde.Int64,
		plainStep(func(_ K, _ V, old Opt[int64]) (Opt[int64], error) { return Some(old.Or(0) + 1), nil }),
		plainStep(func(_ K, _ V, old Opt[int64]) (Opt[int64], error) { return Some(old.Or(0) - 1), nil }))
}

// Reduce folds the rows of each group into one value: sub takes the old value of a row out again, add brings the new one in.
func (g GroupedTable[K, V]) Reduce(add, sub func(old, v V) V, opts ...AggOption) Table[K, V] {
	set := aggSettings("Reduce", opts)
	g.b.notNil(&set, add)
	g.b.notNil(&set, sub)
	fold := func(f func(old, v V) V) stepMaker[K, V, V] {
		return plainStep(func(_ K, v V, old Opt[V]) (Opt[V], error) {
			if o, ok := old.Get(); ok {
				v = f(o, v)
			}
			return Some(v), nil
		})
	}
	return aggregateTable(g, set, "KTABLE-REDUCE-", ownSerde[V](&g.set.value, nil), fold(add), fold(sub))
}

// ReduceOpt is [GroupedTable.Reduce] for functions that may delete the group, by None.
func (g GroupedTable[K, V]) ReduceOpt(add, sub func(old, v V) Opt[V], opts ...AggOption) Table[K, V] {
	set := aggSettings("ReduceOpt", opts)
	g.b.notNil(&set, add)
	g.b.notNil(&set, sub)
	fold := func(f func(old, v V) Opt[V]) stepMaker[K, V, V] {
		return plainStep(func(_ K, v V, old Opt[V]) (Opt[V], error) {
			if o, ok := old.Get(); ok {
				return f(o, v), nil
			}
			return Some(v), nil
		})
	}
	return aggregateTable(g, set, "KTABLE-REDUCE-", ownSerde[V](&g.set.value, nil), fold(add), fold(sub))
}

// TryReduce is [GroupedTable.Reduce] for functions that can fail.
func (g GroupedTable[K, V]) TryReduce(add, sub func(ctx context.Context, old, v V) (V, error), opts ...AggOption) Table[K, V] {
	set := aggSettings("TryReduce", opts)
	g.b.notNil(&set, add)
	g.b.notNil(&set, sub)
	return aggregateTable(g, set, "KTABLE-REDUCE-", ownSerde[V](&g.set.value, nil), tryReduce[K](add), tryReduce[K](sub))
}

// TryReduceOpt is [GroupedTable.ReduceOpt] for functions that can fail.
func (g GroupedTable[K, V]) TryReduceOpt(add, sub func(ctx context.Context, old, v V) (Opt[V], error),
	opts ...AggOption) Table[K, V] {
	set := aggSettings("TryReduceOpt", opts)
	g.b.notNil(&set, add)
	g.b.notNil(&set, sub)
	return aggregateTable(g, set, "KTABLE-REDUCE-", ownSerde[V](&g.set.value, nil), tryReduceOpt[K](add), tryReduceOpt[K](sub))
}

// AggregateTable folds the rows of each group into a value of another type, beginning with zero: sub takes the old value of a
// row out again, add brings the new one in.
func AggregateTable[K, V, A any](g GroupedTable[K, V], zero func() A, add, sub func(k K, v V, a A) A,
	opts ...AggOption) Table[K, A] {
	set := aggSettings("AggregateTable", opts)
	for _, f := range []any{zero, add, sub} {
		g.b.notNil(&set, f)
	}
	return aggregateTable(g, set, "KTABLE-AGGREGATE-", nil, plainFold(zero, add), plainFold(zero, sub))
}

// TryAggregateTable is [AggregateTable] for functions that can fail.
func TryAggregateTable[K, V, A any](g GroupedTable[K, V], zero func() A,
	add, sub func(ctx context.Context, k K, v V, a A) (A, error), opts ...AggOption) Table[K, A] {
	set := aggSettings("TryAggregateTable", opts)
	for _, f := range []any{zero, add, sub} {
		g.b.notNil(&set, f)
	}
	return aggregateTable(g, set, "KTABLE-AGGREGATE-", nil, tryFold(zero, add), tryFold(zero, sub))
}

// AggregateTableOpt folds the rows of each group. old is absent for a group without a row; None deletes the row.
func AggregateTableOpt[K, V, A any](g GroupedTable[K, V], add, sub func(k K, v V, old Opt[A]) Opt[A],
	opts ...AggOption) Table[K, A] {
	set := aggSettings("AggregateTableOpt", opts)
	g.b.notNil(&set, add)
	g.b.notNil(&set, sub)
	fold := func(f func(K, V, Opt[A]) Opt[A]) stepMaker[K, V, A] {
		return plainStep(func(k K, v V, old Opt[A]) (Opt[A], error) { return f(k, v, old), nil })
	}
	return aggregateTable(g, set, "KTABLE-AGGREGATE-", nil, fold(add), fold(sub))
}

// TryAggregateTableOpt is [AggregateTableOpt] for functions that can fail.
func TryAggregateTableOpt[K, V, A any](g GroupedTable[K, V],
	add, sub func(ctx context.Context, k K, v V, old Opt[A]) (Opt[A], error), opts ...AggOption) Table[K, A] {
	set := aggSettings("TryAggregateTableOpt", opts)
	g.b.notNil(&set, add)
	g.b.notNil(&set, sub)
	fold := func(f func(context.Context, K, V, Opt[A]) (Opt[A], error)) stepMaker[K, V, A] {
		return func(t *node.Task, at *node.Info) node.Step[K, V, A] { return node.TryFold(t, at, f) }
	}
	return aggregateTable(g, set, "KTABLE-AGGREGATE-", nil, fold(add), fold(sub))
}

// aggregateTable adds the repartition topic of a grouped table, and the node that folds what comes out of it.
func aggregateTable[K, V, A any](g GroupedTable[K, V], set settings, prefix string, value serde.Serde[A],
	add, sub stepMaker[K, V, A]) Table[K, A] {
	b := g.b
	t := &table[K, A]{b: b, set: set, store: set.store, stored: true}
	if t.store == "" {
		t.store = b.graph.StoreName("KTABLE-AGGREGATE-")
	}
	names := topology.Repartition{Sink: b.graph.NameOr(suffixed(set.name, "-sink"), "KSTREAM-SINK-")}
	names.Source = b.graph.NameOr(suffixed(set.name, "-source"), "KSTREAM-SOURCE-")
	t.name = b.graph.NameOr(set.name, prefix)
	names.Topic = t.store + "-repartition"
	if g.set.name != "" {
		names.Topic = g.set.name + "-repartition"
	}
	if g.rep.op == nil || g.set.name == "" {
		g.rep.op = b.graph.Add(g.repartition(&g.set, names), g.op)
	} else {
		b.graph.Again(g.rep.op)
	}
	t.sources = []*topology.Op{g.rep.op}
	above := g.rep.op
	t.key = ownSerde(&t.set.key, ownSerde[K](&g.set.key, nil))
	t.value = ownSerde(&t.set.value, value)
	return t.finish(above, func(in *topology.Instance, self *topology.Node, out *node.Emitter[K, A]) any {
		return node.AggregateTable(in.Task, in.Info(self), add(in.Task, in.Info(self)), sub(in.Task, in.Info(self)), out)
	})
}

// repartition is the step of the topic: changes of groups, both values in one record.
func (g GroupedTable[K, V]) repartition(set *settings, names topology.Repartition) *topology.Op {
	op := &topology.Op{Site: set.site, Source: &topology.SourceSpec{Topics: []string{names.Topic}}, Repartition: true}
	op.Write = func(c *topology.Compiler) *topology.Node {
		k, v := keySerde[K](c, g.b, set, nil), valueSerde[V](c, g.b, set, nil)
		if !c.Internal(names.Topic, nil) {
			return nil
		}
		changes := node.ChangeSerde(v)
		parent := c.Out(g.op)
		sink := topology.NewSink(names.Sink, names.Topic, func(in *topology.Instance, self *topology.Node) error {
			d, err := in.Dest(self)
			p := node.Sink(in.Task, in.Info(self), in.Topology.TopicName(names.Topic), d, k, changes, nil)
			in.Attach(parent, self, node.WithOrigin(in.Task, p))
			return err
		})
		sink.OnError = set.policy
		c.Add(sink, parent)
		return c.Add(topology.NewSource(names.Source, op.Source, func(in *topology.Instance, self *topology.Node) error {
			in.AddSource(self, node.NewRepartitionSource(in.Task, in.Info(self), k, changes,
				topology.After[K, node.Change[V]](in, self)))
			return nil
		}))
	}
	return op
}
