package node

import (
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// AggregateSliding folds the records of a stream into a table of sliding windows: for every distinct set of records of a key
// that lie within diff of each other there is a window of that length, both ends inclusive.
//
//	SL1  A record without a key or without a value is dropped, before stream time.
//	SL2  A record is late if the window that begins with it has closed: ts + diff < stream time - grace. Of a record that is not,
//	     windows that end before stream time - grace are left as they are, and counted each.
//	SL3  A record makes the window that ends with it, the one that begins right after the record before it if it lies in there,
//	     and, when later records are known, the one that begins right after itself. It enters all windows that hold it.
//	SL4  Windows that are there are updated in descending order of starts; then the window after the previous record is made,
//	     then the one that ends with the record, then the one after it.
//	SL5  Windows would begin before 0 for a record at ts < diff: all of those share [0, diff]. They are updated in ascending order,
//	     the shared one last, and no windows are closed by such a record.
//	SL6  If the window after the previous record is the one that ends with the record, it is sent on twice.
//	SL7  With OnClose a window is sent on when its end lies before stream time - grace; else as W6.
func AggregateSliding[K, V, A any](t *Task, at *Info, diff, grace int64, step Step[K, V, A], store WindowStore[K, A],
	out *Emitter[record.Windowed[K], A]) Proc[K, V] {
	n := &sliding[K, V, A]{windowNode: newWindowNode(t, at, step, store, out), diff: diff, grace: grace}
	return n.process
}

type sliding[K, V, A any] struct {
	windowNode[K, V, A]
	diff, grace int64
	closed      int64      // windows that end before have closed
	found       []found[A] // windows that were there when the record came
}

// found is a window as it was before the record. Its value is a copy of its own.
type found[A any] struct {
	start, time int64
	value       A
}

func (n *sliding[K, V, A]) process(r *Rec[K, V]) error {
	if r.NullKey || r.Null {
		n.at.Stats.Dropped[dropOf(r.NullKey)]++
		return nil
	}
	n.clock.Advance(r.Time)
	n.closed = n.clock.Now() - n.grace
	n.store.Settle(n.closed - 2*n.diff) // a record looks two windows back
	switch {
	case record.WindowEnd(r.Time, n.diff) < n.closed:
		n.at.Stats.Dropped[DropLate]++
		return nil
	case r.Time < n.diff:
		return n.early(r)
	}
	if err := n.enter(r); err != nil || n.closing == nil {
		return err
	}
	return n.close(r)
}

// enter brings the record into all its windows (SL3, SL4).
func (n *sliding[K, V, A]) enter(r *Rec[K, V]) error {
	if err := n.find(r, max(0, r.Time-2*n.diff), true); err != nil {
		return err
	}
	var left, right *found[A]
	leftIsThere, rightIsThere := false, false
	previous := int64(-1)
	for i := range n.found {
		w := &n.found[i]
		end := w.start + n.diff
		if end < r.Time {
			left, previous = w, w.time
			break
		}
		if w.start == r.Time+1 {
			rightIsThere = true
			continue
		}
		if end == r.Time {
			leftIsThere = true
		} else if right == nil {
			right = w
		}
		if err := n.change(r, w.start); err != nil {
			return err
		}
		if end == r.Time {
			if w.time >= r.Time {
				return nil // a record of this time was there before: so are its windows
			}
			previous = w.time
		}
	}
	if previous >= 0 && !n.isThere(previous+1) && previous+1+n.diff >= r.Time {
		if err := n.create(r, previous+1, record.Opt[A]{}); err != nil {
			return err
		}
	}
	if !leftIsThere {
		var base record.Opt[A]
		if left != nil && r.Time-n.diff <= previous {
			base = record.Some(left.value)
		}
		if err := n.create(r, r.Time-n.diff, base); err != nil {
			return err
		}
	}
	return n.createRight(r, right, rightIsThere)
}

// early is enter for a record whose window would begin before 0 (SL5).
func (n *sliding[K, V, A]) early(r *Rec[K, V]) error {
	if err := n.find(r, 0, false); err != nil {
		return err
	}
	var shared, right *found[A]
	rightIsThere := false
	previous := int64(-1)
	for i := range n.found {
		w := &n.found[i]
		switch {
		case w.start == 0:
			shared = w
			if w.time < r.Time {
				previous = w.time
			}
		case w.start == r.Time+1:
			rightIsThere = true
		default:
			right = w
			if err := n.change(r, w.start); err != nil {
				return err
			}
		}
	}
	if right == nil && shared != nil && shared.time > r.Time {
		right = shared // all that it holds is later than the record, or a window would have been found
	}
	if err := n.createRight(r, right, rightIsThere); err != nil {
		return err
	}
	if previous >= 0 && !n.isThere(previous+1) {
		if err := n.create(r, previous+1, record.Opt[A]{}); err != nil {
			return err
		}
	}
	if shared == nil {
		return n.create(r, 0, record.Opt[A]{})
	}
	return n.change(r, 0)
}

// find collects the windows of the record's key that begin from from to one after the record. In descending order it ends with
// the first window that the record does not lie in.
func (n *sliding[K, V, A]) find(r *Rec[K, V], from int64, descending bool) error {
	clear(n.found)
	n.found = n.found[:0]
	n.task.At, n.task.Doing = n.at, DoingState
	rows, err := n.store.Fetch(r.Key, max(from, n.store.oldest()), r.Time+1, descending)
	if err != nil {
		return n.task.stateError(n.at, err)
	}
	defer rows.Close()
	for rows.Next() {
		start := rows.Key().Start.UnixMilli()
		n.found = append(n.found, found[A]{start, rows.Time(), rows.Value()})
		if descending && start+n.diff < r.Time {
			break
		}
	}
	return n.task.stateError(n.at, rows.Err())
}

func (n *sliding[K, V, A]) isThere(start int64) bool {
	for i := range n.found {
		if n.found[i].start == start {
			return true
		}
	}
	return false
}

// open tells whether a window may change; if not, the record is counted as late for it.
func (n *sliding[K, V, A]) open(start int64) bool {
	if record.WindowEnd(start, n.diff) < n.closed {
		n.at.Stats.Dropped[DropLate]++
		return false
	}
	return true
}

// change brings the record into a window that is there.
func (n *sliding[K, V, A]) change(r *Rec[K, V], start int64) error {
	if !n.open(start) {
		return nil
	}
	return n.update(r, start)
}

// create makes a window of the record and what else lies in it.
func (n *sliding[K, V, A]) create(r *Rec[K, V], start int64, base record.Opt[A]) error {
	if !n.open(start) {
		return nil
	}
	e, err := n.entry(r, start)
	if err != nil {
		return err
	}
	return n.fold(e, r, start, base, r.Time)
}

// createRight makes the window that begins right after the record, of the records in it: those of right that are later.
func (n *sliding[K, V, A]) createRight(r *Rec[K, V], right *found[A], isThere bool) error {
	if isThere || right == nil || right.time <= r.Time {
		return nil
	}
	e, err := n.entry(r, r.Time+1)
	if err != nil {
		return err
	}
	return n.put(e, r, r.Time+1, record.Some(right.value), right.time)
}

func (n *sliding[K, V, A]) entry(r *Rec[K, V], start int64) (state.Entry, error) {
	n.task.At, n.task.Doing = n.at, DoingState
	e, err := n.store.FindWindow(r.Key, start)
	return e, n.task.stateError(n.at, err)
}

// close sends the windows on that have closed and were not sent yet.
func (n *sliding[K, V, A]) close(r *Rec[K, V]) error {
	done, last := n.closing.done.Now(), n.closed-n.diff-1
	if n.closed <= done || last < 0 {
		return nil
	}
	first := int64(0)
	if done >= 0 {
		first = max(0, done-n.diff)
	}
	return n.closeFrom(r, first, last, n.closed)
}
