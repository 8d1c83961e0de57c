package engine

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// newTicking makes a task with two inputs whose operator moves its clock to the number that a record holds.
func newTicking(t *testing.T) (*testTask, *node.Clock) {
	var c *node.Clock
	prepare = func(task *node.Task) { c = task.NewClock("tick") }
	defer func() { prepare = nil }()
	x := newTestTask(t, TaskConfig{MaxIdle: -1}, func(_ *node.Task, k, v string) (string, error) {
		var to int64
		if _, err := fmt.Sscan(v, &to); err != nil {
			return "", err
		}
		c.Advance(to)
		if k == "bad" {
			return "", errors.New("bad")
		}
		return fmt.Sprint(c.Now()), nil
	}, "a", "b")
	return x, c
}

// commitAll goes through the stages of a commit and returns what the group holds of it.
func (x *testTask) commitAll(t *testing.T) map[record.TopicPartition]Offset {
	t.Helper()
	offsets := map[record.TopicPartition]Offset{}
	if err := errors.Join(x.freeze(), x.apply(1)); err != nil {
		t.Fatal(err)
	}
	x.frozenOffsets(offsets)
	x.confirmed()
	return offsets
}

// E9: a clock is undone with its unit, taken back with the task, and restored from the largest that the inputs carry.
func TestClockIsCommitted(t *testing.T) {
	x, c := newTicking(t)
	group := map[record.TopicPartition]Offset{}
	commit := func(n int) {
		t.Helper()
		o := x.commitAll(t)
		if len(o) != n {
			t.Errorf("%d offsets are committed, want %d: %v", len(o), n, o)
		}
		for tp, o := range o {
			group[tp] = o
		}
	}
	run := func(want int64) {
		t.Helper()
		if _, err := x.Run(1000, 100); err != nil {
			t.Fatal(err)
		}
		if c.Now() != want {
			t.Errorf("the clock shows %d, want %d", c.Now(), want)
		}
	}
	x.Deliver(in("a"), recs(0, "k=5", "bad=9"), 2, 2)
	run(5)
	commit(1)
	x.Deliver(in("b"), recs(0, "k=7"), 1, 1)
	run(7)
	commit(1)
	x.Deliver(in("a"), recs(2, "k=6"), 3, 3)
	x.Deliver(in("b"), recs(1, "k=8"), 2, 2)
	run(8)
	if err := x.freeze(); err != nil {
		t.Fatal(err)
	}
	x.rewind() // before the commit is applied
	if c.Now() != 7 || x.Position(in("a")) != 2 {
		t.Errorf("the task begins anew at %d with its clock at %d", x.Position(in("a")), c.Now())
	}
	if m, err := DecodeOffsetMetadata(group[in("b")].Metadata); err != nil || m.Named["tick"] != 7 {
		t.Errorf("the group holds %v, %v", m, err)
	}
	y, c := newTicking(t)
	for _, topic := range []string{"b", "a"} {
		if err := y.Seek(in(topic), group[in(topic)].At, group[in(topic)].Metadata); err != nil {
			t.Fatal(err)
		}
	}
	if c.Now() != 7 {
		t.Errorf("after a restart the clock shows %d", c.Now())
	}
	if o := y.commitAll(t); len(o) != 0 {
		t.Errorf("nothing has happened, but %v is committed", o)
	}
	c.Advance(20) // as a punctuation by wall time may
	y.node.Units.Commit()
	if o := y.commitAll(t); len(o) != 1 {
		t.Errorf("a clock that moved without a record is in %d offsets, want 1", len(o))
	}
}

func TestClocksHaveNamesOfTheirOwn(t *testing.T) {
	open := func(names ...string) error {
		x := &testTask{sent: map[record.TopicPartition][]record.Raw{}}
		x.out = newTestOut(x, topicSet{})
		n := &node.Task{Out: x.out.Sender()}
		for _, name := range names {
			n.NewClock(name)
		}
		_, err := NewTask(TaskConfig{Program: &Program{Node: n}, Out: x.out}, nil)
		return err
	}
	if err := open("a", "b", "a"); err == nil || !strings.Contains(err.Error(), "two clocks have the name a") {
		t.Errorf("error %v", err)
	}
	if err := open(strings.Repeat("a", 2000), strings.Repeat("b", 2000)); err == nil || !strings.Contains(err.Error(), "a broker takes 4096") {
		t.Errorf("error %v", err)
	}
}
