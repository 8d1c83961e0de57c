package stream

import (
	"context"
	"iter"
	"math"
	"time"

	"github.com/oxbow-streams/oxbow/state"
)

// timed is a view of rows with a time: what [WindowView] and [SessionView] share.
type timed[K, V any] struct {
	v     *view
	r     *state.TimedView[K, V]
	where locate[K]
}

func queryTimed[K, V any](a Queryable, t Table[Windowed[K], V], kind state.Kind, call, want string,
	opts []QueryOption) (timed[K, V], error) {
	v, err := queryTable(a, t, opts)
	if err != nil {
		return timed[K, V]{}, err
	}
	r, ok := v.store.Spec.View.(*state.TimedView[K, V])
	if !ok || v.store.Spec.Kind != kind {
		return timed[K, V]{}, v.wrongKind(call, want)
	}
	where, err := locator[K](v, false)
	return timed[K, V]{v, r, where}, err
}

// get returns one row. Its key decides where it is, without the window.
func (t timed[K, V]) get(ctx context.Context, k K, start, end time.Time) (row Row[Windowed[K], V], ok bool, err error) {
	key, err := t.r.InnerKey(k)
	if err != nil {
		return row, false, err
	}
	ok, err = t.v.lookUp(ctx, func(n int32) (int32, error) { return t.where(k, key, n) }, func(rows state.EngineStore) (bool, error) {
		seen, ok, err := t.r.Get(rows, Windowed[K]{Key: k, Start: start, End: end})
		row = rowOf(seen)
		return ok, err
	})
	return row, ok, err
}

func (t timed[K, V]) reading(r state.Between, reverse bool) *reading[state.Seen[Windowed[K], V]] {
	return &reading[state.Seen[Windowed[K], V]]{compare: t.r.Compare, reverse: reverse, decode: t.r.Row,
		open: func(rows state.EngineStore) (state.Iterator, error) { return t.r.Iter(rows, r, reverse) }}
}

// of goes through rows of one key.
func (t timed[K, V]) of(ctx context.Context, k K, from, to, late int64, reverse bool) iter.Seq2[Row[Windowed[K], V], error] {
	return func(yield func(Row[Windowed[K], V], error) bool) {
		key, err := t.r.InnerKey(k)
		if err == nil {
			which := t.v.partsOf(func(n int32) (int32, error) { return t.where(k, key, n) })
			rd := t.reading(state.Between{Key: key, From: from, To: to, Late: late}, reverse)
			err = each(ctx, t.v, rd, which, func(s state.Seen[Windowed[K], V]) bool { return yield(rowOf(s), nil) })
		}
		if err != nil {
			yield(Row[Windowed[K], V]{}, err)
		}
	}
}

// all goes through rows of all keys.
func (t timed[K, V]) all(ctx context.Context, from, to int64, reverse bool) iter.Seq2[Row[Windowed[K], V], error] {
	return rows(ctx, t.v, func() (*reading[state.Seen[Windowed[K], V]], error) {
		return t.reading(state.Between{From: from, To: to, Late: math.MaxInt64}, reverse), nil
	})
}

func (t timed[K, V]) count(ctx context.Context) (int64, error) {
	return t.v.count(ctx, func(rows state.EngineStore) (state.Iterator, error) { return t.r.Iter(rows, state.Everything(), false) },
		t.r.Compare)
}

func (t timed[K, V]) atLeast(p Position) timed[K, V] {
	return timed[K, V]{t.v.atLeast(p), t.r, t.where}
}

// WindowView reads the store of a windowed table in this instance, as [View] does one of keys and values. Windows that the store
// has forgotten, or does not show any more, are not seen.
type WindowView[K, V any] struct{ t timed[K, V] }

// QueryWindows returns a view of the store of a table of time windows.
func QueryWindows[K, V any](a Queryable, t Table[Windowed[K], V], opts ...QueryOption) (WindowView[K, V], error) {
	tv, err := queryTimed(a, t, state.KindWindow, "QueryWindows", "a store of time windows", opts)
	return WindowView[K, V]{tv}, err
}

// Get returns the value of a key in the window that starts at start; ok is false if it has none.
func (v WindowView[K, V]) Get(ctx context.Context, k K, start time.Time) (value V, ok bool, err error) {
	row, ok, err := v.t.get(ctx, k, start, start)
	return row.Value, ok, err
}

// Fetch goes through the windows of a key that start in [from, to], by start.
func (v WindowView[K, V]) Fetch(ctx context.Context, k K, from, to time.Time) iter.Seq2[Row[Windowed[K], V], error] {
	return v.t.of(ctx, k, from.UnixMilli(), to.UnixMilli(), math.MaxInt64, false)
}

