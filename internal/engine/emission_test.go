package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// held is an operator that keeps what it is given until a record says "go", which makes all of it due. A record "go!" fails
// after that. A row is a word that says how its emission fares; "a(b)" makes b due while a is on its way.
type held struct {
	t     *node.Task
	info  *node.Info
	rows  []string
	log   [][]string
	row   string // the one that is due
	tries map[string]int
	at    int64  // offset that rows are known by; −1: none
	room  bool   // what there is no room for waits for the next record
	order string // of what was tried
}

func (h *held) Mark() int { return len(h.log) }
func (h *held) Release()  { h.log = nil }

func (h *held) Undo(mark int) {
	if mark < len(h.log) {
		h.rows, h.log = h.log[mark], h.log[:mark]
	}
}

func (h *held) change(rows []string) {
	if len(h.log) == 0 {
		h.t.Units.Touch(h)
	}
	h.log, h.rows = append(h.log, h.rows), rows
}

func (h *held) Info() *node.Info { return h.info }

func (h *held) Input() node.Input {
	in := node.Input{Coordinates: node.NoCoordinates(), Raw: &record.Raw{Key: []byte("row"), Value: []byte(h.row), Time: 7}}
	if h.at >= 0 {
		in.Coordinates = record.Coordinates{TopicPartition: record.TopicPartition{Topic: "held"}, Offset: h.at}
	}
	return in
}

func (h *held) Emit() error {
	row := h.row
	h.order += row + " "
	word, inner, nested := strings.Cut(strings.TrimSuffix(row, ")"), "(")
	if err := h.send("<" + word); err != nil {
		return err
	}
	if nested {
		h.row = inner
		if err := h.t.Emit(h); err != nil {
			return err
		}
		h.row = row
	}
	if err := h.fate(word); err != nil {
		return err
	}
	return h.send(word + ">")
}

// send writes in parts, so that an undone emission has something to take back.
func (h *held) send(v string) error {
	return h.t.Out.Send(0, 1, 1, []byte("k"), []byte(v), record.Headers{})
}

func (h *held) fate(word string) error {
	h.t.At = h.info
	switch {
	case word == "bad":
		return h.t.Fail(dlq.StageProcess, h.info, errors.New("bad row"))
	case word == "panic":
		h.t.Doing = node.DoingEncodeValue
		panic("boom")
	case word == "skip":
		return h.t.Fail(dlq.StageProcess, h.info, dlq.Skip)
	case word == "disk":
		return errors.New("no space left on device")
	case strings.HasPrefix(word, "later"):
		h.tries[word]++
		if h.tries[word] <= int(word[5]-'0') {
			return h.t.Fail(dlq.StageProcess, h.info, errors.New("not yet"))
		}
	}
	return nil
}

func (h *held) take(v string) (string, error) {
	if !strings.HasPrefix(v, "go") {
		h.change(append(slices.Clip(h.rows), strings.Fields(v)...))
		return "took " + v, nil
	}
	for len(h.rows) > 0 && (!h.room || h.t.Room()) {
		h.row = h.rows[0]
		h.change(h.rows[1:])
		if err := h.t.Emit(h); err != nil {
			return "", asIs{err}
		}
		if h.t.Doing != node.DoingFunction {
			return "", errors.New("an emission left its mark on what the task does")
		}
	}
	if v == "go!" {
		return "", errors.New("go failed")
	}
	return v, nil
}

func newHeld(t *testing.T, cfg TaskConfig) (*testTask, *held) {
	h := &held{info: testInfo(3, "hold"), tries: map[string]int{}, at: -1}
	x := newTestTask(t, cfg, func(_ *node.Task, _, v string) (string, error) { return h.take(v) }, "a")
	h.t = x.node
	return x, h
}

func (x *testTask) go1(t *testing.T, now int64, from int64, values ...string) {
	t.Helper()
	var kv []string
	for _, v := range values {
		kv = append(kv, "k="+v)
	}
	end := from + int64(len(values))
	x.Deliver(in("a"), recs(from, kv...), end, end)
	if _, err := x.Run(now, 100); err != nil {
		t.Fatal(err)
	}
}

func (x *testTask) is(t *testing.T, out, letters string) {
	t.Helper()
	if got := x.values("out"); got != out {
		t.Errorf("out  %q\nwant %q", got, out)
	}
	if got := x.values("dlq"); got != letters {
		t.Errorf("letters %q\nwant    %q", got, letters)
	}
}

