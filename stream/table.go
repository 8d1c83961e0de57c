package stream

import (
	"context"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/topology"
)

// Table is the current value of every key: a flow of updates, in which a null value deletes a row.
type Table[K, V any] struct{ t *table[K, V] }

func (t Table[K, V]) table() *table[K, V] {
	if t.t == nil {
		panic("stream: a Table that was not made by TableFrom or a step cannot be used")
	}
	return t.t
}

// TableFrom reads a topic as a table. A record with a null key is dropped. The table has a store only if it is named with [As]
// or a step needs one.
func TableFrom[K, V any](b *Builder, topic string, k serde.Serde[K], v serde.Serde[V], opts ...TableOption) Table[K, V] {
	set := start("TableFrom")
	for _, o := range opts {
		o.table(&set)
	}
	t := &table[K, V]{b: b, set: set, key: k, value: v, store: set.store, stored: set.named(), lazy: true}
	if t.store == "" {
		t.store = b.graph.StoreName(topic + "-")
	}
	sourceName := b.graph.NameOr(suffixed(set.name, "-source"), "KSTREAM-SOURCE-")
	t.name = b.graph.NameOr(set.name, "KTABLE-SOURCE-")
	spec := &topology.SourceSpec{Topics: []string{topic}, Table: true}
	src := &sourceNode[K, V]{spec: spec, key: k, value: v}
	src.check(b, &t.set)
	if src.extract == nil && !src.wall && t.set.key.of == nil && t.set.value.of == nil {
		t.reads = topic
	}
	t.op = b.graph.Add(&topology.Op{Site: set.site, Source: spec, Name: t.name, Write: func(c *topology.Compiler) *topology.Node {
		source := src.add(c, sourceName, &t.set)
		n := topology.NewProcessor(t.name, func(in *topology.Instance, self *topology.Node) error {
			in.Attach(source, self, node.TableSource(in.Task, in.Info(self), t.emitter(in, self, k, v)))
			return nil
		})
		return t.add(c, n, k, v, source)
	}})
	t.sources = []*topology.Op{t.op}
	return Table[K, V]{t}
}

func suffixed(name, suffix string) string {
	if name == "" {
		return ""
	}
	return name + suffix
}

// ToTable reads the stream as the updates of a table: a null value deletes the row, a null key is dropped.
func (s Stream[K, V]) ToTable(opts ...AggOption) Table[K, V] {
	set := aggSettings("ToTable", opts)
	b := s.builder()
	t := &table[K, V]{b: b, set: set, store: set.store, stored: set.named(), lazy: true}
	t.name = b.graph.NameOr(set.name, "KSTREAM-TOTABLE-")
	if t.store == "" {
		t.store = b.graph.StoreName("KSTREAM-TOTABLE-")
	}
	if s.rekeyed {
		s = repartition(s, &set, t.name)
	}
	t.key, t.value, t.sources = ownSerde(&set.key, s.key), ownSerde(&set.value, s.value), s.sources
	t.op = b.graph.Add(&topology.Op{Site: set.site, Name: t.name, Write: func(c *topology.Compiler) *topology.Node {
		k, v := t.serdes(c)
		n := topology.NewProcessor(t.name, wired(s, c, &set,
			func(in *topology.Instance, self *topology.Node) (node.Proc[K, V], error) {
				return node.TableSource(in.Task, in.Info(self), t.emitter(in, self, k, v)), nil
			}))
		return t.add(c, n, k, v, c.Out(s.op))
	}}, s.op)
	return Table[K, V]{t}
}

// ToStream is the stream of the table's updates; a deletion is a null value.
func (t Table[K, V]) ToStream(opts ...NodeOption) Stream[K, V] {
	return toStream(t.table(), nodeSettings("ToStream", opts))
}

func toStream[K, V any](t *table[K, V], set settings) Stream[K, V] {
	b := t.b
	name := b.graph.NameOr(set.name, "KTABLE-TOSTREAM-")
	op := &topology.Op{Site: set.site, Write: func(c *topology.Compiler) *topology.Node {
		parent := c.Out(t.op)
		n := topology.NewProcessor(name, func(in *topology.Instance, self *topology.Node) error {
			in.Attach(parent, self, node.ToStream(topology.After[K, V](in, self)))
			return nil
		})
		n.OnError = set.policy
		return c.Add(n, parent)
	}}
	b.graph.Add(op, t.op)
	return Stream[K, V]{b: b, op: op, name: name, key: t.key, value: t.value, sources: t.sources, again: new(reuse)}
}

// ToStreamBy is [Table.ToStream] with a new key for each update; f sees a deletion as None.
func ToStreamBy[K, V, K2 any](t Table[K, V], f func(k K, v Opt[V]) K2, opts ...NodeOption) Stream[K2, V] {
	set := nodeSettings("ToStreamBy", opts)
	t.table().b.notNil(&set, f)
	return toStreamBy(t, set, plain(f))
}

