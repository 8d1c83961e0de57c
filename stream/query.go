package stream

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/oxbow-streams/oxbow/state"
)

// Row is a row of a store. Time is the zero time in a store that keeps none.
type Row[K, V any] struct {
	Key   K
	Value V
	Time  time.Time
}

// View reads a store of keys and values in this instance: what was committed, and nothing else. It may be used by any goroutine,
// before, while and after the application runs, rebalances and restores; what cannot be answered is an error: a
// [*NotRunningError], [*StoreNotHereError], [*RestoringError] or [*PositionError].
//
// A method that goes through rows opens all partitions of the store that are here when its loop begins, shows them as of then, in
// the order of the encoded keys, and closes them when the loop ends. An error is the last thing that a loop gets.
type View[K, V any] struct {
	v     *view
	r     *state.View[K, V]
	where locate[K]
}

// Query returns a view of a table's store. The table must have one: name it with [As].
func Query[K, V any](a Queryable, t Table[K, V], opts ...QueryOption) (View[K, V], error) {
	v, err := queryTable(a, t, opts)
	if err != nil {
		return View[K, V]{}, err
	}
	r, ok := v.store.Spec.View.(*state.View[K, V])
	if !ok {
		return View[K, V]{}, v.wrongKind("Query", "a store of keys and values")
	}
	where, err := locator[K](v, false)
	return View[K, V]{v, r, where}, err
}

// QueryGlobal returns a view of a global table. All of it is in every instance.
func QueryGlobal[K, V any](a Queryable, t GlobalTable[K, V], opts ...QueryOption) (View[K, V], error) {
	g := t.table()
	v, err := query(a, g.store, g, g.set.site, opts)
	if err != nil {
		return View[K, V]{}, err
	}
	return View[K, V]{v, v.store.Spec.View.(*state.View[K, V]), func(K, []byte, int32) (int32, error) { return 0, nil }}, nil
}

// QueryStore returns a view of a processor's key-value store. A processor may put any key into any partition, so a look-up goes
// through all partitions that are here, unless the option [PartitionBy] says where a key is.
func QueryStore[K, V any](a Queryable, ref KVRef[K, V], opts ...QueryOption) (View[K, V], error) {
	if ref.d == nil {
		return View[K, V]{}, errors.New("query: a zero KVRef: declare the store with KeyValue")
	}
	v, err := query(a, ref.d.name, ref.d, ref.d.set.site, opts)
	if err != nil {
		return View[K, V]{}, err
	}
	r, ok := v.store.Spec.View.(*state.View[K, V])
	if !ok {
		return View[K, V]{}, v.wrongKind("QueryStore", "a store of keys and values")
	}
	where, err := locator[K](v, true)
	return View[K, V]{v, r, where}, err
}

// Get returns the value of a key; ok is false if it has none.
func (v View[K, V]) Get(ctx context.Context, k K) (value V, ok bool, err error) {
	row, ok, err := v.Row(ctx, k)
	return row.Value, ok, err
}

// Row returns the value of a key and its time; ok is false if it has none.
func (v View[K, V]) Row(ctx context.Context, k K) (row Row[K, V], ok bool, err error) {
	key, err := v.r.Key(k)
	if err != nil {
		return row, false, err
	}
	ok, err = v.v.lookUp(ctx, func(n int32) (int32, error) { return v.where(k, key, n) }, func(rows state.EngineStore) (bool, error) {
		seen, ok, err := v.r.Get(rows, key)
		row = rowOf(seen)
		return ok, err
	})
	return row, ok, err
}

func rowOf[K, V any](s state.Seen[K, V]) Row[K, V] {
	row := Row[K, V]{Key: s.Key, Value: s.Value}
	if s.Time >= 0 {
		row.Time = time.UnixMilli(s.Time).UTC()
	}
	return row
}

// Range goes from from to to, both included.
func (v View[K, V]) Range(ctx context.Context, from, to K) iter.Seq2[Row[K, V], error] {
	return v.between(ctx, Some(from), Some(to), false)
}

// ReverseRange goes from to down to from, both included.
func (v View[K, V]) ReverseRange(ctx context.Context, from, to K) iter.Seq2[Row[K, V], error] {
	return v.between(ctx, Some(from), Some(to), true)
}

// All goes through all rows.
func (v View[K, V]) All(ctx context.Context) iter.Seq2[Row[K, V], error] {
	return v.between(ctx, None[K](), None[K](), false)
}

// ReverseAll goes through all rows, the last one first.
func (v View[K, V]) ReverseAll(ctx context.Context) iter.Seq2[Row[K, V], error] {
	return v.between(ctx, None[K](), None[K](), true)
}

// PrefixScan goes through the rows of which the encoded key begins with these bytes.
func (v View[K, V]) PrefixScan(ctx context.Context, prefix []byte) iter.Seq2[Row[K, V], error] {
	return v.rows(ctx, false, func() (lower, upper []byte, err error) { return prefix, state.PrefixEnd(prefix), nil })
}

func (v View[K, V]) between(ctx context.Context, from, to Opt[K], reverse bool) iter.Seq2[Row[K, V], error] {
	return v.rows(ctx, reverse, func() (lower, upper []byte, err error) { return v.r.Bounds(from, to) })
}

func (v View[K, V]) rows(ctx context.Context, reverse bool, bounds func() (lower, upper []byte, err error)) iter.Seq2[Row[K, V], error] {
	return rows(ctx, v.v, func() (*reading[state.Seen[K, V]], error) {
		lower, upper, err := bounds()
		return &reading[state.Seen[K, V]]{compare: v.v.store.Spec.Kind.Compare, reverse: reverse, decode: v.r.Row,
			open: func(rows state.EngineStore) (state.Iterator, error) { return rows.Iter(lower, upper, reverse) }}, err
	})
}

// ApproximateCount is about how many rows the store has in this instance.
func (v View[K, V]) ApproximateCount(ctx context.Context) (int64, error) {
	return v.v.count(ctx, func(rows state.EngineStore) (state.Iterator, error) { return rows.Iter(nil, nil, false) },
		v.v.store.Spec.Kind.Compare)
}

// Position says which inputs the rows here include.
func (v View[K, V]) Position(ctx context.Context) (Position, error) { return v.v.position(ctx) }

// Await waits until the rows here include a position, as far as it is about inputs of this store. It returns an error when ctx
// ends before, and at once if a partition that the position is about is not in this instance.
func (v View[K, V]) Await(ctx context.Context, p Position) error { return v.v.await(ctx, p) }

// AtLeast returns a view whose reads fail with a [*PositionError] unless the rows that they read include a position.
func (v View[K, V]) AtLeast(p Position) View[K, V] { return View[K, V]{v.v.atLeast(p), v.r, v.where} }
