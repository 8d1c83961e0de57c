package engine

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/topology"
	"pgregory.net/rapid"
)

// newPassTask makes a task whose records go straight from "a" to "out". passed counts the batches that are sent on whole.
func newPassTask(t *testing.T, whole bool, passed *int) *testTask {
	x := newTestTask(t, TaskConfig{Policy: dlq.NewPolicy()}, func(_ *node.Task, _, v string) (string, error) { return v, nil }, "a")
	if !whole {
		return x
	}
	x.out.cfg.Whole = func(b Batch, from int64) bool {
		r, ok := b.(*Records)
		return ok && len(r.List) > 0 && r.List[0].Offset == from && from+int64(len(r.List)) == r.next
	}
	x.out.cfg.Reframe = func(b Batch) (Sealed, bool) {
		*passed++
		return MemBatch(slices.Clone(b.(*Records).List)), true
	}
	x.prog.PassThrough = func(string) (topology.PassThrough, bool) {
		return topology.PassThrough{Topic: "out", Source: x.prog.Infos[0], Sink: x.prog.Infos[2]}, true
	}
	x.inputs[0].pass = x.passesBy(x.inputs[0])
	return x
}

// view is everything outside that a pass-through leaves behind. Records without a key may go to any partition.
func (x *testTask) view(t *testing.T) string {
	if err := x.out.FlushAll(); err != nil {
		t.Fatal(err)
	}
	var keyed, keyless []string
	for p := range int32(2) {
		for _, r := range x.sent[record.TopicPartition{Topic: "out", Partition: p}] {
			s := fmt.Sprintf("%d %q=%q null=%v %x", r.Time, r.Key, r.Value, r.Value == nil, r.Headers.Raw())
			if r.Key == nil {
				keyless = append(keyless, s)
			} else {
				keyed = append(keyed, fmt.Sprintf("%d: %s", p, s))
			}
		}
	}
	slices.Sort(keyless)
	var letters []string
	for _, r := range x.sent[record.TopicPartition{Topic: "dlq"}] {
		off, _ := r.Headers.Get(dlq.HeaderOffset)
		letters = append(letters, fmt.Sprintf("%s@%s", r.Value, off))
	}
	in := x.inputs[0]
	return fmt.Sprintf("%q\n%q\nletters %q\n%+v at %d, times %d and %d, nodes %d and %d", keyed, keyless, letters, x.Counts,
		in.position, in.time, x.node.StreamTime, x.prog.Infos[0].Stats.In, x.prog.Infos[2].Stats.In)
}

// What comes out does not depend on whether batches are sent on whole: records, their order by partition, their times and
// headers, dead letters, counts, positions.
func TestPassingBatchesOnChangesNothing(t *testing.T) {
	passed := 0
	rapid.Check(t, func(rt *rapid.T) {
		plain, whole := newPassTask(t, false, nil), newPassTask(t, true, &passed)
		compacted := rapid.Bool().Draw(rt, "compacted")
		for _, x := range []*testTask{plain, whole} {
			x.out.dests[0].info.Compacted = compacted
		}
		rare := func(name string) bool { return rapid.IntRange(0, 30).Draw(rt, name) == 0 }
		offset := int64(0)
		for range rapid.IntRange(1, 6).Draw(rt, "batches") {
			var list []record.Raw
			even := rapid.Bool().Draw(rt, "one partition")
			for i := range rapid.IntRange(1, 8).Draw(rt, "records") {
				r := record.Raw{Offset: offset, Time: int64(rapid.IntRange(0, 50).Draw(rt, "time")), Key: []byte("kk"),
					Value: []byte(fmt.Sprint("v", offset, "/", i))}
				offset++
				switch {
				case rare("negative"):
					r.Time = -1
				case rare("large"):
					r.Value = make([]byte, 5<<10)
				case rare("null key"):
					r.Key = nil
				case rare("tombstone"):
					r.Value = nil
				case rare("gap"):
					offset++
				}
				if !even && r.Key != nil && rapid.Bool().Draw(rt, "odd") {
					r.Key = []byte("k")
				}
				list = append(list, r)
			}
			deliver := func(x *testTask) { x.Deliver(in("a"), []Batch{NewRecords(slices.Clone(list), offset)}, offset, offset) }
			deliver(plain)
			deliver(whole)
			if rapid.Bool().Draw(rt, "run") {
				limit := rapid.IntRange(1, 20).Draw(rt, "limit")
				for _, x := range []*testTask{plain, whole} {
					if _, err := x.Run(1000, limit); err != nil {
						rt.Fatal(err)
					}
				}
			}
		}
		for _, x := range []*testTask{plain, whole} {
			if _, err := x.Run(1000, 1000); err != nil {
				rt.Fatal(err)
			}
		}
		if a, b := plain.view(t), whole.view(t); a != b {
			rt.Fatalf("record by record:\n%s\nwith whole batches:\n%s", a, b)
		}
	})
	if passed == 0 {
		t.Error("no batch was ever sent on whole")
	}
}