func (x *testTask) letter(i int, header string) string {
	v, _ := x.sent[record.TopicPartition{Topic: "dlq"}][i].Headers.Get(header)
	return string(v)
}

// An emission that fails is undone and set aside alone; the record that made it due goes on.
func TestEmissionFailsAlone(t *testing.T) {
	x, h := newHeld(t, TaskConfig{})
	h.at = 42
	x.go1(t, 1000, 0, "a bad b", "panic c skip", "go", "d")
	x.is(t, "took a bad b took panic c skip <a a> <b b> <c c> go took d", "bad panic")
	if c := x.Counts; c.Completed != 4 || c.DeadLettered != 0 || c.Letters != 2 || c.Emissions != 3 ||
		c.EmissionsDeadLettered != 2 || c.EmissionsSkipped != 1 {
		t.Errorf("counts %+v", c)
	}
	for header, want := range map[string]string{dlq.HeaderTopic: "held", dlq.HeaderOffset: "42", dlq.HeaderNode: "hold",
		dlq.HeaderPayload: "derived", dlq.HeaderStage: "serialize_value", dlq.HeaderClass: "panic", dlq.HeaderAttempts: "1"} {
		if got := x.letter(1, header); got != want {
			t.Errorf("%s is %q, want %q", header, got, want)
		}
	}
	if stack := x.letter(1, dlq.HeaderStacktrace); !strings.Contains(stack, "(*held).fate") {
		t.Errorf("the stack does not show the panic: %s", stack)
	}
	if x.letter(0, dlq.HeaderID) == x.letter(1, dlq.HeaderID) {
		t.Error("two rows of the same record have letters of one id")
	}
}

// A record that fails takes its emissions and their letters with it: what was due comes again with the next one, once.
func TestEmissionsAreUndoneWithTheirRecord(t *testing.T) {
	x, _ := newHeld(t, TaskConfig{})
	x.go1(t, 1000, 0, "a bad", "go!")
	x.is(t, "took a bad", "go!")
	if c := x.Counts; c.Letters != 1 || c.Emissions != 0 || c.EmissionsDeadLettered != 0 || c.DeadLettered != 1 {
		t.Errorf("counts %+v", c)
	}
	x.go1(t, 1000, 2, "go")
	x.is(t, "took a bad <a a> go", "go! bad")
	if c := x.Counts; c.Letters != 2 || c.Emissions != 1 || c.EmissionsDeadLettered != 1 {
		t.Errorf("counts %+v", c)
	}
}

// A retry undoes and parks the record. Each emission has its own attempts; one that has none left is set aside alone.
func TestEmissionIsTriedAgainWithItsRecord(t *testing.T) {
	x, h := newHeld(t, TaskConfig{Policy: dlq.NewPolicy(dlq.Retry(2, dlq.Fixed(50*time.Millisecond)))})
	x.go1(t, 1000, 0, "later1 a later2 later9", "go", "b")
	for now := int64(1049); now < 1400; now += 50 {
		if x.parked == nil {
			t.Fatal("nothing is parked")
		}
		x.is(t, "took later1 a later2 later9", "")
		if c := x.Counts; c.Retrying != 1 || c.Consumed != 2 || c.Letters != 0 || c.Emissions != 0 {
			t.Fatalf("at %d: counts %+v", now, c)
		}
		if n, err := x.Run(now, 100); n != 0 || err != nil {
			t.Fatalf("at %d: %d records, %v", now, n, err)
		}
		if n, err := x.Run(now+1, 100); err != nil {
			t.Fatal(err)
		} else if n > 0 {
			break
		}
	}
	x.is(t, "took later1 a later2 later9 <later1 later1> <a a> <later2 later2> go took b", "later9")
	// later1 once more, later2 twice, later9 in three runs.
	if h.order != "later1 later1 a later2 later1 a later2 later1 a later2 later9 later1 a later2 later9 later1 a later2 later9 " {
		t.Errorf("order %s", h.order)
	}
	if got := x.letter(0, dlq.HeaderAttempts) + " " + x.letter(0, dlq.HeaderFirstFailed); got != "3 1150" {
		t.Errorf("attempts and first failure %s", got)
	}
	if c := x.Counts; c.Retrying != 0 || c.Completed != 3 || c.Retries != 5 || c.EmissionsDeadLettered != 1 || c.Emissions != 3 {
		t.Errorf("counts %+v", c)
	}
}

