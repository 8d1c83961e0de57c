package engine

import (
	"fmt"
	"slices"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/node"
)

// The rules of KIP-138 as a task keeps them: see node.Timers for those of one timer.

// punctuated is a task whose timers note when they fire, between its records.
func punctuated(t *testing.T, now int64, schedule func(n *node.Task, note func(string) func(int64) error)) (*testTask, *[]string) {
	t.Helper()
	var log []string
	x := newTestTask(t, TaskConfig{}, func(_ *node.Task, _, v string) (string, error) {
		log = append(log, v)
		return v, nil
	}, "a")
	x.node.WallTime = now
	schedule(x.node, func(name string) func(int64) error {
		return func(at int64) error {
			log = append(log, fmt.Sprint(name, "@", at))
			return nil
		}
	})
	x.node.Units.Commit()
	return x, &log
}

func (x *testTask) runs(t *testing.T, now int64, log *[]string, want ...string) {
	t.Helper()
	*log = nil
	if _, err := x.Run(now, 100); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(*log, want) {
		t.Errorf("at %d: %v, want %v", now, *log, want)
	}
}

// A record comes before what its time makes due, and stream time before wall time. However late a task is, each timer fires once and
// goes on along its grid.
func TestPunctuationsComeAfterTheirRecord(t *testing.T) {
	x, log := punctuated(t, 1000, func(n *node.Task, note func(string) func(int64) error) {
		n.EveryWallClock(testInfo(3, "w"), 100, note("wall"))
		n.EveryStreamTime(testInfo(3, "s"), 50, note("stream"))
	})
	x.runs(t, 1099, log)
	x.Deliver(in("a"), recs(0, "k=r0", "k=r1"), 2, 2) // at 100 and 101
	x.runs(t, 1730, log, "r0", "stream@100", "r1", "wall@1730")
	x.runs(t, 1799, log)
	x.runs(t, 1800, log, "wall@1800")
	x.Deliver(in("a"), recs(260, "k=r2"), 261, 261) // at 360: 150, 200 … were passed
	x.runs(t, 1801, log, "r2", "stream@360")
	x.Deliver(in("a"), recs(299, "k=r3", "k=r4"), 301, 301) // at 399 and 400
	x.runs(t, 1802, log, "r3", "r4", "stream@400")
}

// A punctuator may cancel itself, and another one that is due with it; what it schedules by stream time is due at once, what it
// schedules by wall time after an interval.
func TestPunctuatorsCancelAndSchedule(t *testing.T) {
	var first, second *node.Timer
	x, log := punctuated(t, 1000, func(n *node.Task, note func(string) func(int64) error) {
		first = n.EveryStreamTime(testInfo(3, "s"), 10, func(at int64) error {
			first.Cancel()
			second.Cancel()
			second.Cancel()
			n.EveryStreamTime(testInfo(3, "s"), 1000, note("new"))
			n.EveryWallClock(testInfo(3, "s"), 10, note("late"))
			return note("first")(at)
		})
		second = n.EveryStreamTime(testInfo(3, "s"), 10, note("second"))
	})
	x.Deliver(in("a"), recs(0, "k=r0", "k=r1"), 2, 2)
	x.runs(t, 1000, log, "r0", "first@100", "new@100", "r1")
	x.Deliver(in("a"), recs(900, "k=r2"), 901, 901) // at 1000
	x.runs(t, 1009, log, "r2", "new@1000")
	x.runs(t, 1010, log, "late@1010")
}

// KIP-353, KIP-695: the wait for an empty partition begins when it is found empty, whether or not there is work; it begins anew when
// there was something to fetch.
func TestTaskIdlesFromWhenAPartitionIsEmpty(t *testing.T) {
	x := newTestTask(t, TaskConfig{MaxIdle: 100}, upper, "a", "b")
	x.Deliver(in("a"), nil, 0, 0)
	x.Deliver(in("b"), nil, 0, 0)
	x.Ready(1000)
	x.Deliver(in("a"), recs(0, "k=a0"), 1, 1)
	if n, _ := x.Run(1100, 10); n != 1 {
		t.Error("b was empty for long enough when a0 came")
	}
	x.Deliver(in("b"), nil, 0, 1) // the broker has one of b
	x.Deliver(in("a"), recs(1, "k=a1"), 2, 2)
	if n, _ := x.Run(1200, 10); n != 0 {
		t.Error("b lags, and was not waited for")
	}
	x.Deliver(in("b"), nil, 1, 1) // it was a gap
	if n, _ := x.Run(1210, 10); n != 0 {
		t.Error("the wait did not begin anew")
	}
	if n, _ := x.Run(1310, 10); n != 1 {
		t.Error("it waits for longer than MaxIdle")
	}
	if x.Counts.Enforced != 2 {
		t.Errorf("%d records were processed although b was empty, want 2", x.Counts.Enforced)
	}
}
