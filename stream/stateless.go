package stream

import (
	"iter"

	"github.com/oxbow-streams/oxbow/internal/node"
)

// Filter keeps the records for which keep is true.
func (s Stream[K, V]) Filter(keep func(k K, v V) bool, opts ...NodeOption) Stream[K, V] {
	return filter(s, nodeSettings("Filter", opts), true, keep)
}

// FilterNot keeps the records for which drop is false.
func (s Stream[K, V]) FilterNot(drop func(k K, v V) bool, opts ...NodeOption) Stream[K, V] {
	return filter(s, nodeSettings("FilterNot", opts), false, drop)
}

func filter[K, V any](s Stream[K, V], set settings, want bool, f func(K, V) bool) Stream[K, V] {
	s.builder().notNil(&set, f)
	return keeping(s, step[K, V, K, V]{"KSTREAM-FILTER-", set, func(t *node.Task, at *node.Info, next node.Proc[K, V]) node.Proc[K, V] {
		return node.Filter(t, at, want, f, next)
	}}.then(s))
}

// MapValues gives every record a new value.
func MapValues[K, V, V2 any](s Stream[K, V], f func(k K, v V) V2, opts ...NodeOption) Stream[K, V2] {
	set := nodeSettings("MapValues", opts)
	s.builder().notNil(&set, f)
	r := step[K, V, K, V2]{"KSTREAM-MAPVALUES-", set, func(t *node.Task, at *node.Info, next node.Proc[K, V2]) node.Proc[K, V] {
		return node.MapValues(t, at, f, next)
	}}.then(s)
	r.key = s.key
	return r.revalue()
}

// FlatMapValues makes any number of records of each, all with its key.
func FlatMapValues[K, V, V2 any](s Stream[K, V], f func(k K, v V) iter.Seq[V2], opts ...NodeOption) Stream[K, V2] {
	set := nodeSettings("FlatMapValues", opts)
	s.builder().notNil(&set, f)
	return flatMapValues(s, set, func(*node.Task, *node.Info) func(K, V) (iter.Seq[V2], error) {
		return func(k K, v V) (iter.Seq[V2], error) { return f(k, v), nil }
	})
}

func flatMapValues[K, V, V2 any](s Stream[K, V], set settings,
	f func(*node.Task, *node.Info) func(K, V) (iter.Seq[V2], error)) Stream[K, V2] {
	r := step[K, V, K, V2]{"KSTREAM-FLATMAPVALUES-", set, func(t *node.Task, at *node.Info, next node.Proc[K, V2]) node.Proc[K, V] {
		return node.FlatMapValues(t, at, f(t, at), next)
	}}.then(s)
	r.key = s.key
	return r.revalue()
}

// SelectKey gives every record a new key. Steps that need equal keys together (grouping, joins, tables) send the stream
// through a repartition topic then.
func SelectKey[K, V, K2 any](s Stream[K, V], f func(k K, v V) K2, opts ...NodeOption) Stream[K2, V] {
	set := nodeSettings("SelectKey", opts)
	s.builder().notNil(&set, f)
	return selectKey(s, set, plain(f))
}

func selectKey[K, V, K2 any](s Stream[K, V], set settings, f maker[K, V, K2]) Stream[K2, V] {
	r := step[K, V, K2, V]{"KSTREAM-KEY-SELECT-", set, func(t *node.Task, at *node.Info, next node.Proc[K2, V]) node.Proc[K, V] {
		return node.SelectKey(t, at, f(t, at), next)
	}}.then(s)
	r.value = s.value
	return r.rekey()
}

// maker makes the function of a node for one task.
type maker[K, V, R any] func(t *node.Task, at *node.Info) func(K, V) (R, error)

// plain is the maker of a function that cannot fail.
func plain[K, V, R any](f func(K, V) R) maker[K, V, R] {
	g := func(k K, v V) (R, error) { return f(k, v), nil }
	return func(*node.Task, *node.Info) func(K, V) (R, error) { return g }
}

// Map gives every record a new key and a new value.
func Map[K, V, K2, V2 any](s Stream[K, V], f func(k K, v V) (K2, V2), opts ...NodeOption) Stream[K2, V2] {
	set := nodeSettings("Map", opts)
	s.builder().notNil(&set, f)
	return mapBoth(s, set, func(*node.Task, *node.Info) func(K, V) (K2, V2, error) {
		return func(k K, v V) (K2, V2, error) {
			k2, v2 := f(k, v)
			return k2, v2, nil
		}
	})
}

func mapBoth[K, V, K2, V2 any](s Stream[K, V], set settings,
	f func(*node.Task, *node.Info) func(K, V) (K2, V2, error)) Stream[K2, V2] {
	r := step[K, V, K2, V2]{"KSTREAM-MAP-", set, func(t *node.Task, at *node.Info, next node.Proc[K2, V2]) node.Proc[K, V] {
		return node.Map(t, at, f(t, at), next)
	}}.then(s)
	return r.rekey()
}

// FlatMap makes any number of records of each.
func FlatMap[K, V, K2, V2 any](s Stream[K, V], f func(k K, v V) iter.Seq2[K2, V2], opts ...NodeOption) Stream[K2, V2] {
	set := nodeSettings("FlatMap", opts)
	s.builder().notNil(&set, f)
	return flatMap(s, set, plain(f))
}

func flatMap[K, V, K2, V2 any](s Stream[K, V], set settings, f maker[K, V, iter.Seq2[K2, V2]]) Stream[K2, V2] {
	r := step[K, V, K2, V2]{"KSTREAM-FLATMAP-", set, func(t *node.Task, at *node.Info, next node.Proc[K2, V2]) node.Proc[K, V] {
		return node.FlatMap(t, at, f(t, at), next)
	}}.then(s)
	return r.rekey()
}

// Peek shows every record to f and passes it on unchanged.
func (s Stream[K, V]) Peek(f func(k K, v V), opts ...NodeOption) Stream[K, V] {
	set := nodeSettings("Peek", opts)
	s.builder().notNil(&set, f)
	return keeping(s, step[K, V, K, V]{"KSTREAM-PEEK-", set, func(t *node.Task, at *node.Info, next node.Proc[K, V]) node.Proc[K, V] {
		return node.Peek(t, at, f, next)
	}}.then(s))
}

// ForEach ends the stream in f.
func (s Stream[K, V]) ForEach(f func(k K, v V), opts ...NodeOption) {
	set := nodeSettings("ForEach", opts)
	s.builder().notNil(&set, f)
	step[K, V, K, V]{"KSTREAM-FOREACH-", set, func(t *node.Task, at *node.Info, next node.Proc[K, V]) node.Proc[K, V] {
		return node.Peek(t, at, f, next)
	}}.then(s)
}
