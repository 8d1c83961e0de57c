package stream

import (
	"context"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/topology"
)

// MapTableOpt is [MapTable] for a function that may delete the row, by None. It is not called for deletions.
func MapTableOpt[K, V, V2 any](from Table[K, V], f func(k K, v V) Opt[V2], opts ...AggOption) Table[K, V2] {
	set := aggSettings("MapTableOpt", opts)
	from.table().b.notNil(&set, f)
	return mapTableOpt(from, set, plain(f))
}

// TryMapTableOpt is [MapTableOpt] for a function that can fail.
func TryMapTableOpt[K, V, V2 any](from Table[K, V], f func(ctx context.Context, k K, v V) (Opt[V2], error),
	opts ...AggOption) Table[K, V2] {
	set := aggSettings("TryMapTableOpt", opts)
	from.table().b.notNil(&set, f)
	return mapTableOpt(from, set, trying(f))
}

func mapTableOpt[K, V, V2 any](from Table[K, V], set settings, mk maker[K, V, Opt[V2]]) Table[K, V2] {
	return transform(from, set, "KTABLE-MAPVALUES-", true, nil, func(in *topology.Instance, self *topology.Node) func(K, Opt[V]) (Opt[V2], error) {
		f := mk(in.Task, in.Info(self))
		return func(k K, v Opt[V]) (Opt[V2], error) {
			some, ok := v.Get()
			if !ok {
				return None[V2](), nil
			}
			return f(k, some)
		}
	})
}

// TransformTable gives every row a new value, of a function made once per task by mk, so that it may keep something between
// calls. It is called for deletions too, and may delete by None. Where old values are needed and the table has no store, it is
// called for those as well: name the table with [As] if that matters.
func TransformTable[K, V, V2 any](from Table[K, V], mk func() func(k K, v Opt[V]) Opt[V2], opts ...AggOption) Table[K, V2] {
	set := aggSettings("TransformTable", opts)
	from.table().b.notNil(&set, mk)
	return transform(from, set, tableValues, false, nil, func(*topology.Instance, *topology.Node) func(K, Opt[V]) (Opt[V2], error) {
		f := mk()
		return func(k K, v Opt[V]) (Opt[V2], error) { return f(k, v), nil }
	})
}

// TryTransformTable is [TransformTable] for functions that can fail.
func TryTransformTable[K, V, V2 any](from Table[K, V], mk func() func(ctx context.Context, k K, v Opt[V]) (Opt[V2], error),
	opts ...AggOption) Table[K, V2] {
	set := aggSettings("TryTransformTable", opts)
	from.table().b.notNil(&set, mk)
	return transform(from, set, tableValues, false, nil, func(in *topology.Instance, self *topology.Node) func(K, Opt[V]) (Opt[V2], error) {
		return node.Try(in.Task, in.Info(self), mk())
	})
}

// transform adds a step that gives rows new values. uses, if set, tells what its node needs beside; f makes the function, for the
// node and for each that looks rows up.
func transform[K, V, V2 any](from Table[K, V], set settings, prefix string, burns bool, uses func(*topology.Compiler, *topology.Node),
	f func(*topology.Instance, *topology.Node) func(K, Opt[V]) (Opt[V2], error)) Table[K, V2] {
	up := from.table()
	t := derive[K, V, V2](up, set, prefix, burns)
	t.uses = uses
	t.compute = func(in *topology.Instance, self *topology.Node, asOf *int64) node.Getter[K, V2] {
		return node.TransformGetter(in.Task, in.Info(self), f(in, self), up.getter(in, asOf))
	}
	return t.finish(up.op, func(in *topology.Instance, self *topology.Node, out *node.Emitter[K, V2]) any {
		return node.TransformTable(in.Task, in.Info(self), f(in, self), out)
	})
}
