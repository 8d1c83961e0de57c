package engine

import (
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/node"
)

// A task whose only partition is joined by another one, and left alone again, has lost and repeated nothing: the head that was
// read before the change is the next record after it.
func TestInputsComeAndGo(t *testing.T) {
	x := newTestTask(t, TaskConfig{Policy: dlq.NewPolicy(dlq.Retry(9, dlq.Fixed(time.Hour)))}, func(tt *node.Task, k, v string) (string, error) {
		if v == "later" {
			return "", dlq.Transient(errCore)
		}
		return upper(tt, k, v)
	}, "a", "b")
	w := NewWorker(WorkerConfig{CommitInterval: 100, InboxBytes: 1 << 10, Out: x.out.cfg}, 0)
	x.Task.cfg.Out = x.out
	w.add(x.Task)
	w.Step(0, Restored{ID: x.ID})
	step := func(ev Event) {
		w.Step(0, ev)
		for _, a := range w.Actions() {
			if f, ok := a.(Failed); ok {
				t.Fatal(f.Err)
			}
		}
	}
	run := func(n int) {
		t.Helper()
		if _, err := x.Run(0, n); err != nil {
			t.Fatal(err)
		}
	}
	x.Deliver(in("a"), recs(0, "k=a0", "k=a1", "k=a2", "k=later"), 4, 4)
	x.Deliver(in("b"), recs(0, "k=b0", "k=b1"), 2, 2)
	run(3) // a0 b0 a1: the heads a2 and b1 have been read
	step(DropInput{x.ID, in("b")})
	if got := len(x.Inputs()); got != 1 {
		t.Fatalf("%d inputs", got)
	}
	if !x.needsCommit() {
		t.Error("what came of the partition that is gone is not committed")
	}
	run(1) // a2, by the loop of tasks with one input
	step(AddInput{ID: x.ID, TP: in("b"), From: 40, Metadata: OffsetMetadata{Time: 500}.Encode()})
	if x.Position(in("b")) != 40 || x.node.StreamTime != 500 {
		t.Errorf("b is read from %d at stream time %d, want 40 and 500", x.Position(in("b")), x.node.StreamTime)
	}
	run(9)
	if x.parked != nil {
		t.Fatal("it is not known whether b lags: a record of a must wait")
	}
	x.Deliver(in("b"), nil, 40, 40)
	run(9)
	if x.parked == nil {
		t.Fatal("the record that is to be tried later does not wait")
	}
	x.Deliver(in("b"), recs(40, "k=b40"), 41, 41)
	step(DropInput{x.ID, in("a")}) // with the record that waits
	run(9)
	if got, want := x.values("out"), "A0 B0 A1 A2 B40"; got != want {
		t.Errorf("out: %s, want %s", got, want)
	}
	if c := x.Counts; c.Consumed != 5 || c.Completed != 5 || c.Retrying != 0 {
		t.Errorf("%+v: consumed = completed, and nothing waits (E7)", c)
	}
	offsets := map[string]int64{}
	if err := x.freeze(); err != nil {
		t.Fatal(err)
	}
	for _, p := range x.inputs {
		offsets[p.tp.Topic] = p.frozen.position
	}
	if len(offsets) != 1 || offsets["b"] != 41 {
		t.Errorf("offsets %v are committed, want b at 41 alone", offsets)
	}
	step(DropInput{x.ID, in("b")})
	if ready, _ := x.Ready(0); ready {
		t.Error("a task without inputs is ready")
	}
	run(1)
}
