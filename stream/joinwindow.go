package stream

import (
	"fmt"
	"time"
)

// JoinWindow says how far apart the timestamps of two records may be that a join of streams brings together. It is made by
// [Within].
type JoinWindow struct{ before, after, grace time.Duration }

// Within joins records whose timestamps are at most d apart. Both ends are included. As in Kafka Streams the stores keep a record
// for before, after and grace together, so that a window without any length joins nothing unless it has a grace.
func Within(d time.Duration) JoinWindow { return JoinWindow{before: d, after: d} }

// Before sets how much earlier than the left record the right one may be; less than zero: how much later it must be.
func (w JoinWindow) Before(d time.Duration) JoinWindow { w.before = d; return w }

// After sets how much later than the left record the right one may be; less than zero: how much earlier it must be.
func (w JoinWindow) After(d time.Duration) JoinWindow { w.after = d; return w }

// Grace sets how much longer a result without the other side waits for records that come late. Without it, it waits no longer.
func (w JoinWindow) Grace(d time.Duration) JoinWindow { w.grace = d; return w }

// millis is a JoinWindow in milliseconds.
type millis struct{ before, after, grace int64 }

// check returns the window in milliseconds, and what is wrong with it.
func (w JoinWindow) check() (m millis, bad string) {
	m = millis{w.before.Milliseconds(), w.after.Milliseconds(), w.grace.Milliseconds()}
	for _, d := range []time.Duration{w.before, w.after, w.grace} {
		if d%time.Millisecond != 0 {
			return m, "join windows are measured in whole milliseconds"
		}
	}
	switch {
	case w.grace < 0:
		return m, fmt.Sprintf("its grace of %v is less than zero", w.grace)
	case w.before+w.after < 0:
		return m, fmt.Sprintf("its window ends before it begins: Before(%v) and After(%v) must not be less than zero together",
			w.before, w.after)
	}
	return m, ""
}
