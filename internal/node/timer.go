package node

import (
	"math"
	"slices"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// Timers are the punctuations of a task. The task fires them one by one, each as a unit of its own, between its records.
//
//	P1  By stream time a timer stands on a grid from 0: it is due with the first record, and then whenever stream time has
//	    reached its next point. By wall time the grid begins one interval after the timer was made.
//	P2  However many points were passed, it fires once, and its next point is the first after now.
//	    A task that starts again at a committed stream time has had the points up to it.
//	P3  What a unit that fails has scheduled or cancelled is undone. That a timer had its turn is not: it is not due again
//	    before its next point, except that its policy may retry it.
type Timers struct {
	units *record.Units
	list  []*Timer
	log   []timerChange
	// Stream and Wall are the times at which the next timer is due, math.MaxInt64 for none. They hold between units, once Refresh
	// was called.
	Stream, Wall int64
}

// Timer is one punctuation.
type Timer struct {
	timers   *Timers
	at       *Info
	fire     func(time int64) error
	interval int64
	next     int64
	time     int64 // at which it fires
	wall     bool
	gone     bool
}

type timerChange struct {
	timer *Timer
	added bool // else cancelled
}

// EveryStreamTime schedules fire at every interval ms of the task's stream time. fire is given the stream time.
func (t *Task) EveryStreamTime(at *Info, interval int64, fire func(time int64) error) *Timer {
	return t.schedule(&Timer{at: at, fire: fire, interval: interval})
}

// EveryWallClock schedules fire at every interval ms of the wall clock. fire is given the wall time.
func (t *Task) EveryWallClock(at *Info, interval int64, fire func(time int64) error) *Timer {
	return t.schedule(&Timer{at: at, fire: fire, interval: interval, wall: true, next: t.WallTime + interval})
}

func (t *Task) schedule(timer *Timer) *Timer {
	s := &t.Timers
	s.units, timer.timers = &t.Units, s
	s.note(timerChange{timer, true})
	s.list = append(s.list, timer)
	return timer
}

func (s *Timers) note(c timerChange) {
	if len(s.log) == 0 {
		s.units.Touch(s)
	}
	s.log = append(s.log, c)
}

// Cancel ends the timer. It may be called from its own punctuator, and more than once.
func (t *Timer) Cancel() {
	if !t.gone {
		t.timers.note(timerChange{t, false})
		t.gone = true
	}
}

// Info is the node that the punctuator belongs to.
func (t *Timer) Info() *Info { return t.at }

// Time is the time that the punctuator is given.
func (t *Timer) Time() int64 { return t.time }

// Fire calls the punctuator.
func (t *Timer) Fire() error { return t.fire(t.time) }

// Refresh computes Stream and Wall.
func (s *Timers) Refresh() {
	s.Stream, s.Wall = math.MaxInt64, math.MaxInt64
	for _, t := range s.list {
		switch {
		case t.gone:
		case t.wall:
			s.Wall = min(s.Wall, t.next)
		default:
			s.Stream = min(s.Stream, t.next)
		}
	}
}

// Resume moves the timers that an Init has made beyond the stream time that its task had reached before, −1 for none.
func (s *Timers) Resume(stream int64) {
	for _, t := range s.list {
		if !t.wall && stream >= t.next {
			t.next += ((stream-t.next)/t.interval + 1) * t.interval
		}
	}
}

// Due returns the timer that is due first at these times, those by stream time before those by wall time, and moves it to
// its next point. It returns nil if none is due.
func (s *Timers) Due(stream, wall int64) *Timer {
	s.list = slices.DeleteFunc(s.list, func(t *Timer) bool { return t.gone && len(s.log) == 0 })
	var first *Timer
	for _, t := range s.list {
		if t.gone || t.wall && t.next > wall || !t.wall && t.next > stream {
			continue
		}
		if first == nil || first.wall && !t.wall || first.wall == t.wall && t.next < first.next {
			first = t
		}
	}
	if first == nil {
		s.Refresh()
		return nil
	}
	first.time = stream
	if first.wall {
		first.time = wall
	}
	first.next += ((first.time-first.next)/first.interval + 1) * first.interval
	return first
}

// Mark implements record.Undoer.
func (s *Timers) Mark() int { return len(s.log) }

// Undo implements record.Undoer.
func (s *Timers) Undo(mark int) {
	for i := len(s.log) - 1; i >= mark; i-- {
		c := s.log[i]
		c.timer.gone = c.added
		if c.added {
			s.list = slices.DeleteFunc(s.list, func(t *Timer) bool { return t == c.timer })
		}
	}
	s.log = s.log[:mark]
}

// Release implements record.Undoer.
func (s *Timers) Release() {
	s.log = s.log[:0]
	s.Refresh()
}