// TryToStreamBy is [ToStreamBy] for a function that can fail.
func TryToStreamBy[K, V, K2 any](t Table[K, V], f func(ctx context.Context, k K, v Opt[V]) (K2, error),
	opts ...NodeOption) Stream[K2, V] {
	set := nodeSettings("TryToStreamBy", opts)
	t.table().b.notNil(&set, f)
	return toStreamBy(t, set, trying(f))
}

func toStreamBy[K, V, K2 any](t Table[K, V], set settings, f maker[K, Opt[V], K2]) Stream[K2, V] {
	s := toStream(t.t, set)
	r := step[K, V, K2, V]{"KSTREAM-KEY-SELECT-", unnamed(set), func(t *node.Task, at *node.Info, next node.Proc[K2, V]) node.Proc[K, V] {
		return node.SelectKeyOpt(t, at, f(t, at), next)
	}}.then(s)
	r.value = s.value
	return r.rekey()
}

func unnamed(set settings) settings {
	set.name = ""
	return set
}

// Filter keeps the rows for which keep is true. A row that is not kept is a deletion for the steps that follow.
func (t Table[K, V]) Filter(keep func(k K, v V) bool, opts ...AggOption) Table[K, V] {
	return filterTable(t, aggSettings("Filter", opts), keep, plainFilter(keep, true))
}

// FilterNot keeps the rows for which drop is false.
func (t Table[K, V]) FilterNot(drop func(k K, v V) bool, opts ...AggOption) Table[K, V] {
	return filterTable(t, aggSettings("FilterNot", opts), drop, plainFilter(drop, false))
}

// TryFilter is [Table.Filter] for a function that can fail.
func (t Table[K, V]) TryFilter(keep func(ctx context.Context, k K, v V) (bool, error), opts ...AggOption) Table[K, V] {
	return filterTable(t, aggSettings("TryFilter", opts), keep, trying(keep))
}

// TryFilterNot is [Table.FilterNot] for a function that can fail.
func (t Table[K, V]) TryFilterNot(drop func(ctx context.Context, k K, v V) (bool, error), opts ...AggOption) Table[K, V] {
	return filterTable(t, aggSettings("TryFilterNot", opts), drop, func(task *node.Task, at *node.Info) func(K, V) (bool, error) {
		f := node.Try(task, at, drop)
		return func(k K, v V) (bool, error) {
			ok, err := f(k, v)
			return !ok, err
		}
	})
}

func plainFilter[K, V any](f func(K, V) bool, want bool) maker[K, V, bool] {
	return plain(func(k K, v V) bool { return f(k, v) == want })
}

func filterTable[K, V any](from Table[K, V], set settings, given any, keep maker[K, V, bool]) Table[K, V] {
	up := from.table()
	up.b.notNil(&set, given)
	t := derive[K, V, V](up, set, "KTABLE-FILTER-", true)
	t.value = ownSerde(&set.value, up.value)
	// Where old values are to be had anyway, they spare deletions of rows that were never there.
	t.sendOld = up.enableOld(false)
	t.compute = func(in *topology.Instance, self *topology.Node, asOf *int64) node.Getter[K, V] {
		return node.FilterGetter(in.Task, in.Info(self), keep(in.Task, in.Info(self)), up.getter(in, asOf))
	}
	return t.finish(up.op, func(in *topology.Instance, self *topology.Node, out *node.Emitter[K, V]) any {
		return node.FilterTable(in.Task, in.Info(self), keep(in.Task, in.Info(self)), up.versioned(), out)
	})
}

// MapTable gives every row a new value.
func MapTable[K, V, V2 any](from Table[K, V], f func(k K, v V) V2, opts ...AggOption) Table[K, V2] {
	return mapTable(from, aggSettings("MapTable", opts), f, plain(f))
}

// TryMapTable is [MapTable] for a function that can fail.
func TryMapTable[K, V, V2 any](from Table[K, V], f func(ctx context.Context, k K, v V) (V2, error),
	opts ...AggOption) Table[K, V2] {
	return mapTable(from, aggSettings("TryMapTable", opts), f, trying(f))
}

func mapTable[K, V, V2 any](from Table[K, V], set settings, given any, f maker[K, V, V2]) Table[K, V2] {
	up := from.table()
	up.b.notNil(&set, given)
	t := derive[K, V, V2](up, set, "KTABLE-MAPVALUES-", true)
	t.compute = func(in *topology.Instance, self *topology.Node, asOf *int64) node.Getter[K, V2] {
		return node.MapGetter(in.Task, in.Info(self), f(in.Task, in.Info(self)), up.getter(in, asOf))
	}
	return t.finish(up.op, func(in *topology.Instance, self *topology.Node, out *node.Emitter[K, V2]) any {
		return node.MapTable(in.Task, in.Info(self), f(in.Task, in.Info(self)), out)
	})
}
