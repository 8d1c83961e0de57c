package stream

import "context"

// JoinStream brings together records of two streams that have the same key and are close in time, and makes a result of each
// pair. Records with a null key or value make none. Both topics need equal partition counts; a stream whose key may have changed
// goes through a repartition topic first.
//
// Each side has a store of the records that may still be joined: it keeps them, by the time of its own stream, for the length of
// the window and its grace. A record that comes late is joined with what is left of the other side.
func JoinStream[K, L, R, O any](l Stream[K, L], r Stream[K, R], w JoinWindow, f func(k K, l L, r R) O,
	opts ...StreamJoinOption) Stream[K, O] {
	set := streamJoinSettings("JoinStream", opts)
	l.builder().notNil(&set, f)
	return joinStreams(l, r, w, set, joinInner, plainPair(func(k K, l Opt[L], r Opt[R]) O {
		lv, _ := l.Get()
		rv, _ := r.Get()
		return f(k, lv, rv)
	}))
}

// TryJoinStream is [JoinStream] for a function that can fail.
func TryJoinStream[K, L, R, O any](l Stream[K, L], r Stream[K, R], w JoinWindow,
	f func(ctx context.Context, k K, l L, r R) (O, error), opts ...StreamJoinOption) Stream[K, O] {
	set := streamJoinSettings("TryJoinStream", opts)
	l.builder().notNil(&set, f)
	return joinStreams(l, r, w, set, joinInner, tryPair(func(ctx context.Context, k K, l Opt[L], r Opt[R]) (O, error) {
		lv, _ := l.Get()
		rv, _ := r.Get()
		return f(ctx, k, lv, rv)
	}))
}

// LeftJoinStream is [JoinStream] with a result also for left records that meet none of the right, a null key among them: then r
// is None. It comes when stream time has passed the record's window and grace, with the next record that does not come late; at
// once for a record whose window has passed already, and for one with a null key.
func LeftJoinStream[K, L, R, O any](l Stream[K, L], r Stream[K, R], w JoinWindow, f func(k K, l L, r Opt[R]) O,
	opts ...StreamJoinOption) Stream[K, O] {
	set := streamJoinSettings("LeftJoinStream", opts)
	l.builder().notNil(&set, f)
	return joinStreams(l, r, w, set, joinLeft, plainPair(func(k K, l Opt[L], r Opt[R]) O {
		lv, _ := l.Get()
		return f(k, lv, r)
	}))
}

// TryLeftJoinStream is [LeftJoinStream] for a function that can fail.
func TryLeftJoinStream[K, L, R, O any](l Stream[K, L], r Stream[K, R], w JoinWindow,
	f func(ctx context.Context, k K, l L, r Opt[R]) (O, error), opts ...StreamJoinOption) Stream[K, O] {
	set := streamJoinSettings("TryLeftJoinStream", opts)
	l.builder().notNil(&set, f)
	return joinStreams(l, r, w, set, joinLeft, tryPair(func(ctx context.Context, k K, l Opt[L], r Opt[R]) (O, error) {
		lv, _ := l.Get()
		return f(ctx, k, lv, r)
	}))
}

// OuterJoinStream is [LeftJoinStream] with results also for right records that meet none of the left: then l is None.
func OuterJoinStream[K, L, R, O any](l Stream[K, L], r Stream[K, R], w JoinWindow, f func(k K, l Opt[L], r Opt[R]) O,
	opts ...StreamJoinOption) Stream[K, O] {
	set := streamJoinSettings("OuterJoinStream", opts)
	l.builder().notNil(&set, f)
	return joinStreams(l, r, w, set, joinOuter, plainPair(f))
}

// TryOuterJoinStream is [OuterJoinStream] for a function that can fail.
func TryOuterJoinStream[K, L, R, O any](l Stream[K, L], r Stream[K, R], w JoinWindow,
	f func(ctx context.Context, k K, l Opt[L], r Opt[R]) (O, error), opts ...StreamJoinOption) Stream[K, O] {
	set := streamJoinSettings("TryOuterJoinStream", opts)
	l.builder().notNil(&set, f)
	return joinStreams(l, r, w, set, joinOuter, tryPair(f))
}
