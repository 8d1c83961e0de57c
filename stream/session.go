package stream

import (
	"context"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// SessionStream is a grouped stream whose records are about to be folded by key and session.
type SessionStream[K, V any] struct {
	g Grouped[K, V]
	w Gap
}

// SessionBy groups further, by sessions. A record that comes between two of them makes one session of both: the rows of the old
// ones are deleted.
func SessionBy[K, V any](g Grouped[K, V], w Gap) SessionStream[K, V] {
	g.s.builder()
	return SessionStream[K, V]{g, w}
}

// Count counts the records of each key and session, those with a null value too.
func (w SessionStream[K, V]) Count(opts ...AggOption) Table[Windowed[K], int64] {
	set := aggSettings("Count", opts)
	if set.materialized && set.store == "" {
		w.g.s.b.graph.StoreName("KSTREAM-AGGREGATE-") // Kafka Streams takes a number here too
	}
	return foldSessions(w, set, "KSTREAM-AGGREGATE-", serde.Int64, &fold[K, V, int64]{g: w.g, nulls: true, step: counting[K, V]},
		plainMerge(func() int64 { return 0 }, func(_ K, a, b int64) int64 { return a + b }))
}

// Reduce folds the records of each key and session into one value: the first as it is, then f of what there was and what comes.
// f also makes one value of two sessions.
func (w SessionStream[K, V]) Reduce(f func(old, v V) V, opts ...AggOption) Table[Windowed[K], V] {
	set := aggSettings("Reduce", opts)
	w.g.s.b.notNil(&set, f)
	return reduceSessions(w, set, plainReduce[K](f))
}

// ReduceOpt is [SessionStream.Reduce] for a function that may delete the row, by None.
func (w SessionStream[K, V]) ReduceOpt(f func(old, v V) Opt[V], opts ...AggOption) Table[Windowed[K], V] {
	set := aggSettings("ReduceOpt", opts)
	w.g.s.b.notNil(&set, f)
	return reduceSessions(w, set, plainReduceOpt[K](f))
}

// TryReduce is [SessionStream.Reduce] for a function that can fail.
func (w SessionStream[K, V]) TryReduce(f func(ctx context.Context, old, v V) (V, error), opts ...AggOption) Table[Windowed[K], V] {
	set := aggSettings("TryReduce", opts)
	w.g.s.b.notNil(&set, f)
	return reduceSessions(w, set, tryReduce[K](f))
}

// TryReduceOpt is [SessionStream.ReduceOpt] for a function that can fail.
func (w SessionStream[K, V]) TryReduceOpt(f func(ctx context.Context, old, v V) (Opt[V], error),
	opts ...AggOption) Table[Windowed[K], V] {
	set := aggSettings("TryReduceOpt", opts)
	w.g.s.b.notNil(&set, f)
	return reduceSessions(w, set, tryReduceOpt[K](f))
}

func reduceSessions[K, V any](w SessionStream[K, V], set settings, step stepMaker[K, V, V]) Table[Windowed[K], V] {
	return foldSessions(w, set, "KSTREAM-REDUCE-", w.g.s.value, &fold[K, V, V]{g: w.g, step: always(step)},
		func(t *node.Task, at *node.Info) node.Merge[K, V] {
			f := step(t, at)
			return func(k K, left Opt[V], right V) (Opt[V], error) { return f(k, right, left) }
		})
}

// AggregateSession folds the records of each key and session into a value of another type, beginning with zero. merge makes one
// aggregate of two sessions; left is what was merged so far, beginning with zero.
func AggregateSession[K, V, A any](w SessionStream[K, V], zero func() A, add func(k K, v V, a A) A, merge func(k K, left, right A) A,
	opts ...AggOption) Table[Windowed[K], A] {
	set := aggSettings("AggregateSession", opts)
	for _, f := range []any{zero, add, merge} {
		w.g.s.b.notNil(&set, f)
	}
	return foldSessions(w, set, "KSTREAM-AGGREGATE-", nil, &fold[K, V, A]{g: w.g, step: always(plainFold(zero, add))},
		plainMerge(zero, merge))
}

// TryAggregateSession is [AggregateSession] for functions that can fail.
func TryAggregateSession[K, V, A any](w SessionStream[K, V], zero func() A,
	add func(ctx context.Context, k K, v V, a A) (A, error), merge func(ctx context.Context, k K, left, right A) (A, error),
	opts ...AggOption) Table[Windowed[K], A] {
	set := aggSettings("TryAggregateSession", opts)
	for _, f := range []any{zero, add, merge} {
		w.g.s.b.notNil(&set, f)
	}
	return foldSessions(w, set, "KSTREAM-AGGREGATE-", nil, &fold[K, V, A]{g: w.g, step: always(tryFold(zero, add))},
		tryMerge(zero, merge))
}

// AggregateSessionOpt folds the records of each key and session. old, and left of the first session that is merged, are absent
// where a session begins; None deletes the row.
func AggregateSessionOpt[K, V, A any](w SessionStream[K, V], add func(k K, v V, old Opt[A]) Opt[A],
	merge func(k K, left Opt[A], right A) Opt[A], opts ...AggOption) Table[Windowed[K], A] {
	set := aggSettings("AggregateSessionOpt", opts)
	w.g.s.b.notNil(&set, add)
	w.g.s.b.notNil(&set, merge)
	return foldSessions(w, set, "KSTREAM-AGGREGATE-", nil, &fold[K, V, A]{g: w.g, step: always(plainOpt(add))}, plainMergeOpt(merge))
}

// TryAggregateSessionOpt is [AggregateSessionOpt] for functions that can fail.
func TryAggregateSessionOpt[K, V, A any](w SessionStream[K, V], add func(ctx context.Context, k K, v V, old Opt[A]) (Opt[A], error),
	merge func(ctx context.Context, k K, left Opt[A], right A) (Opt[A], error), opts ...AggOption) Table[Windowed[K], A] {
	set := aggSettings("TryAggregateSessionOpt", opts)
	w.g.s.b.notNil(&set, add)
	w.g.s.b.notNil(&set, merge)
	return foldSessions(w, set, "KSTREAM-AGGREGATE-", nil, &fold[K, V, A]{g: w.g, step: always(tryOpt(add))}, tryMergeOpt(merge))
}

func plainMerge[K, A any](zero func() A, f func(K, A, A) A) mergeMaker[K, A] {
	return func(*node.Task, *node.Info) node.Merge[K, A] {
		return func(k K, left Opt[A], right A) (Opt[A], error) {
			a, ok := left.Get()
			if !ok {
				a = zero()
			}
			return Some(f(k, a, right)), nil
		}
	}
}

func tryMerge[K, A any](zero func() A, f func(context.Context, K, A, A) (A, error)) mergeMaker[K, A] {
	return func(t *node.Task, at *node.Info) node.Merge[K, A] {
		try := node.TryFold(t, at, f)
		return func(k K, left Opt[A], right A) (Opt[A], error) {
			a, ok := left.Get()
			if !ok {
				a = zero()
			}
			a, err := try(k, a, right)
			return Some(a), err
		}
	}
}

func plainMergeOpt[K, A any](f func(K, Opt[A], A) Opt[A]) mergeMaker[K, A] {
	return func(*node.Task, *node.Info) node.Merge[K, A] {
		return func(k K, left Opt[A], right A) (Opt[A], error) { return f(k, left, right), nil }
	}
}

func tryMergeOpt[K, A any](f func(context.Context, K, Opt[A], A) (Opt[A], error)) mergeMaker[K, A] {
	return func(t *node.Task, at *node.Info) node.Merge[K, A] { return node.TryFold(t, at, f) }
}

// foldSessions adds the node that folds a stream by sessions, and its store. value is the serde of the result, if known.
func foldSessions[K, V, A any](w SessionStream[K, V], set settings, prefix string, value serde.Serde[A], f *fold[K, V, A],
	merge mergeMaker[K, A]) Table[Windowed[K], A] {
	b := w.g.s.builder()
	gap := checkGap(b, &set, w.w)
	t := newWindowTable[K, A](b, set, prefix, gap.Gap+gap.Grace, gap.Gap+gap.Grace)
	t.name = b.graph.NameOr(set.name, prefix)
	return t.fold(f, value, windowing{}, gap, merge)
}

// checkGap finds sessions that cannot be.
func checkGap(b *Builder, set *settings, g Gap) node.Sessions {
	gap, bad := g.sessions()
	if bad != "" {
		faultf(b, set, "Session: %s", bad)
	}
	if set.expireOnJump {
		faultf(b, set, "ExpireOnJump: no session is lost when time jumps, neither here nor in Kafka Streams; leave it out")
	}
	return gap
}