// The record's own attempts are not used up by its emissions, nor the other way round.
func TestEmissionAttemptsAreItsOwn(t *testing.T) {
	x, _ := newHeld(t, TaskConfig{Policy: dlq.NewPolicy(dlq.Retry(1, dlq.Fixed(time.Millisecond)))})
	x.go1(t, 1000, 0, "later1 later9", "go!")
	for now := int64(1001); now < 1020 && x.parked != nil; now++ {
		if _, err := x.Run(now, 100); err != nil {
			t.Fatal(err)
		}
	}
	x.is(t, "took later1 later9", "go!")
	if got := x.letter(0, dlq.HeaderAttempts); got != "2" {
		t.Errorf("%s attempts of the record, want 2", got)
	}
	if c := x.Counts; c.Retries != 3 || c.Letters != 1 || c.DeadLettered != 1 || c.EmissionsDeadLettered != 0 {
		t.Errorf("counts %+v", c)
	}
}

func TestEmissionStopsTheTask(t *testing.T) {
	for _, c := range []struct {
		row    string
		at     int64
		policy *dlq.Policy
		want   string
	}{
		{"bad", 42, dlq.NewPolicy(dlq.Fail()), "held/0@42: task 0_0: emission of hold: process at hold: bad row"},
		{"bad", -1, dlq.NewPolicy(dlq.Fail()), "task 0_0: emission of hold: process at hold: bad row"},
		{"disk", 42, nil, "a/0@1: task 0_0: no space left on device"},
		{"a(disk)", 42, nil, "a/0@1: task 0_0: no space left on device"},
	} {
		x, h := newHeld(t, TaskConfig{Policy: c.policy})
		h.at = c.at
		x.Deliver(in("a"), recs(0, "k="+c.row, "k=go"), 2, 2)
		_, err := x.Run(1000, 100)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: error %v, want %s", c.row, err, c.want)
		}
		if got := x.Position(in("a")); got != 1 {
			t.Errorf("%s: position %d is behind the record", c.row, got)
		}
		x.is(t, "took "+c.row, "")
	}
}

// Emissions nest: the inner one fails alone, the outer one takes it along.
func TestEmissionsNest(t *testing.T) {
	x, _ := newHeld(t, TaskConfig{})
	x.go1(t, 1000, 0, "a(bad) b(c) skip(d) bad(panic)", "go")
	x.is(t, "took a(bad) b(c) skip(d) bad(panic) <a a> <b <c c> b> go", "bad bad(panic)")
	if c := x.Counts; c.Emissions != 3 || c.EmissionsDeadLettered != 2 || c.EmissionsSkipped != 1 || c.Letters != 2 || c.Completed != 2 {
		t.Errorf("counts %+v", c)
	}
}

// KeepPartial: the emission keeps the effects that it had, and is still the one to blame.
func TestEmissionKeepsPartial(t *testing.T) {
	for _, twice := range []bool{false, true} {
		x, _ := newHeld(t, TaskConfig{KeepPartial: true, Twice: twice})
		x.go1(t, 1000, 0, "a bad(skip) panic", "go", "go!")
		x.is(t, "took a bad(skip) panic <a a> <bad <skip skip> bad> go", "bad(skip) panic go!")
		if c := x.Counts; c.Completed != 2 || c.DeadLettered != 1 || c.Emissions != 1 || c.EmissionsDeadLettered != 2 ||
			c.EmissionsSkipped != 1 || c.Letters != 3 {
			t.Errorf("twice %t: counts %+v", twice, c)
		}
	}
}

func TestEmissionsRunTwice(t *testing.T) {
	x, h := newHeld(t, TaskConfig{Twice: true})
	x.go1(t, 1000, 0, "a bad panic b(bad)", "go", "go!")
	x.is(t, "took a bad panic b(bad) <a a> <b b> go", "bad panic bad go!")
	if c := x.Counts; c.Letters != 4 || c.Emissions != 2 || c.EmissionsDeadLettered != 3 {
		t.Errorf("counts %+v", c)
	}
	if n := strings.Count(h.order, "panic "); n != 2 {
		t.Errorf("the emission that panics ran %d times", n)
	}
}

