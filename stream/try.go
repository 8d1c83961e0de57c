package stream

import (
	"context"
	"iter"

	"github.com/oxbow-streams/oxbow/internal/node"
)

// The Try twins take functions that can fail. What they return as an error is classified and meets the policy of the step, see
// [OnError]. Their context has a deadline, tells the record's [MetadataOf], and ends with the call.

// trying is the maker of a function that can fail.
func trying[K, V, R any](f func(context.Context, K, V) (R, error)) maker[K, V, R] {
	return func(t *node.Task, at *node.Info) func(K, V) (R, error) { return node.Try(t, at, f) }
}

// TryFilter is [Stream.Filter] for a function that can fail.
func (s Stream[K, V]) TryFilter(keep func(ctx context.Context, k K, v V) (bool, error), opts ...NodeOption) Stream[K, V] {
	return tryFilter(s, nodeSettings("TryFilter", opts), true, keep)
}

// TryFilterNot is [Stream.FilterNot] for a function that can fail.
func (s Stream[K, V]) TryFilterNot(drop func(ctx context.Context, k K, v V) (bool, error), opts ...NodeOption) Stream[K, V] {
	return tryFilter(s, nodeSettings("TryFilterNot", opts), false, drop)
}

func tryFilter[K, V any](s Stream[K, V], set settings, want bool, f func(context.Context, K, V) (bool, error)) Stream[K, V] {
	s.builder().notNil(&set, f)
	return keeping(s, step[K, V, K, V]{"KSTREAM-FILTER-", set, func(t *node.Task, at *node.Info, next node.Proc[K, V]) node.Proc[K, V] {
		return node.TryFilter(t, at, want, node.Try(t, at, f), next)
	}}.then(s))
}

// TryMapValues is [MapValues] for a function that can fail.
func TryMapValues[K, V, V2 any](s Stream[K, V], f func(ctx context.Context, k K, v V) (V2, error),
	opts ...NodeOption) Stream[K, V2] {
	set := nodeSettings("TryMapValues", opts)
	s.builder().notNil(&set, f)
	r := step[K, V, K, V2]{"KSTREAM-MAPVALUES-", set, func(t *node.Task, at *node.Info, next node.Proc[K, V2]) node.Proc[K, V] {
		return node.TryMapValues(t, at, node.Try(t, at, f), next)
	}}.then(s)
	r.key = s.key
	return r.revalue()
}

// TryFlatMapValues is [FlatMapValues] for a function that can fail.
func TryFlatMapValues[K, V, V2 any](s Stream[K, V], f func(ctx context.Context, k K, v V) (iter.Seq[V2], error),
	opts ...NodeOption) Stream[K, V2] {
	set := nodeSettings("TryFlatMapValues", opts)
	s.builder().notNil(&set, f)
	return flatMapValues(s, set, trying(f))
}

// TrySelectKey is [SelectKey] for a function that can fail.
func TrySelectKey[K, V, K2 any](s Stream[K, V], f func(ctx context.Context, k K, v V) (K2, error),
	opts ...NodeOption) Stream[K2, V] {
	set := nodeSettings("TrySelectKey", opts)
	s.builder().notNil(&set, f)
	return selectKey(s, set, trying(f))
}

// TryMap is [Map] for a function that can fail.
func TryMap[K, V, K2, V2 any](s Stream[K, V], f func(ctx context.Context, k K, v V) (K2, V2, error),
	opts ...NodeOption) Stream[K2, V2] {
	set := nodeSettings("TryMap", opts)
	s.builder().notNil(&set, f)
	return mapBoth(s, set, func(t *node.Task, at *node.Info) func(K, V) (K2, V2, error) { return node.TryPair(t, at, f) })
}

// TryFlatMap is [FlatMap] for a function that can fail.
func TryFlatMap[K, V, K2, V2 any](s Stream[K, V], f func(ctx context.Context, k K, v V) (iter.Seq2[K2, V2], error),
	opts ...NodeOption) Stream[K2, V2] {
	set := nodeSettings("TryFlatMap", opts)
	s.builder().notNil(&set, f)
	return flatMap(s, set, trying(f))
}

// TryPeek is [Stream.Peek] for a function that can fail.
func (s Stream[K, V]) TryPeek(f func(ctx context.Context, k K, v V) error, opts ...NodeOption) Stream[K, V] {
	return keeping(s, tryPeek(s, "KSTREAM-PEEK-", nodeSettings("TryPeek", opts), f))
}

// TryForEach is [Stream.ForEach] for a function that can fail.
func (s Stream[K, V]) TryForEach(f func(ctx context.Context, k K, v V) error, opts ...NodeOption) {
	tryPeek(s, "KSTREAM-FOREACH-", nodeSettings("TryForEach", opts), f)
}

func tryPeek[K, V any](s Stream[K, V], prefix string, set settings, f func(context.Context, K, V) error) Stream[K, V] {
	s.builder().notNil(&set, f)
	return step[K, V, K, V]{prefix, set, func(t *node.Task, at *node.Info, next node.Proc[K, V]) node.Proc[K, V] {
		return node.TryPeek(t, at, node.TryDo(t, at, f), next)
	}}.then(s)
}
