package node

import (
	"errors"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// Step computes the next aggregate of a key; old is absent for its first record. An absent result deletes the row.
type Step[K, V, A any] func(k K, v V, old record.Opt[A]) (record.Opt[A], error)

// Aggregate folds the records of a stream into a table.
//
//	A1  A record without a key or without a value is dropped.
//	A2  The row's timestamp is the largest of its records since it came to be.
//	A3  Order of arrival decides, not time: there is no lateness here.
//	A4  When a step deletes the row, the next record of the key begins anew.
func Aggregate[K, V, A any](t *Task, at *Info, step Step[K, V, A], out *Emitter[K, A]) Proc[K, V] {
	out.looksUp()
	return func(r *Rec[K, V]) error {
		if r.NullKey || r.Null {
			at.Stats.Dropped[dropOf(r.NullKey)]++
			return nil
		}
		e, old, ts, had, err := out.load(r.Key)
		if err != nil {
			return err
		}
		if !had || ts < r.Time {
			ts = r.Time
		}
		now, err := step(r.Key, r.Value, record.OptOf(old, had))
		if err != nil {
			return t.userError(at, err)
		}
		return out.put(e, r.Key, now, ts, out.deletedAt(ts, r.Time), r.Headers)
	}
}

func dropOf(nullKey bool) Drop {
	if nullKey {
		return DropNullKey
	}
	return DropNullValue
}

// GroupChange maps the rows of a table to rows of groups. A group without key or value is absent.
type GroupChange[K, V, K2, V2 any] func(k K, v V) (k2 K2, v2 V2, ok bool, err error)

// GroupTable turns each change of a table into changes of groups.
//
//	G1  If the old and the new row belong to one group, one change goes there; else the old row leaves its group first, then
//	    the new one enters its own (KIP-904).
//	G2  A row without a group is skipped.
//
// same tells whether two keys are one, by their bytes.
func GroupTable[K, V, K2, V2 any](t *Task, at *Info, group GroupChange[K, V, K2, V2],
	same func(a, b K2) (bool, error), next Proc[K2, Change[V2]]) Proc[K, Change[V]] {
	out := new(Rec[K2, Change[V2]])
	send := func(r *Rec[K, Change[V]], k K2, c Change[V2]) error {
		*out = Rec[K2, Change[V2]]{Key: k, Value: c, Time: r.Time, Headers: r.Headers}
		return next(out)
	}
	pair := func(k K, row record.Opt[V]) (k2 K2, v2 V2, ok bool, err error) {
		v, ok := row.Get()
		if !ok {
			return k2, v2, false, nil
		}
		t.At = at
		return group(k, v)
	}
	return func(r *Rec[K, Change[V]]) error {
		if r.NullKey {
			return t.Fail(dlq.StageProcess, at, errors.New("a row of a table that is grouped has a null key"))
		}
		if r.Value.Stale {
			return nil
		}
		nk, nv, hasNew, err := pair(r.Key, r.Value.New)
		if err != nil {
			return t.userError(at, err)
		}
		ok, ov, hasOld, err := pair(r.Key, r.Value.Old)
		if err != nil {
			return t.userError(at, err)
		}
		if hasOld && hasNew {
			one, err := same(ok, nk)
			if err != nil {
				return t.fail(&dlq.Failure{Stage: dlq.StageSerializeKey, Node: at.Name, Err: err})
			}
			if one {
				return send(r, nk, Change[V2]{New: record.Some(nv), Old: record.Some(ov)})
			}
		}
		if hasOld {
			if err := send(r, ok, Change[V2]{Old: record.Some(ov)}); err != nil {
				return err
			}
		}
		if hasNew {
			return send(r, nk, Change[V2]{New: record.Some(nv)})
		}
		return nil
	}
}

// AggregateTable folds the changes of groups into a table.
//
//	A5  What a change takes away is subtracted first, if there is an aggregate to subtract from; what it brings is added
//	    then.
//	A6  A group whose last member has left stays, unless a step deletes it.
func AggregateTable[K, V, A any](t *Task, at *Info, add, sub Step[K, V, A], out *Emitter[K, A]) Proc[K, Change[V]] {
	out.looksUp()
	return func(r *Rec[K, Change[V]]) error {
		if r.NullKey {
			return t.Fail(dlq.StageProcess, at, errors.New("a change of a group has a null key"))
		}
		e, v, ts, had, err := out.load(r.Key)
		if err != nil {
			return err
		}
		now := record.OptOf(v, had)
		time := r.Time
		if gone, ok := r.Value.Old.Get(); ok && had {
			time = max(time, ts)
			if now, err = sub(r.Key, gone, now); err != nil {
				return t.userError(at, err)
			}
		}
		if come, ok := r.Value.New.Get(); ok {
			if had {
				time = max(time, ts)
			}
			if now, err = add(r.Key, come, now); err != nil {
				return t.userError(at, err)
			}
		}
		return out.put(e, r.Key, now, time, out.deletedAt(time, r.Time), r.Headers)
	}
}
