package stream

import (
	"math"
	"time"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// Windowed is a key in a window: what the rows of a windowed table are of. Times are in UTC. The End of time windows is
// exclusive, that of sliding and session windows inclusive; that of an unlimited window is time.UnixMilli(math.MaxInt64).
type Windowed[K any] = record.Windowed[K]

// TimeWindow is what [WindowBy] and [WindowCogroup] cut time into: [Tumbling], [Hopping], [Sliding], [Unlimited].
type TimeWindow interface{ windowing() windowing }

// Window is a kind of window of a fixed length.
type Window struct {
	of      windowKind
	size    time.Duration
	advance time.Duration
	grace   time.Duration
}

type windowKind uint8

const (
	noWindows windowKind = iota
	tumbling
	hopping
	sliding
	unlimited
)

func (k windowKind) String() string {
	return [...]string{"a zero Window", "Tumbling", "Hopping", "Sliding", "Unlimited"}[k]
}

// Tumbling cuts time into windows of a size, one after the other, aligned to the epoch. A window holds its start, not its end.
func Tumbling(size time.Duration) Window { return Window{of: tumbling, size: size, advance: size} }

// Hopping cuts time into windows of a size that begin every advance, so that they overlap, aligned to the epoch. A window holds
// its start, not its end. A record lies in size / advance of them.
func Hopping(size, advance time.Duration) Window {
	return Window{of: hopping, size: size, advance: advance}
}

// Sliding has a window for each distinct set of records of a key that lie within difference of each other. A window holds both
// its start and its end.
func Sliding(difference time.Duration) Window { return Window{of: sliding, size: difference} }

// Grace keeps windows open for that long after they have ended, in stream time, for records that come out of order. Without it
// they close when they end. A record that comes later is dropped and counted, for each of its windows.
func (w Window) Grace(d time.Duration) Window {
	w.grace = d
	return w
}

// UnlimitedWindow is one window without end.
type UnlimitedWindow struct{ start time.Time }

// Unlimited is one window without end that begins at the epoch.
func Unlimited() UnlimitedWindow { return UnlimitedWindow{time.UnixMilli(0)} }

// StartOn lets the window begin at t. Earlier records are ignored.
func (w UnlimitedWindow) StartOn(t time.Time) UnlimitedWindow { return UnlimitedWindow{t} }

// Gap is a kind of window that grows as long as records keep coming: see [Session].
type Gap struct{ gap, grace time.Duration }

// Session has a window for each row of records of a key without a break longer than gap. It reaches from its first to its last
// record, both included.
func Session(gap time.Duration) Gap { return Gap{gap: gap} }

// Grace is that of [Window.Grace]: a session closes gap and grace after its end.
func (g Gap) Grace(d time.Duration) Gap {
	g.grace = d
	return g
}

// windowing is a TimeWindow in ms, with what a store of it needs.
type windowing struct {
	of   windowKind
	grid node.TimeWindows // of sliding windows Size is the difference
	need int64            // retention
	bad  string           // what is wrong, "" for nothing
}

func (w Window) windowing() windowing {
	size, advance, grace := w.size.Milliseconds(), w.advance.Milliseconds(), w.grace.Milliseconds()
	out := windowing{of: w.of, grid: node.TimeWindows{Size: size, Advance: advance, Grace: grace}, need: size + grace}
	switch {
	case w.of == noWindows:
		out.bad = "it is a zero Window: make one with Tumbling, Hopping or Sliding"
	case !wholeMillis(w.size, w.advance, w.grace):
		out.bad = "windows are measured in whole milliseconds"
	case w.grace < 0:
		out.bad = "the grace must not be negative"
	case w.of == sliding && w.size < 0:
		out.bad = "the difference must not be negative"
	case w.of != sliding && w.size <= 0:
		out.bad = "the size must be positive"
	case w.of != sliding && (w.advance <= 0 || w.advance > w.size):
		out.bad = "the advance must be positive, and not larger than the size"
	}
	if w.of == sliding {
		// A record looks two windows back; with windows of one ms, at its own.
		out.need += max(size, 1)
	}
	return out
}

func (w UnlimitedWindow) windowing() windowing {
	start := w.start.UnixMilli()
	out := windowing{of: unlimited, need: math.MaxInt64,
		grid: node.TimeWindows{Size: math.MaxInt64, Advance: 1, Endless: true, Start: start}}
	if w.start.IsZero() || start < 0 {
		out.bad = "the start must not lie before 1970"
	}
	return out
}

// key is the serde of keys in the windows, nil if that of the keys is not known.
func windowKey[K any](w windowing, k serde.Serde[K]) serde.Serde[Windowed[K]] {
	switch size := time.Duration(w.grid.Size) * time.Millisecond; {
	case k == nil:
		return nil
	case w.of == unlimited:
		return serde.TimeWindowed(k, 0)
	case w.of == sliding:
		return serde.SlidingWindowed(k, size)
	default:
		return serde.TimeWindowed(k, size)
	}
}

func wholeMillis(ds ...time.Duration) bool {
	for _, d := range ds {
		if d%time.Millisecond != 0 {
			return false
		}
	}
	return true
}

// sessions are a Gap in ms; bad says what is wrong with it.
func (g Gap) sessions() (w node.Sessions, bad string) {
	switch {
	case !wholeMillis(g.gap, g.grace):
		bad = "sessions are measured in whole milliseconds"
	case g.gap <= 0:
		bad = "the gap must be positive"
	case g.grace < 0:
		bad = "the grace must not be negative"
	}
	return node.Sessions{Gap: g.gap.Milliseconds(), Grace: g.grace.Milliseconds()}, bad
}