// A batch in which the broker refuses a record goes record by record when it comes again: that one is set aside.
func TestPassedBatchThatIsRefused(t *testing.T) {
	passed := 0
	x := newPassTask(t, true, &passed)
	x.Deliver(in("a"), append(recs(0, "k=a", "k=b", "k=c"), recs(3, "k=d", "k=e")...), 5, 5)
	if n, err := x.Run(1000, 100); n != 5 || err != nil || passed != 2 {
		t.Fatalf("%d records, %d batches, %v", n, passed, err)
	}
	task, at, ok := x.refs[0].origin(1)
	if !ok || task != x.Task || at.TopicPartition != in("a") || at.Offset != 1 {
		t.Fatalf("record 1 of the first batch comes from %v, %v", at, ok)
	}
	if w := x.refs[1].writers(); len(w) != 1 || w[0] != x.Task {
		t.Fatalf("the second batch was written by %v", w)
	}
	x.marked = map[culprit]error{at: errors.New("refused by the broker")}
	x.rewind()
	clear(x.sent)
	x.Deliver(in("a"), append(recs(0, "k=a", "k=b", "k=c"), recs(3, "k=d", "k=e")...), 5, 5)
	if n, err := x.Run(1000, 100); n != 5 || err != nil || passed != 3 {
		t.Fatalf("again: %d records, %d batches in all, %v", n, passed, err)
	}
	if got := x.values("out"); got != "a c d e" {
		t.Errorf("out: %q", got)
	}
	if got := x.values("dlq"); got != "b" {
		t.Errorf("dead letters: %q", got)
	}
}

// Batches that a punctuation falls into, that begin before the position, or whose task runs its units twice, are not sent on.
func TestBatchesThatAreNotPassedOn(t *testing.T) {
	passed := 0
	x := newPassTask(t, true, &passed)
	var fired []int64
	x.node.EveryStreamTime(testInfo(1, "map"), 102, func(time int64) error { fired = append(fired, time); return nil })
	x.node.Units.Commit()
	x.node.Timers.Refresh()
	x.Deliver(in("a"), recs(0, "k=a", "k=b", "k=c", "k=d"), 4, 4)
	if _, err := x.Run(1000, 100); err != nil || passed != 0 || fmt.Sprint(fired) != "[100 102]" {
		t.Errorf("%d batches passed on, timer fired at %v, %v", passed, fired, err)
	}
	x = newPassTask(t, true, &passed)
	if err := x.Seek(in("a"), 1, ""); err != nil {
		t.Fatal(err)
	}
	x.Deliver(in("a"), recs(0, "k=a", "k=b"), 2, 2)
	if _, err := x.Run(1000, 100); err != nil || passed != 0 || x.values("out") != "b" {
		t.Errorf("%d batches passed on, out %q, %v", passed, x.values("out"), err)
	}
	x.twice = &twice{}
	if x.passesBy(x.inputs[0]) != nil {
		t.Error("a task that runs its units twice passes batches on")
	}
}
