package node

import (
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// Row is the current value of a table's key, with its timestamp. OK is false if there is none.
type Row[V any] struct {
	Value V
	Time  int64
	OK    bool
}

// Getter reads the current row of a table: from its store, or computed from the table it is derived of.
type Getter[K, V any] func(k K) (Row[V], error)

// StoreGetter reads a materialised table.
func StoreGetter[K, V any](t *Task, at *Info, store *state.Table[K, V]) Getter[K, V] {
	t.looksUp(store)
	get := store.Reader()
	return func(k K) (Row[V], error) {
		t.At, t.Doing = at, DoingState
		v, ts, ok, err := get(k)
		t.Doing = DoingFunction
		return Row[V]{v, ts, ok}, t.stateError(at, err)
	}
}

// FilterGetter reads a filtered table that has no store.
func FilterGetter[K, V any](t *Task, at *Info, keep func(K, V) (bool, error), from Getter[K, V]) Getter[K, V] {
	return func(k K) (Row[V], error) {
		row, err := from(k)
		if err != nil || !row.OK {
			return Row[V]{}, err
		}
		t.At = at
		ok, err := keep(k, row.Value)
		if err != nil {
			return Row[V]{}, t.userError(at, err)
		}
		if !ok {
			return Row[V]{}, nil
		}
		return row, nil
	}
}

// MapGetter reads a mapped table that has no store.
func MapGetter[K, V, V2 any](t *Task, at *Info, f func(K, V) (V2, error), from Getter[K, V]) Getter[K, V2] {
	return func(k K) (Row[V2], error) {
		row, err := from(k)
		if err != nil || !row.OK {
			return Row[V2]{}, err
		}
		t.At = at
		v, err := f(k, row.Value)
		if err != nil {
			return Row[V2]{}, t.userError(at, err)
		}
		return Row[V2]{v, row.Time, true}, nil
	}
}

// TransformGetter reads a transformed table that has no store. f is asked about rows that are not there, too.
func TransformGetter[K, V, V2 any](t *Task, at *Info, f func(K, record.Opt[V]) (record.Opt[V2], error),
	from Getter[K, V]) Getter[K, V2] {
	return func(k K) (Row[V2], error) {
		row, err := from(k)
		if err != nil {
			return Row[V2]{}, err
		}
		t.At = at
		v, err := f(k, record.OptOf(row.Value, row.OK))
		if err != nil {
			return Row[V2]{}, t.userError(at, err)
		}
		v2, ok := v.Get()
		return Row[V2]{v2, row.Time, ok}, nil
	}
}
