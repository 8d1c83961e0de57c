package node

import "github.com/oxbow-streams/oxbow/internal/record"

// TableSource turns records into changes of a table: a null value deletes the row, a null key is dropped. If nothing needs a
// store the changes carry no old value.
//
//	T1  A row takes the timestamp of the record, also when that is older than the stored one: a table follows its topic in
//	    offset order.
//	T2  Without a store a tombstone is sent on whether or not there was a row.
func TableSource[K, V any](t *Task, at *Info, out *Emitter[K, V]) Proc[K, V] {
	out.looksUp()
	return func(r *Rec[K, V]) error {
		if r.NullKey {
			at.Stats.Dropped[DropNullKey]++
			return nil
		}
		if !out.materialised() {
			return out.send(r.Key, Change[V]{New: record.OptOf(r.Value, !r.Null)}, r.Time, r.Headers)
		}
		e, err := out.find(r.Key)
		if err != nil {
			return err
		}
		return out.put(e, r.Key, record.OptOf(r.Value, !r.Null), r.Time, r.Time, r.Headers)
	}
}

// FilterTable keeps the rows for which keep is true; a row that is not kept becomes a deletion. keep is not asked about
// deletions. versioned says that the rows come from a versioned table.
//
//	T3  With old values a change from no row to no row is not sent on, unless it comes from a versioned table; without them
//	    every row that is not kept is a deletion downstream, also one that was never there.
func FilterTable[K, V any](t *Task, at *Info, keep func(K, V) (bool, error), versioned bool,
	out *Emitter[K, V]) Proc[K, Change[V]] {
	kept := func(k K, v record.Opt[V]) (record.Opt[V], error) {
		value, ok := v.Get()
		if !ok {
			return v, nil
		}
		t.At = at
		ok, err := keep(k, value)
		return record.OptOf(value, ok), err
	}
	useful := out.sendOld && !versioned
	return func(r *Rec[K, Change[V]]) error {
		now, err := kept(r.Key, r.Value.New)
		if err != nil {
			return t.userError(at, err)
		}
		if out.materialised() {
			if useful && !now.IsSome() {
				if _, _, _, had, err := out.load(r.Key); err != nil || !had {
					return err
				}
			}
			e, err := out.find(r.Key)
			if err != nil {
				return err
			}
			return out.put(e, r.Key, now, r.Time, r.Time, r.Headers)
		}
		var old record.Opt[V]
		if out.sendOld {
			if old, err = kept(r.Key, r.Value.Old); err != nil {
				return t.userError(at, err)
			}
		}
		if useful && !old.IsSome() && !now.IsSome() {
			return nil
		}
		return out.send(r.Key, Change[V]{New: now, Old: old, Stale: r.Value.Stale}, r.Time, r.Headers)
	}
}

// MapTable gives every row a new value; deletions stay deletions, unseen.
func MapTable[K, V, V2 any](t *Task, at *Info, f func(K, V) (V2, error), out *Emitter[K, V2]) Proc[K, Change[V]] {
	mapped := func(k K, v record.Opt[V]) (record.Opt[V2], error) {
		value, ok := v.Get()
		if !ok {
			return record.Opt[V2]{}, nil
		}
		t.At = at
		v2, err := f(k, value)
		return record.OptOf(v2, err == nil), err
	}
	return transformTable(t, at, mapped, out)
}

// TransformTable is [MapTable] for a function that also sees deletions and may answer with one.
func TransformTable[K, V, V2 any](t *Task, at *Info, f func(K, record.Opt[V]) (record.Opt[V2], error),
	out *Emitter[K, V2]) Proc[K, Change[V]] {
	return transformTable(t, at, func(k K, v record.Opt[V]) (record.Opt[V2], error) {
		t.At = at
		return f(k, v)
	}, out)
}

func transformTable[K, V, V2 any](t *Task, at *Info, f func(K, record.Opt[V]) (record.Opt[V2], error),
	out *Emitter[K, V2]) Proc[K, Change[V]] {
	return func(r *Rec[K, Change[V]]) error {
		now, err := f(r.Key, r.Value.New)
		if err != nil {
			return t.userError(at, err)
		}
		if out.materialised() {
			e, err := out.find(r.Key)
			if err != nil {
				return err
			}
			return out.put(e, r.Key, now, r.Time, r.Time, r.Headers)
		}
		var old record.Opt[V2]
		if out.sendOld {
			if old, err = f(r.Key, r.Value.Old); err != nil {
				return t.userError(at, err)
			}
		}
		return out.send(r.Key, Change[V2]{New: now, Old: old, Stale: r.Value.Stale}, r.Time, r.Headers)
	}
}

// ToStream sends the new value of every change as a record; a deletion is a null value.
func ToStream[K, V any](next Proc[K, V]) Proc[K, Change[V]] {
	out := new(Rec[K, V])
	return func(r *Rec[K, Change[V]]) error {
		v, ok := r.Value.New.Get()
		out.Key, out.NullKey, out.Value, out.Null, out.Time, out.Headers = r.Key, r.NullKey, v, !ok, r.Time, r.Headers
		return next(out)
	}
}
