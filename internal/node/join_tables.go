package node

import "github.com/oxbow-streams/oxbow/internal/record"

// A join of two tables has three nodes: one for the changes of either table, which look up the row of the other, and one behind
// both, which is the result's.
//
//	TT1  A change of either table makes a result of its new value and the other table's row as it is now; its time is the larger
//	     one of the two.
//	TT2  Inner: without a row on the other side nothing is sent on. Left: a change on the right does nothing without a row on
//	     the left. Left and outer: what has neither an old nor a new value and meets no row is not sent on. So an inner join of
//	     a table with itself sends no deletion: when the row is gone, neither side finds it. Kafka Streams does the same.
//	TT3  A side that has lost its value deletes the result, if the result needs it; else the result is made anew without it. A
//	     deletion is sent on also where there was no result: only old values would tell.
//	TT4  An update that is older than the row of its versioned table is dropped and counted.
//	TT5  A result without a store is made again whenever somebody reads it.

// JoinKind says which sides of a join of tables a result needs.
type JoinKind uint8

// The kinds.
const (
	InnerJoin JoinKind = iota
	LeftJoin
	OuterJoin
)

// Joiner makes a result of two rows, of which at least one is there. An absent result is a deletion.
type Joiner[K, L, R, O any] func(k K, l record.Opt[L], r record.Opt[R]) (record.Opt[O], error)

// JoinSide takes the changes of one of two joined tables. needOwn says that a result needs a value of this side, needOther that
// it needs one of the other. sendOld says that old values are needed behind it.
func JoinSide[K, A, B, O any](t *Task, at *Info, other Getter[K, B], needOwn, needOther, sendOld bool,
	join Joiner[K, A, B, O], next Proc[K, Change[O]]) Proc[K, Change[A]] {
	out := new(Rec[K, Change[O]])
	made := func(k K, own record.Opt[A], row *Row[B]) (o record.Opt[O], err error) {
		if !own.IsSome() && (needOwn || !row.OK) {
			return o, nil
		}
		t.At = at
		return join(k, own, record.OptOf(row.Value, row.OK))
	}
	return func(r *Rec[K, Change[A]]) error {
		if r.NullKey || r.Value.Stale {
			at.Stats.Dropped[dropStale(r.NullKey)]++
			return nil
		}
		row, err := other(r.Key)
		if err != nil {
			return err
		}
		if !row.OK && (needOther || !r.Value.New.IsSome() && !r.Value.Old.IsSome()) {
			return nil
		}
		out.Value = Change[O]{}
		if out.Value.New, err = made(r.Key, r.Value.New, &row); err != nil {
			return t.userError(at, err)
		}
		if sendOld {
			if out.Value.Old, err = made(r.Key, r.Value.Old, &row); err != nil {
				return t.userError(at, err)
			}
		}
		out.Key, out.Time, out.Headers = r.Key, r.Time, r.Headers
		if row.OK {
			out.Time = max(r.Time, row.Time)
		}
		return next(out)
	}
}

// MergeJoin takes the results of both sides: it is the node of the joined table.
func MergeJoin[K, O any](out *Emitter[K, O]) Proc[K, Change[O]] {
	return func(r *Rec[K, Change[O]]) error {
		if !out.materialised() {
			return out.send(r.Key, r.Value, r.Time, r.Headers)
		}
		e, err := out.find(r.Key)
		if err != nil {
			return err
		}
		return out.put(e, r.Key, r.Value.New, r.Time, r.Time, r.Headers)
	}
}

// JoinGetter reads a joined table that has no store.
func JoinGetter[K, L, R, O any](t *Task, at *Info, kind JoinKind, left Getter[K, L], right Getter[K, R],
	join Joiner[K, L, R, O]) Getter[K, O] {
	return func(k K) (Row[O], error) {
		l, err := left(k)
		if err != nil || !l.OK && kind != OuterJoin {
			return Row[O]{}, err
		}
		r, err := right(k)
		if err != nil || !r.OK && (kind == InnerJoin || !l.OK) {
			return Row[O]{}, err
		}
		time := l.Time
		if !l.OK || r.OK && r.Time > time {
			time = r.Time
		}
		t.At = at
		o, err := join(k, record.OptOf(l.Value, l.OK), record.OptOf(r.Value, r.OK))
		if err != nil {
			return Row[O]{}, t.userError(at, err)
		}
		v, ok := o.Get()
		return Row[O]{v, time, ok}, nil
	}
}

// Mirror is a joiner with its sides changed.
func Mirror[K, L, R, O any](join Joiner[K, L, R, O]) Joiner[K, R, L, O] {
	return func(k K, r record.Opt[R], l record.Opt[L]) (record.Opt[O], error) { return join(k, l, r) }
}
