package node

import (
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// StreamJoin joins two streams by key and time.
//
//	W1  Each record is joined with what the store of the other side holds of its key in its window: from Before before to After
//	    after a left record, both ends included, and mirrored for a right one. Results come by time, then in the order of arrival,
//	    with the larger of the two times and the headers of the record that makes them. Then it goes into the store of its own side.
//	W2  Both sides advance one clock, also by records that are dropped. No record is too late by itself: a store decides what it
//	    still holds, by the latest time that it was given.
//	W3  Records with a null value are dropped, those with a null key too, unless their side is an outer one: then their result
//	    without the other side is sent at once.
//	W4  A record of an outer side without a match has its result without the other side at once if the clock is past its window,
//	    grace not counted. Else it waits, and a match takes it away.
//	W5  What waits is due when the clock is past its window and grace. It is sent when a valid record comes that is not behind the
//	    clock, before that record's own results: by time, right before left, key, arrival; each with its own time and the headers
//	    of the record that makes it due. Each is a unit of its own (N7).
//	W6  As in Kafka Streams nothing is looked for while the store's least time (see [state.UnmatchedStore]), the window that
//	    follows a record of the side that asks, and grace are not past the clock.
type StreamJoin[K, L, R, O any] struct {
	Task *Task
	// At are the nodes of the sides.
	LeftAt, RightAt *Info
	Clock           *Clock
	// Left and Right hold what the records of the other side are joined with.
	Left  *state.JoinStore[K, L]
	Right *state.JoinStore[K, R]
	// Unmatched keeps what has no match yet; nil for an inner join.
	Unmatched             *state.UnmatchedStore[K, L, R]
	Before, After, Grace  int64 // ms
	LeftOuter, RightOuter bool
	// JoinLeft and JoinRight make the results of the sides' records.
	JoinLeft, JoinRight func(k K, l record.Opt[L], r record.Opt[R]) (O, error)
	Next                Proc[K, O]

	due unmatchedDue[K, L, R, O]
}

// JoinWindow is the node in front of a side: it puts into the side's store what has been joined.
func JoinWindow[K, V any](t *Task, at *Info, store *state.JoinStore[K, V], next Proc[K, V]) Proc[K, V] {
	return func(r *Rec[K, V]) error {
		if err := next(r); err != nil || r.NullKey || r.Null {
			return err
		}
		t.At, t.Doing = at, DoingState
		if err := store.Put(r.Key, r.Time, r.Value); err != nil {
			return t.stateError(at, err)
		}
		t.Doing = DoingFunction
		return nil
	}
}

// Sides returns the nodes of both sides.
func (j *StreamJoin[K, L, R, O]) Sides() (left Proc[K, L], right Proc[K, R]) {
	j.due.j = j
	l := &joinSide[K, L, R, O]{task: j.Task, at: j.LeftAt, clock: j.Clock, other: j.Right, before: j.Before, after: j.After,
		outer: j.LeftOuter, next: j.Next, alone: func(k K, v L) (O, error) {
			return j.JoinLeft(k, record.Some(v), record.None[R]())
		}, join: func(k K, v L, o R) (O, error) { return j.JoinLeft(k, record.Some(v), record.Some(o)) }}
	r := &joinSide[K, R, L, O]{task: j.Task, at: j.RightAt, clock: j.Clock, other: j.Left, before: j.After, after: j.Before,
		outer: j.RightOuter, next: j.Next, alone: func(k K, v R) (O, error) {
			return j.JoinRight(k, record.None[L](), record.Some(v))
		}, join: func(k K, v R, o L) (O, error) { return j.JoinRight(k, record.Some(o), record.Some(v)) }}
	if s := j.Unmatched; s != nil {
		l.emit = func(h record.Headers) error { return j.emit(j.LeftAt, j.After, h) }
		r.emit = func(h record.Headers) error { return j.emit(j.RightAt, j.Before, h) }
		l.keep, r.keep = s.PutLeft, s.PutRight
		l.match = func(k K, time int64) error { return s.Match(false, k, time) }
		r.match = func(k K, time int64) error { return s.Match(true, k, time) }
	}
	return l.process, r.process
}

// joinSide is one side: its records have values T, those of the other side U.
type joinSide[K, T, U, O any] struct {
	task          *Task
	at            *Info
	clock         *Clock
	other         *state.JoinStore[K, U]
	before, after int64 // of a record of this side
	outer         bool
	join          func(k K, v T, o U) (O, error)
	alone         func(k K, v T) (O, error)
	next          Proc[K, O]
	out           Rec[K, O]

	// Of left and outer joins:
	emit  func(h record.Headers) error
	keep  func(k K, time int64, v T) error
	match func(k K, time int64) error
}

func (s *joinSide[K, T, U, O]) process(r *Rec[K, T]) error {
	s.clock.Advance(r.Time)
	if r.Null || r.NullKey {
		if s.outer && !r.Null {
			return s.sendAlone(r)
		}
		s.at.Stats.Dropped[dropOf(r.NullKey)]++
		return nil
	}
	if s.emit != nil && r.Time == s.clock.Now() {
		if err := s.emit(r.Headers); err != nil {
			return err
		}
	}
	matched, err := s.sendMatches(r)
	if err != nil || matched || !s.outer {
		return err
	}
	if max(0, r.Time+s.after) < s.clock.Now() {
		return s.sendAlone(r)
	}
	return s.stored(s.keep(r.Key, r.Time, r.Value))
}

// sendMatches joins a record with those of the other side in its window.
func (s *joinSide[K, T, U, O]) sendMatches(r *Rec[K, T]) (matched bool, err error) {
	cur, err := s.other.Fetch(r.Key, max(0, r.Time-s.before), max(0, r.Time+s.after))
	if err != nil {
		return false, s.stored(err)
	}
	defer cur.Close()
	for cur.Next() {
		matched = true
		at := cur.Time()
		if s.match != nil {
			if err := s.stored(s.match(r.Key, at)); err != nil {
				return true, err
			}
		}
		s.task.At = s.at
		o, err := s.join(r.Key, r.Value, cur.Value())
		if err != nil {
			return true, s.task.userError(s.at, err)
		}
		s.out = Rec[K, O]{Key: r.Key, Value: o, Time: max(r.Time, at), Headers: r.Headers}
		if err := s.next(&s.out); err != nil {
			return true, err
		}
	}
	return matched, s.stored(cur.Err())
}

// sendAlone sends the result of a record without the other side.
func (s *joinSide[K, T, U, O]) sendAlone(r *Rec[K, T]) error {
	s.task.At = s.at
	o, err := s.alone(r.Key, r.Value)
	if err != nil {
		return s.task.userError(s.at, err)
	}
	s.out = Rec[K, O]{Key: r.Key, NullKey: r.NullKey, Value: o, Time: r.Time, Headers: r.Headers}
	return s.next(&s.out)
}

func (s *joinSide[K, T, U, O]) stored(err error) error {
	if err == nil {
		return nil
	}
	s.task.At = s.at
	return s.task.stateError(s.at, err)
}
