package node

import (
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// SelfJoin is the inner join of a stream with itself on one store. Its window holds a record's own time.
//
//	W7  Results are those of [StreamJoin], in their order: the record with the earlier ones, the earlier ones with it, and it with
//	    itself, which is not there if the record is too late for the store.
func SelfJoin[K, V, O any](t *Task, at *Info, store *state.JoinStore[K, V], before, after int64,
	join func(k K, l, r record.Opt[V]) (O, error), next Proc[K, O]) Proc[K, V] {
	out := new(Rec[K, O])
	stored := func(err error) error {
		t.At = at
		return t.stateError(at, err)
	}
	scan := func(r *Rec[K, V], from, to int64, right bool) error {
		cur, err := store.Fetch(r.Key, max(0, from), max(0, to))
		if err != nil {
			return stored(err)
		}
		defer cur.Close()
		for cur.Next() {
			a, b := record.Some(r.Value), record.Some(cur.Value())
			if right {
				a, b = b, a
			}
			t.At = at
			o, err := join(r.Key, a, b)
			if err != nil {
				return t.userError(at, err)
			}
			*out = Rec[K, O]{Key: r.Key, Value: o, Time: max(r.Time, cur.Time()), Headers: r.Headers}
			if err := next(out); err != nil {
				return err
			}
		}
		return stored(cur.Err())
	}
	return func(r *Rec[K, V]) error {
		if r.Null || r.NullKey {
			at.Stats.Dropped[dropOf(r.NullKey)]++
			return nil
		}
		if err := scan(r, r.Time-before, r.Time+after, false); err != nil {
			return err
		}
		if err := store.Put(r.Key, r.Time, r.Value); err != nil {
			return stored(err)
		}
		return scan(r, r.Time-after, r.Time+before, true)
	}
}