// What the broker refuses of an emission is charged to it, when its record comes again; the record goes through.
func TestRefusedEmission(t *testing.T) {
	x, h := newHeld(t, TaskConfig{})
	x.go1(t, 1000, 0, "a b c", "go", "d")
	x.values("out")
	s := x.refs[0]
	var at culprit
	for i, want := range []int64{0, -1, -1, -1, -1, -1, -1, 1, 2} {
		_, o, ok := s.origin(i)
		if !ok || o.Offset != want || (want < 0) != (o.derived != 0) {
			t.Errorf("record %d comes from %v", i, o)
		}
		if i == 4 {
			at = o
		}
	}
	x.rewind()
	h.rows = nil // as a store would be
	x.marked = map[culprit]error{at: errors.New("refused by the broker")}
	clear(x.sent)
	x.go1(t, 1000, 0, "a b c", "go", "d")
	x.is(t, "took a b c <a a> <c c> go took d", "b")
	if got := x.letter(0, dlq.HeaderStage); got != "produce" {
		t.Errorf("stage %s", got)
	}
}

// P7: the limit holds for a record together with what it makes due. An emission that is too large by itself is set aside; where only
// the sum is, none is at fault, and the task stops.
func TestEmissionsAndTheirRecordHaveOneSize(t *testing.T) {
	fits, large := strings.Repeat("f", 1300), strings.Repeat("l", 3500) // each is sent twice
	one := "<" + fits + " " + fits + "> "
	x, h := newHeld(t, TaskConfig{})
	x.out.cfg.UnitBytes = 6000
	h.rows = []string{fits, large, fits}
	x.go1(t, 1000, 0, "go")
	x.is(t, one+one+"go", large)
	h.rows = []string{fits, fits, fits}
	x.Deliver(in("a"), recs(1, "k=go"), 2, 2)
	_, err := x.Run(1000, 100)
	if err == nil || !strings.Contains(err.Error(), "with what it makes due: more than 6000 bytes") {
		t.Errorf("%v", err)
	}

	// A buffer that can wait makes as much due as there is room for: half the limit, and what goes over it.
	x, h = newHeld(t, TaskConfig{})
	x.out.cfg.UnitBytes = 6000
	h.room, h.rows = true, []string{fits, fits, fits}
	x.go1(t, 1000, 0, "go")
	if len(h.rows) != 1 {
		t.Errorf("%d rows wait", len(h.rows))
	}
	x.go1(t, 1000, 1, "go")
	x.is(t, one+one+"go "+one+"go", "")
}

// Punctuations and rows make things due as records do.
func TestEmissionOfAPunctuation(t *testing.T) {
	x, h := newHeld(t, TaskConfig{})
	x.node.EveryWallClock(testInfo(4, "timer"), 10, func(int64) error {
		_, err := h.take("go")
		return err
	})
	x.node.Units.Commit()
	x.go1(t, 5, 0, "a bad")
	if _, err := x.Run(15, 100); err != nil {
		t.Fatal(err)
	}
	x.is(t, "took a bad <a a>", "bad")
	if c := x.Counts; c.Punctuations != 1 || c.Emissions != 1 || c.EmissionsDeadLettered != 1 || c.Letters != 1 || c.Completed != 1 {
		t.Errorf("counts %+v", c)
	}
}

type emptyDue struct{ info *node.Info }

func (d *emptyDue) Info() *node.Info  { return d.info }
func (d *emptyDue) Emit() error       { return nil }
func (d *emptyDue) Input() node.Input { panic(fmt.Sprint("asked although nothing failed")) }

// The price of a nested unit that succeeds: no allocation.
func BenchmarkEmission(b *testing.B) {
	x := &testTask{sent: map[record.TopicPartition][]record.Raw{}}
	x.out = newTestOut(x, topicSet{})
	n := &node.Task{}
	n.Out = x.out.Sender()
	prog := &Program{Node: n, Source: func(string) node.Source { return nullSource{} }}
	if _, err := NewTask(TaskConfig{Program: prog, Out: x.out}, []record.TopicPartition{in("a")}); err != nil {
		b.Fatal(err)
	}
	h := &held{t: n}
	h.change(nil)
	c := n.NewClock("c")
	c.Advance(1)
	d := &emptyDue{testInfo(0, "d")}
	b.ReportAllocs()
	for b.Loop() {
		if err := n.Emit(d); err != nil {
			b.Fatal(err)
		}
	}
}
