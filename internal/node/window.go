package node

import (
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// TimeWindows are windows on a grid that begins at 0, or one window without end. Times are in ms.
type TimeWindows struct {
	Size, Advance int64 // a window begins every Advance; its end is exclusive
	Grace         int64
	Endless       bool // one window, from Start on
	Start         int64
}

// Of returns the starts of the windows that hold a time: the first, the last, and how far each is from the next. ok is false if
// there is none. No window begins before 0.
func (w *TimeWindows) Of(time int64) (first, last, step int64, ok bool) {
	if w.Endless {
		return w.Start, w.Start, 1, time >= w.Start
	}
	first = max(0, time-w.Size+w.Advance) / w.Advance * w.Advance
	last = time / w.Advance * w.Advance
	return first, last, w.Advance, time >= 0 && first <= last
}

// End returns the end of the window that begins at start.
func (w *TimeWindows) End(start int64) int64 { return record.WindowEnd(start, w.Size) }

// WindowStore is the store of a windowed aggregation and what the aggregation keeps to beside it.
type WindowStore[K, A any] struct {
	*state.WindowTable[K, A]
	Size      int64
	Retention int64 // rows older than this, by the store's own time, are not there for who looks them up
	// OnClose: rows are not sent on when they change, but when their windows have closed.
	OnClose bool
	// Expires: also a window that has closed is not there once it is older than the retention: a jump of stream time loses it.
	Expires bool
}

// oldest is the start of the oldest row that is there.
func (s *WindowStore[K, A]) oldest() int64 {
	if s.OnClose {
		return s.StreamTime() - s.Retention // as Kafka Streams' time-ordered store, which keeps one more ms
	}
	return s.StreamTime() - s.Retention + 1
}

// AggregateWindows folds the records of a stream into a table of time windows.
//
//	W1  A record without a key is dropped. One without a value is dropped, unless nulls says that the step does not look at it;
//	    stream time goes on all the same.
//	W2  Stream time is that of the node: the largest timestamp of all keys, moved on before anything else.
//	W3  A record is late by window: one that ends at stream time - grace or before is not updated, and counted; the others are.
//	W4  Windows are updated in the order of their starts.
//	W5  A row's timestamp is the largest of its records since it came to be.
//	W6  With OnClose a window is sent on when stream time - grace has reached its end, by the record that moved it there, in the
//	    order of starts, then of key bytes, each as a unit of its own, and never again (see closing).
func AggregateWindows[K, V, A any](t *Task, at *Info, w TimeWindows, step Step[K, V, A], nulls bool, store WindowStore[K, A],
	out *Emitter[record.Windowed[K], A]) Proc[K, V] {
	n := &timeWindows[K, V, A]{windowNode: newWindowNode(t, at, step, store, out), w: w, nulls: nulls}
	return n.process
}

// windowNode is what nodes of time windows and of sliding windows share.
type windowNode[K, V, A any] struct {
	task    *Task
	at      *Info
	step    Step[K, V, A]
	store   WindowStore[K, A]
	clock   *Clock
	out     *Emitter[record.Windowed[K], A]
	closing *closing[K, A] // nil: updates are sent on
}

func newWindowNode[K, V, A any](t *Task, at *Info, step Step[K, V, A], store WindowStore[K, A],
	out *Emitter[record.Windowed[K], A]) windowNode[K, V, A] {
	n := windowNode[K, V, A]{task: t, at: at, step: step, store: store, clock: newStreamTime(t, at), out: out}
	t.looksUp(store.WindowTable)
	if store.OnClose {
		n.closing = newClosing(t, at, store.Name(), out)
	}
	return n
}

// newStreamTime makes the clock of a node's stream time.
func newStreamTime(t *Task, at *Info) *Clock { return t.NewClock(at.Name + ".time") }

// update brings a record into the window that begins at start.
func (n *windowNode[K, V, A]) update(r *Rec[K, V], start int64) error {
	n.task.At, n.task.Doing = n.at, DoingState
	e, err := n.store.FindWindow(r.Key, start)
	if err != nil {
		return n.task.stateError(n.at, err)
	}
	old, ts, had, err := n.store.Value(e)
	if err != nil {
		return n.task.stateError(n.at, err)
	}
	if !had || ts < r.Time {
		ts = r.Time
	}
	return n.fold(e, r, start, record.OptOf(old, had), ts)
}

// fold brings a record into what a window holds, and stores the result with a timestamp.
func (n *windowNode[K, V, A]) fold(e state.Entry, r *Rec[K, V], start int64, old record.Opt[A], ts int64) error {
	n.task.At, n.task.Doing = n.at, DoingFunction
	now, err := n.step(r.Key, r.Value, old)
	if err != nil {
		return n.task.userError(n.at, err)
	}
	return n.put(e, r, start, now, ts)
}

func (n *windowNode[K, V, A]) put(e state.Entry, r *Rec[K, V], start int64, now record.Opt[A], ts int64) error {
	if n.closing != nil {
		return n.out.keep(e, now, ts)
	}
	var k record.Windowed[K]
	if !n.out.buffered {
		k = record.MakeWindowed(r.Key, start, record.WindowEnd(start, n.store.Size))
	}
	return n.out.put(e, k, now, ts, n.out.deletedAt(ts, r.Time), r.Headers)
}

type timeWindows[K, V, A any] struct {
	windowNode[K, V, A]
	w     TimeWindows
	nulls bool
}

func (n *timeWindows[K, V, A]) process(r *Rec[K, V]) error {
	if r.NullKey {
		n.at.Stats.Dropped[DropNullKey]++
		return nil
	}
	n.clock.Advance(r.Time)
	closed := n.clock.Now() - n.w.Grace
	if r.Null && !n.nulls {
		n.at.Stats.Dropped[DropNullValue]++
	} else if first, last, step, ok := n.w.Of(r.Time); ok {
		if err := n.cover(r, first, last); err != nil {
			return err
		}
		for start := first; ; start += step {
			if n.w.End(start) <= closed {
				n.at.Stats.Dropped[DropLate]++
			} else if err := n.update(r, start); err != nil {
				return err
			}
			if start >= last {
				break
			}
		}
	}
	n.store.Settle(closed - n.w.Size)
	if n.closing == nil {
		return nil
	}
	return n.close(r, closed)
}

// cover gets windows of a record ready that begin from first to last, if they are many.
func (n *timeWindows[K, V, A]) cover(r *Rec[K, V], first, last int64) error {
	if first == last {
		return nil
	}
	n.task.At, n.task.Doing = n.at, DoingState
	return n.task.stateError(n.at, n.store.Cover(r.Key, first))
}

// close sends the windows on that end at closed or before and were not sent yet.
func (n *timeWindows[K, V, A]) close(r *Rec[K, V], closed int64) error {
	done, last := n.closing.done.Now(), closed-n.w.Size
	if closed <= done || last < 0 {
		return nil
	}
	first := int64(0)
	if done >= 0 {
		first = max(0, done-n.w.Size) + 1
		if last/n.w.Advance*n.w.Advance < first {
			return nil // no window ends in between
		}
	}
	return n.closeFrom(r, first, last, closed)
}

// closeFrom sends the windows on that begin from first to last.
func (n *windowNode[K, V, A]) closeFrom(r *Rec[K, V], first, last, closed int64) error {
	if n.store.Expires {
		first = max(first, n.store.oldest())
	}
	n.task.At, n.task.Doing = n.at, DoingState
	rows, err := n.store.FetchByStart(first, last)
	if err != nil {
		return n.task.stateError(n.at, err)
	}
	n.closing.done.Advance(closed)
	n.store.Hold(last + 1)
	return n.closing.send(rows, r.Headers)
}

// WindowGetter reads a table of windows. clipped says that rows are gone when their retention ends; else they are there as long
// as the store has them.
func WindowGetter[K, A any](t *Task, at *Info, store WindowStore[K, A], clipped bool) Getter[record.Windowed[K], A] {
	return func(k record.Windowed[K]) (Row[A], error) {
		start := k.Start.UnixMilli()
		if clipped && start < store.oldest() {
			return Row[A]{}, nil
		}
		t.At, t.Doing = at, DoingState
		e, err := store.FindWindow(k.Key, start)
		if err != nil {
			return Row[A]{}, t.stateError(at, err)
		}
		v, ts, ok, err := store.Value(e)
		t.Doing = DoingFunction
		return Row[A]{v, ts, ok}, t.stateError(at, err)
	}
}
