package engine

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// bench is one task over a program of test nodes, with outputs in memory.
type testTask struct {
	*Task
	out  *Out
	sent map[record.TopicPartition][]record.Raw
	refs []*Sent
}

type topicSet map[string]TopicInfo

func (s topicSet) lookup(name string) (TopicInfo, error) {
	info, ok := s[name]
	if !ok {
		return info, fmt.Errorf("topic %s does not exist", name)
	}
	return info, nil
}

func newTestOut(x *testTask, topics topicSet) *Out {
	return NewOut(OutConfig{BatchBytes: 1 << 10, UnitBytes: 64 << 10, Topic: topics.lookup,
		Builder:   func(record.TopicPartition) Builder { return &MemBuilder{} },
		Partition: func(key []byte, n int32) int32 { return int32(len(key)) % n },
		Send: func(tp record.TopicPartition, b Sealed, s *Sent) {
			x.sent[tp] = append(x.sent[tp], b.(MemBatch)...)
			x.refs = append(x.refs, s)
		}})
}

// prepare, if set, wires more into the task of a test.
var prepare func(*node.Task)

// asIs is an error that the function of the test program does not make a Failure of.
type asIs struct{ error }

// program wires src → fn → sink "out" for each input topic.
func newTestTask(t *testing.T, cfg TaskConfig, fn func(tt *node.Task, k, v string) (string, error), topics ...string) *testTask {
	t.Helper()
	x := &testTask{sent: map[record.TopicPartition][]record.Raw{}}
	x.out = newTestOut(x, topicSet{"out": {Partitions: 2, MaxRecordBytes: 4 << 10}, "dlq": {Partitions: 1}})
	n := &node.Task{ID: cfg.ID}
	n.Out = x.out.Sender()
	if prepare != nil {
		prepare(n)
	}
	d, err := n.Out.Dest("out")
	if err != nil {
		t.Fatal(err)
	}
	sinkInfo, mapInfo, srcInfo := testInfo(2, "sink"), testInfo(1, "map"), testInfo(0, "src")
	sink := node.Sink(n, sinkInfo, "out", d, serde.String, serde.String, nil)
	out := new(node.Rec[string, string])
	proc := func(r *node.Rec[string, string]) error {
		n.At = mapInfo
		v, err := fn(n, r.Key, r.Value)
		if as := (asIs{}); errors.As(err, &as) {
			return as.error
		}
		if err != nil {
			return n.Fail(dlq.StageProcess, mapInfo, err)
		}
		*out = *r
		out.Value = v
		return sink(out)
	}
	sources := map[string]node.Source{}
	prog := &Program{Node: n, Source: func(topic string) node.Source { return sources[topic] },
		Infos: []*node.Info{srcInfo, mapInfo, sinkInfo}}
	var tps []record.TopicPartition
	for _, topic := range topics {
		sources[topic] = node.NewSource(n, srcInfo, serde.String, serde.String, node.Proc[string, string](proc))
		tps = append(tps, record.TopicPartition{Topic: topic})
	}
	cfg.Program, cfg.Out, cfg.App, cfg.DeadLetters = prog, x.out, "app", "dlq"
	if x.Task, err = NewTask(cfg, tps); err != nil {
		t.Fatal(err)
	}
	for _, tp := range tps {
		if err := x.Seek(tp, 0, ""); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

func recs(first int64, kv ...string) []Batch {
	var list []record.Raw
	for i, s := range kv {
		k, v, _ := strings.Cut(s, "=")
		list = append(list, record.Raw{Key: []byte(k), Value: []byte(v), Time: 100 + first + int64(i), Offset: first + int64(i)})
	}
	return []Batch{NewRecords(list, first+int64(len(kv)))}
}

func (x *testTask) values(topic string) string {
	if err := x.out.FlushAll(); err != nil {
		return err.Error()
	}
	var vs []string
	for p := range int32(4) {
		for _, r := range x.sent[record.TopicPartition{Topic: topic, Partition: p}] {
			vs = append(vs, string(r.Value))
		}
	}
	return strings.Join(vs, " ")
}

func in(topic string) record.TopicPartition { return record.TopicPartition{Topic: topic} }

func upper(_ *node.Task, _, v string) (string, error) {
	switch v {
	case "bad":
		return "", errors.New("bad value")
	case "panic":
		panic("boom")
	case "skip":
		return "", dlq.Skip
	}
	return strings.ToUpper(v), nil
}

// E1, E7: what fails leaves nothing behind, goes where its policy says, and is counted.
func TestTaskSetsAsideWhatFails(t *testing.T) {
	x := newTestTask(t, TaskConfig{}, upper, "a")
	x.Deliver(in("a"), recs(0, "k=x", "k=bad", "k=panic", "k=skip", "k=y"), 5, 5)
	n, err := x.Run(1000, 100)
	if n != 5 || err != nil {
		t.Fatalf("%d records, %v", n, err)
	}
	if got := x.values("out"); got != "X Y" {
		t.Errorf("out: %q", got)
	}
	if got := x.values("dlq"); got != "bad panic" {
		t.Errorf("dead letters: %q", got)
	}
	c := x.Counts
	if c.Consumed != 5 || c.Completed != 2 || c.DeadLettered != 2 || c.Skipped != 1 || c.Letters != 2 {
		t.Errorf("counts %+v", c)
	}
	l := x.sent[record.TopicPartition{Topic: "dlq"}][1]
	if node, _ := l.Headers.Get(dlq.HeaderNode); string(node) != "map" {
		t.Errorf("the letter names node %q", node)
	}
	if class, _ := l.Headers.Get(dlq.HeaderClass); string(class) != "panic" {
		t.Errorf("the letter has class %q", class)
	}
	if off, _ := l.Headers.Get(dlq.HeaderOffset); string(off) != "2" {
		t.Errorf("the letter names offset %s", off)
	}
}

// A retry parks the unit; the record comes first afterwards, and is set aside when no attempt is left.
func TestTaskRetriesInPlace(t *testing.T) {
	fails := 2
	x := newTestTask(t, TaskConfig{Policy: dlq.NewPolicy(dlq.Retry(2, dlq.Fixed(50*time.Millisecond)))},
		func(tt *node.Task, k, v string) (string, error) {
			if v == "b" && fails > 0 {
				fails--
				return "", errors.New("not yet")
			}
			return v, nil
		}, "a")
	x.Deliver(in("a"), recs(0, "k=a", "k=b", "k=c"), 3, 3)
	for _, step := range []struct {
		now  int64
		n    int
		done int64
	}{{1000, 1, 1}, {1049, 0, 1}, {1050, 0, 1}, {1099, 0, 1}, {1100, 2, 3}} {
		n, err := x.Run(step.now, 100)
		if err != nil || n != step.n || x.Counts.Completed != step.done {
			t.Fatalf("at %d: %d records, %d completed, %v", step.now, n, x.Counts.Completed, err)
		}
		retrying := x.Counts.Retrying
		if want := int64(1); step.now < 1100 && retrying != want || step.now == 1100 && retrying != 0 {
			t.Fatalf("at %d: %d retrying", step.now, retrying)
		}
	}
	if got := x.values("out"); got != "a b c" {
		t.Errorf("out: %q", got)
	}
}

func TestTaskFailsWithCoordinates(t *testing.T) {
	x := newTestTask(t, TaskConfig{Policy: dlq.NewPolicy(dlq.Fail())}, upper, "a")
	x.Deliver(in("a"), recs(7, "k=x", "k=bad"), 9, 9)
	_, err := x.Run(1000, 100)
	if err == nil || !strings.HasPrefix(err.Error(), "a/0@8: task 0_0: process at map: bad value") {
		t.Fatalf("error %v", err)
	}
	if got := x.Position(in("a")); got != 8 {
		t.Errorf("position %d is behind the record that failed", got)
	}
}

// Inputs are merged by time, an input that lags is waited for, one that is known to be empty is not.
func TestTaskPicksByTime(t *testing.T) {
	x := newTestTask(t, TaskConfig{}, upper, "a", "b")
	x.Deliver(in("a"), recs(0, "k=a0", "k=a1", "k=a2"), 3, 3)
	if n, _ := x.Run(1000, 100); n != 0 {
		t.Fatalf("%d records while it is not known whether b has some", n)
	}
	x.Deliver(in("b"), recs(1, "k=b1"), 2, 3)
	if n, _ := x.Run(1000, 100); n != 3 {
		t.Fatalf("%d records, want a0, a1, b1", n)
	}
	x.Deliver(in("b"), nil, 3, 3) // a gap: b is at its end
	if n, _ := x.Run(1000, 100); n != 1 {
		t.Fatalf("%d records, want a2", n)
	}
	if got := x.values("out"); got != "A0 A1 B1 A2" {
		t.Errorf("order %q", got)
	}
	if got := x.Position(in("b")); got != 3 {
		t.Errorf("position of b is %d, want 3 behind the gap", got)
	}
}

func TestTaskWaitsMaxIdle(t *testing.T) {
	x := newTestTask(t, TaskConfig{MaxIdle: 100}, upper, "a", "b")
	x.Deliver(in("a"), recs(0, "k=a0"), 1, 1)
	x.Deliver(in("b"), nil, 0, 0)
	if n, _ := x.Run(1000, 10); n != 0 {
		t.Fatal("it did not wait")
	}
	if ready, at := x.Ready(1050); ready || at != 1100 {
		t.Fatalf("ready %t, next at %d", ready, at)
	}
	if n, _ := x.Run(1100, 10); n != 1 {
		t.Fatal("it still waits")
	}
}

// A unit that fails in its second branch takes back what the first has sent, also over several batches.
func TestUnitIsUndoneWhole(t *testing.T) {
	big := strings.Repeat("z", 600)
	x := newTestTask(t, TaskConfig{}, func(tt *node.Task, k, v string) (string, error) {
		for range 5 {
			if err := tt.Out.Send(0, 0, 1, []byte("k"), []byte(big), record.Headers{}); err != nil {
				return "", err
			}
		}
		return upper(tt, k, v)
	}, "a")
	x.Deliver(in("a"), recs(0, "k=x", "k=bad", "k=y"), 3, 3)
	if _, err := x.Run(1000, 100); err != nil {
		t.Fatal(err)
	}
	got := strings.ReplaceAll(x.values("out"), big, "z")
	if got != "z z z z z z z z z z X Y" {
		t.Errorf("out: %q", got)
	}
}

// What no broker would take fails the unit instead of the batch.
func TestUnitChecksItsOutput(t *testing.T) {
	x := newTestTask(t, TaskConfig{}, func(_ *node.Task, _, v string) (string, error) {
		return strings.Repeat(v, 3000), nil
	}, "a")
	x.Deliver(in("a"), recs(0, "k=x", "k=xy", "k=z"), 3, 3)
	if _, err := x.Run(1000, 100); err != nil {
		t.Fatal(err)
	}
	if x.Counts.Completed != 2 || x.Counts.DeadLettered != 1 {
		t.Fatalf("counts %+v", x.Counts)
	}
	if got := x.values("dlq"); got != "xy" {
		t.Errorf("dead letters %q", got)
	}
	l := x.sent[record.TopicPartition{Topic: "dlq"}][0]
	stage, _ := l.Headers.Get(dlq.HeaderStage)
	sink, _ := l.Headers.Get(dlq.HeaderSinkTopic)
	if string(stage) != "produce" || string(sink) != "out" {
		t.Errorf("stage %q, sink %q", stage, sink)
	}
}

// Each record of a batch is known by the input record that stands behind it.
func TestOrigins(t *testing.T) {
	x := newTestTask(t, TaskConfig{}, func(tt *node.Task, k, v string) (string, error) {
		if v == "two" {
			if err := tt.Out.Send(0, 1, 1, []byte("k"), []byte("first"), record.Headers{}); err != nil {
				return "", err
			}
		}
		return upper(tt, k, v)
	}, "a")
	x.Deliver(in("a"), recs(0, "k=x", "k=y", "k=bad", "k=two", "k=z", "k=w"), 6, 6)
	if _, err := x.Run(1000, 100); err != nil {
		t.Fatal(err)
	}
	x.values("out")
	want := []int64{0, 1, 3, 3, 4, 5}
	for _, s := range x.refs {
		if s.TP.Topic != "out" {
			continue
		}
		for i, w := range want {
			if _, at, ok := s.origin(i); !ok || at.Offset != w || at.Topic != "a" {
				t.Errorf("record %d comes from %s, want offset %d", i, at, w)
			}
		}
	}
}

func TestRunTwiceFindsWhatEscapes(t *testing.T) {
	n := 0
	x := newTestTask(t, TaskConfig{Twice: true}, func(_ *node.Task, _, v string) (string, error) {
		if v == "count" {
			n++
			return fmt.Sprint(n), nil
		}
		return v, nil
	}, "a")
	x.Deliver(in("a"), recs(0, "k=x", "k=y"), 2, 2)
	if _, err := x.Run(1000, 100); err != nil {
		t.Fatal(err)
	}
	if got := x.values("out"); got != "x y" {
		t.Errorf("out %q", got)
	}
	x.Deliver(in("a"), recs(2, "k=count"), 3, 3)
	if _, err := x.Run(1000, 100); err == nil || !strings.Contains(err.Error(), "run again differs") {
		t.Fatalf("a counter outside of units was not noticed: %v", err)
	}
}

// leaky is a store that keeps what an undone unit has done to it.
type leaky struct {
	state.Store
	n uint64
}

func (s *leaky) Name() string            { return "leaky" }
func (s *leaky) Digest() (uint64, error) { return s.n, nil }

func TestRunTwiceFindsStateThatStays(t *testing.T) {
	var c *node.Clock
	prepare = func(n *node.Task) { c = n.NewClock("tick") }
	defer func() { prepare = nil }()
	s := &leaky{}
	x := newTestTask(t, TaskConfig{Twice: true}, func(_ *node.Task, _, v string) (string, error) {
		switch v {
		case "store":
			s.n++
		case "clock":
			c.Restore(c.Now() + 1) // not Advance
		case "fine":
			c.Advance(c.Now() + 1)
		}
		return v, nil
	}, "a")
	x.prog.Stores = []TaskStore{{Store: s}}
	for i, c := range []struct{ value, want string }{{"fine", ""}, {"store", "undone leaves another state in store leaky"},
		{"clock", "undone leaves clock tick at 1, not at 0"}} {
		x.Deliver(in("a"), recs(int64(i), "k="+c.value), int64(i)+1, int64(i)+1)
		_, err := x.Run(1000, 100)
		if got := fmt.Sprint(err); (err == nil) != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %v, want %q", c.value, err, c.want)
		}
		x.position(int64(i) + 1)
	}
}

// position passes a record that has stopped the task.
func (x *testTask) position(to int64) {
	x.inputs[0].rewind(to, x.inputs[0].time)
	x.unit = unit{}
}

func TestOffsetMetadata(t *testing.T) {
	// Written by Kafka Streams: version 2, partition time 1700000000000, no entries.
	if got := (OffsetMetadata{Time: 1700000000000}).Encode(); got != "AgAAAYvP5WgA" {
		t.Errorf("encoded %q", got)
	}
	for _, m := range []OffsetMetadata{{Time: -1}, {Time: 5, Named: map[string]int64{"oxbow.commit": 7, "x": -1}}} {
		got, err := DecodeOffsetMetadata(m.Encode())
		if err != nil || got.Time != m.Time || fmt.Sprint(got.Named) != fmt.Sprint(m.Named) {
			t.Errorf("%+v came back as %+v, %v", m, got, err)
		}
	}
	for _, s := range []string{"AA==", "%", "CQAAAYvP5WgA", "AgAAAYvP5WgAAAAAAQ=="} {
		if m, err := DecodeOffsetMetadata(s); err == nil || m.Time != -1 {
			t.Errorf("%q decoded to %+v, %v", s, m, err)
		}
	}
}

func FuzzOffsetMetadata(f *testing.F) {
	f.Add("AgAAAYvP5WgA")
	f.Add(OffsetMetadata{Time: 5, Named: map[string]int64{"oxbow.commit": 7}}.Encode())
	f.Fuzz(func(t *testing.T, s string) { DecodeOffsetMetadata(s) })
}

func BenchmarkTaskPerRecord(b *testing.B) {
	x := &testTask{sent: map[record.TopicPartition][]record.Raw{}}
	x.out = newTestOut(x, topicSet{})
	n := &node.Task{}
	n.Out = x.out.Sender()
	prog := &Program{Node: n, Source: func(string) node.Source { return nullSource{} }}
	task, err := NewTask(TaskConfig{Program: prog, Out: x.out}, []record.TopicPartition{in("a")})
	if err != nil {
		b.Fatal(err)
	}
	list := make([]record.Raw, 10_000)
	for i := range list {
		list[i].Offset = int64(i)
	}
	b.ReportAllocs()
	for b.Loop() {
		task.Seek(in("a"), 0, "")
		task.Deliver(in("a"), []Batch{NewRecords(list, 10_000)}, 10_000, 10_000)
		if n, err := task.Run(0, 1<<20); n != 10_000 || err != nil {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/record")
}

type nullSource struct{}

func (nullSource) Origin(*record.Raw) []byte                  { return nil }
func (nullSource) Time(r *record.Raw, _ int64) (int64, error) { return r.Time, nil }
func (nullSource) Process(r *record.Raw, _ int64) error       { return nil }

func testInfo(id int, name string) *node.Info {
	return &node.Info{ID: id, Name: name, Stats: &node.Stats{}}
}