// ReverseFetch is [WindowView.Fetch] from the last window to the first.
func (v WindowView[K, V]) ReverseFetch(ctx context.Context, k K, from, to time.Time) iter.Seq2[Row[Windowed[K], V], error] {
	return v.t.of(ctx, k, from.UnixMilli(), to.UnixMilli(), math.MaxInt64, true)
}

// FetchAll goes through the windows of all keys that start in [from, to]: segment after segment of time, in each by key, then by
// start.
func (v WindowView[K, V]) FetchAll(ctx context.Context, from, to time.Time) iter.Seq2[Row[Windowed[K], V], error] {
	return v.t.all(ctx, from.UnixMilli(), to.UnixMilli(), false)
}

// All goes through all windows of all keys, in the order of [WindowView.FetchAll].
func (v WindowView[K, V]) All(ctx context.Context) iter.Seq2[Row[Windowed[K], V], error] {
	return v.t.all(ctx, 0, math.MaxInt64, false)
}

// ApproximateCount is about how many windows the store has in this instance.
func (v WindowView[K, V]) ApproximateCount(ctx context.Context) (int64, error) { return v.t.count(ctx) }

// Position is [View.Position].
func (v WindowView[K, V]) Position(ctx context.Context) (Position, error) { return v.t.v.position(ctx) }

// Await is [View.Await].
func (v WindowView[K, V]) Await(ctx context.Context, p Position) error { return v.t.v.await(ctx, p) }

// AtLeast is [View.AtLeast].
func (v WindowView[K, V]) AtLeast(p Position) WindowView[K, V] {
	return WindowView[K, V]{v.t.atLeast(p)}
}

// SessionView reads the store of a table of sessions in this instance, as [View] does one of keys and values.
type SessionView[K, V any] struct{ t timed[K, V] }

// QuerySessions returns a view of the store of a table of sessions.
func QuerySessions[K, V any](a Queryable, t Table[Windowed[K], V], opts ...QueryOption) (SessionView[K, V], error) {
	tv, err := queryTimed(a, t, state.KindSession, "QuerySessions", "a store of sessions", opts)
	return SessionView[K, V]{tv}, err
}

// Get returns the value of a session; ok is false if there is none with these bounds.
func (v SessionView[K, V]) Get(ctx context.Context, k K, start, end time.Time) (value V, ok bool, err error) {
	row, ok, err := v.t.get(ctx, k, start, end)
	return row.Value, ok, err
}

// Fetch goes through the sessions of a key, by end.
func (v SessionView[K, V]) Fetch(ctx context.Context, k K) iter.Seq2[Row[Windowed[K], V], error] {
	return v.t.of(ctx, k, 0, math.MaxInt64, math.MaxInt64, false)
}

// ReverseFetch goes through the sessions of a key, the last one first.
func (v SessionView[K, V]) ReverseFetch(ctx context.Context, k K) iter.Seq2[Row[Windowed[K], V], error] {
	return v.t.of(ctx, k, 0, math.MaxInt64, math.MaxInt64, true)
}

// FindSessions goes through the sessions of a key that end at earliestEnd or later and start at latestStart or before, by end.
func (v SessionView[K, V]) FindSessions(ctx context.Context, k K, earliestEnd, latestStart time.Time) iter.Seq2[Row[Windowed[K], V], error] {
	return v.t.of(ctx, k, earliestEnd.UnixMilli(), math.MaxInt64, latestStart.UnixMilli(), false)
}

// FetchAll goes through the sessions of all keys that end in [from, to]: segment after segment of time, in each by key, then by end.
func (v SessionView[K, V]) FetchAll(ctx context.Context, from, to time.Time) iter.Seq2[Row[Windowed[K], V], error] {
	return v.t.all(ctx, from.UnixMilli(), to.UnixMilli(), false)
}

// All goes through all sessions of all keys, in the order of [SessionView.FetchAll].
func (v SessionView[K, V]) All(ctx context.Context) iter.Seq2[Row[Windowed[K], V], error] {
	return v.t.all(ctx, 0, math.MaxInt64, false)
}

// ApproximateCount is about how many sessions the store has in this instance.
func (v SessionView[K, V]) ApproximateCount(ctx context.Context) (int64, error) {
	return v.t.count(ctx)
}

// Position is [View.Position].
func (v SessionView[K, V]) Position(ctx context.Context) (Position, error) {
	return v.t.v.position(ctx)
}

// Await is [View.Await].
func (v SessionView[K, V]) Await(ctx context.Context, p Position) error { return v.t.v.await(ctx, p) }

// AtLeast is [View.AtLeast].
func (v SessionView[K, V]) AtLeast(p Position) SessionView[K, V] {
	return SessionView[K, V]{v.t.atLeast(p)}
}
