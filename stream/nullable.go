package stream

import (
	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/topology"
)

// Nullable shows null values: what was null is None to the steps that follow, instead of passing them unseen. None is written
// as null again where the stream's serde is one of [serde.Opt], as it is by itself for a stream that knows its serde.
func Nullable[K, V any](s Stream[K, V]) Stream[K, Opt[V]] {
	r := Stream[K, Opt[V]]{b: s.builder(), op: s.op, name: s.name, key: s.key, value: optional(s.value), rekeyed: s.rekeyed,
		sources: s.sources, again: new(reuse)}
	r.through = through(s, node.Nullable[K, V])
	return r
}

// Present is the way back from [Nullable]: None becomes null.
func Present[K, V any](s Stream[K, Opt[V]]) Stream[K, V] {
	r := Stream[K, V]{b: s.builder(), op: s.op, name: s.name, key: s.key, value: unwrap(s.value), rekeyed: s.rekeyed,
		sources: s.sources, again: new(reuse)}
	r.through = through(s, node.Present[K, V])
	return r
}

// NullableKeys shows null keys: what was null is None to the steps that follow, instead of the zero K.
func NullableKeys[K, V any](s Stream[K, V]) Stream[Opt[K], V] {
	r := Stream[Opt[K], V]{b: s.builder(), op: s.op, name: s.name, key: optional(s.key), value: s.value, rekeyed: s.rekeyed,
		sources: s.sources, again: new(reuse)}
	r.through = through(s, node.NullableKeys[K, V])
	return r
}

// PresentKeys is the way back from [NullableKeys]: None becomes null.
func PresentKeys[K, V any](s Stream[Opt[K], V]) Stream[K, V] {
	r := Stream[K, V]{b: s.builder(), op: s.op, name: s.name, key: unwrap(s.key), value: s.value, rekeyed: s.rekeyed,
		sources: s.sources, again: new(reuse)}
	r.through = through(s, node.PresentKeys[K, V])
	return r
}

// through attaches what follows a change of view, which is no node of its own: it takes no number and stands in no
// description.
func through[K, V, K2, V2 any](s Stream[K, V], view func(node.Proc[K2, V2]) node.Proc[K, V]) attach[K2, V2] {
	return func(in *topology.Instance, parent, self *topology.Node, p node.Proc[K2, V2]) {
		s.put(in, parent, self, view(p))
	}
}

// optional is the serde of a view with None for null.
func optional[T any](s serde.Serde[T]) serde.Serde[Opt[T]] {
	if s == nil {
		return nil
	}
	return serde.Opt(s)
}

// unwrap is the way back, nil if the serde was not made by [serde.Opt].
func unwrap[T any](s serde.Serde[Opt[T]]) serde.Serde[T] {
	if o, ok := s.(interface{ Some() serde.Serde[T] }); ok {
		return o.Some()
	}
	return nil
}
