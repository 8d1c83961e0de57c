package node

import (
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// Merge makes one aggregate of two sessions: left is what was merged so far, beginning with what a session begins with.
type Merge[K, A any] func(k K, left record.Opt[A], right A) (record.Opt[A], error)

// Sessions are windows that grow: records of a key that lie within Gap of each other share one. Times are in ms.
type Sessions struct{ Gap, Grace int64 }

// SessionStore is the store of sessions and what the aggregation keeps to beside it.
type SessionStore[K, A any] struct {
	*state.SessionTable[K, A]
	Retention int64 // sessions that end further back, by the store's own time, are not there for who looks them up
	OnClose   bool  // as of [WindowStore]
}

// oldest is the end of the oldest session that is there.
func (s *SessionStore[K, A]) oldest() int64 { return s.StreamTime() - s.Retention + 1 }

// AggregateSessions folds the records of a stream into a table of sessions.
//
//	SE1  A record without a key is dropped. One without a value is dropped, unless nulls says that the step does not look at it;
//	     stream time, that of the node, goes on all the same.
//	SE2  A record merges all sessions of its key that end at ts - gap or later and begin at ts + gap or earlier: zero once, then
//	     merge for each in the order of ends, then step.
//	SE3  A record is late if the session that it would make ends before stream time - grace - gap. So one that touches an open
//	     session is not.
//	SE4  Each session that was merged is deleted and its deletion sent on, with its own end for a time, before the new session
//	     is, also where the bounds do not change. Only a session of the record's own time alone is updated in place.
//	SE5  A session's timestamp is its end.
//	SE6  A session that ends at the store's time - retention or before is not there: a record within its gap begins a new one.
//	SE7  With OnClose a session is sent on when stream time - grace - gap has passed its end, in the order of ends, then of
//	     starts, then of key bytes; else as W6. Deletions are not sent on.
func AggregateSessions[K, V, A any](t *Task, at *Info, w Sessions, zero func() record.Opt[A], step Step[K, V, A],
	merge Merge[K, A], nulls bool, store SessionStore[K, A], out *Emitter[record.Windowed[K], A]) Proc[K, V] {
	n := &sessions[K, V, A]{task: t, at: at, w: w, zero: zero, step: step, merge: merge, nulls: nulls, store: store,
		clock: newStreamTime(t, at), out: out}
	t.looksUp(store.SessionTable)
	if store.OnClose {
		n.closing = newClosing(t, at, store.Name(), out)
	}
	return n.process
}

type sessions[K, V, A any] struct {
	task    *Task
	at      *Info
	w       Sessions
	zero    func() record.Opt[A]
	step    Step[K, V, A]
	merge   Merge[K, A]
	nulls   bool
	store   SessionStore[K, A]
	clock   *Clock
	out     *Emitter[record.Windowed[K], A]
	closing *closing[K, A]        // nil: updates are sent on
	found   []state.SessionRow[A] // sessions that the record merges, as they were before it
}

func (n *sessions[K, V, A]) process(r *Rec[K, V]) error {
	if r.NullKey {
		n.at.Stats.Dropped[DropNullKey]++
		return nil
	}
	n.clock.Advance(r.Time)
	closed := n.clock.Now() - n.w.Grace - n.w.Gap
	if r.Null && !n.nulls {
		n.at.Stats.Dropped[DropNullValue]++
	} else if err := n.enter(r, closed); err != nil {
		return err
	}
	n.store.Settle(closed - n.w.Gap)
	if n.closing == nil {
		return nil
	}
	return n.close(r, closed)
}

// enter brings the record into a session.
func (n *sessions[K, V, A]) enter(r *Rec[K, V], closed int64) error {
	if err := n.find(r); err != nil {
		return err
	}
	n.task.At = n.at
	start, end, agg := r.Time, r.Time, n.zero()
	var err error
	for i := range n.found {
		s := &n.found[i]
		start, end = min(start, s.Start), max(end, s.End)
		if agg, err = n.merge(r.Key, agg, s.Value); err != nil {
			return n.task.userError(n.at, err)
		}
	}
	if end < closed {
		n.at.Stats.Dropped[DropLate]++
		return nil
	}
	if start != end {
		for i := range n.found {
			s := &n.found[i]
			if err := n.put(r, s.Start, s.End, record.Opt[A]{}); err != nil {
				return err
			}
		}
	}
	n.task.At = n.at
	if agg, err = n.step(r.Key, r.Value, agg); err != nil {
		return n.task.userError(n.at, err)
	}
	return n.put(r, start, end, agg)
}

// find collects the sessions that the record lies in, or close enough to.
func (n *sessions[K, V, A]) find(r *Rec[K, V]) (err error) {
	clear(n.found)
	n.task.At, n.task.Doing = n.at, DoingState
	n.found, err = n.store.Overlapping(n.found[:0], r.Key, max(r.Time-n.w.Gap, n.store.oldest()), record.WindowEnd(r.Time, n.w.Gap))
	n.task.Doing = DoingFunction
	return n.task.stateError(n.at, err)
}

// put stores a session, or deletes it, and sends that on.
func (n *sessions[K, V, A]) put(r *Rec[K, V], start, end int64, now record.Opt[A]) error {
	n.task.At, n.task.Doing = n.at, DoingState
	e, err := n.store.FindSession(r.Key, start, end)
	if err != nil {
		return n.task.stateError(n.at, err)
	}
	if n.closing != nil {
		return n.out.keep(e, now, end)
	}
	var k record.Windowed[K]
	if !n.out.buffered {
		k = record.MakeWindowed(r.Key, start, end)
	}
	return n.out.put(e, k, now, end, end, r.Headers)
}

// close sends the sessions on that end before closed and were not sent yet.
func (n *sessions[K, V, A]) close(r *Rec[K, V], closed int64) error {
	done, last := n.closing.done.Now(), closed-1
	if first := max(0, done); closed > done && first <= last {
		n.task.At, n.task.Doing = n.at, DoingState
		rows, err := n.store.FetchByEnd(first, last)
		if err != nil {
			return n.task.stateError(n.at, err)
		}
		n.closing.done.Advance(closed)
		n.store.Hold(closed)
		return n.closing.send(rows, r.Headers)
	}
	return nil
}

// SessionGetter reads a table of sessions. clipped is as of [WindowGetter].
func SessionGetter[K, A any](t *Task, at *Info, store SessionStore[K, A], clipped bool) Getter[record.Windowed[K], A] {
	return func(k record.Windowed[K]) (Row[A], error) {
		start, end := k.Start.UnixMilli(), k.End.UnixMilli()
		if clipped && end < store.oldest() {
			return Row[A]{}, nil
		}
		t.At, t.Doing = at, DoingState
		e, err := store.FindSession(k.Key, start, end)
		if err != nil {
			return Row[A]{}, t.stateError(at, err)
		}
		v, ts, ok, err := store.Value(e)
		t.Doing = DoingFunction
		return Row[A]{v, ts, ok}, t.stateError(at, err)
	}
}
