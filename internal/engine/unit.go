package engine

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// unitKind is what the running unit works on.
type unitKind uint8

const (
	unitNone unitKind = iota
	unitRecord
	unitPunctuation
	unitRow // of an emission buffer
)

// unit is the running unit, or the one that waits for its next attempt.
type unit struct {
	kind  unitKind
	input *input
	timer *node.Timer
	drain node.Drain // its current row
}

func (u *unit) begin(p *input) { u.kind, u.input = unitRecord, p }

// parked is a unit that waits for its next run: it failed, or an emission of it did.
type parked struct {
	until     int64 // wall time of the next run
	runs      int   // so far
	attempts  int   // runs in which the unit itself failed
	first     int64 // wall time of the first of these failures
	node      string
	emissions []attempt // of its emissions that have failed
}

// again tells whether the unit has run before.
func (p *parked) again() bool { return p.runs != 0 }

// wake tells whether the task may run. A parked unit is tried again at its time.
func (t *Task) wake(now int64) bool {
	if t.parked == nil {
		return true
	}
	if now < t.parked.until {
		return false
	}
	t.retry = *t.parked
	t.Counts.Retries++
	t.tally.Retries[t.parked.node]++
	t.parked = nil
	return true
}

// completed passes a record that went through.
func (t *Task) completed(p *input) {
	t.Counts.take()
	if t.extra == 0 {
		t.Counts.Completed++
	} else {
		t.endExtra()
	}
	t.passed(p)
}

// passed moves on behind a record whose unit has ended, one way or another.
func (t *Task) passed(p *input) {
	p.done()
	t.n++
	t.unit.kind = unitNone
	if t.retry.again() {
		t.retry = parked{}
		t.Counts.Retrying = 0
	}
	t.sequence = 0
}

// undo takes back the running unit.
func (t *Task) undo() {
	t.node.Units.Rollback()
	t.node.Doing = node.DoingFunction
	t.extra, t.sequence, t.letters, t.nested = 0, 0, t.letters[:0], emissions{}
}

// failed undoes the running unit and does what its policy says. The error it returns stops the task.
func (t *Task) failed(err error, now int64) error {
	t.undo()
	if e := (*emissionEnd)(nil); errors.As(err, &e) {
		return t.emissionEnded(e, now)
	}
	f := (*dlq.Failure)(nil)
	if !errors.As(err, &f) || t.unit.kind == unitNone {
		return t.wrap(err)
	}
	t.stage(f)
	attempts, first := t.retry.attempts+1, t.retry.first
	if attempts == 1 {
		first = now
	}
	in := t.inputOf()
	d := t.decide(f, in.Topic, attempts, first, now)
	if d.Action == dlq.ActionRetry && t.impatient(first, now, d.Delay) {
		d = t.decide(f, in.Topic, math.MaxInt, first, now) // as if all attempts were used up
	}
	if d.Action == dlq.ActionRetry {
		next := t.retry
		next.attempts, next.first, next.node = attempts, first, f.Node
		t.park(next, d.Delay, now)
		return nil
	}
	if d.Action == dlq.ActionFail {
		return t.wrap(err)
	}
	if d.Action == dlq.ActionDeadLetter {
		if err := t.setAside(f, d.Class, in, t.unit.kind != unitRecord, attempts, first); err != nil {
			return err
		}
	}
	t.node.Units.Commit()
	t.fold()
	t.endFailed(d.Action)
	return t.cfg.Out.flushRipe()
}

// impatient tells whether another attempt would come too late: the open transaction waits for a row, and has a timeout. It would be
// aborted, and the row begin anew with its attempts.
func (t *Task) impatient(first, now int64, delay time.Duration) bool {
	return t.unit.kind == unitRow && t.cfg.RowPatience > 0 && now+delay.Milliseconds()-first > t.cfg.RowPatience
}

// park lets the running unit, which is undone, wait for its next run.
func (t *Task) park(next parked, delay time.Duration, now int64) {
	next.until = now + (delay + time.Millisecond - 1).Milliseconds()
	next.runs++
	t.parked = &next
	if t.unit.kind == unitRecord {
		t.Counts.take()
		t.Counts.Retrying = 1
	}
}

func (t *Task) tallyError(f *dlq.Failure, d dlq.Decision) {
	t.tally.Errors[ErrorKey{string(f.Stage), f.Node, string(d.Class), d.Action.String()}]++
	t.tally.LastError = t.node.WallTime
}

// endFailed passes what the failed unit worked on.
func (t *Task) endFailed(a dlq.Action) {
	switch t.unit.kind {
	case unitRecord:
		t.Counts.take()
		if a == dlq.ActionSkip {
			t.Counts.Skipped++
		} else {
			t.Counts.DeadLettered++
		}
		t.unit.input.ran++ // a task with one input counts them all at the end of the run
		t.passed(t.unit.input)
		return
	case unitRow:
		if a == dlq.ActionSkip {
			t.Counts.EmissionsSkipped++
		} else {
			t.Counts.EmissionsDeadLettered++
		}
	}
	t.retry, t.unit.kind, t.sequence = parked{}, unitNone, 0
}

// setAside appends a dead letter to the output, as a part of the running unit: it goes out with the commit that the unit
// belongs to, and is undone with the unit. derived says that it is not the record that was read.
func (t *Task) setAside(f *dlq.Failure, class dlq.Class, in node.Input, derived bool, attempts int, first int64) error {
	c := dlq.Case{App: t.cfg.App, Version: t.cfg.Version, Task: t.ID, At: in.Coordinates, Record: *in.Raw,
		Payload: dlq.PayloadOriginal, Failure: f, Class: class, Attempts: attempts, FirstFailed: first,
		Failed: t.node.WallTime, Sequence: t.sequence}
	if derived {
		c.Payload = dlq.PayloadDerived
	}
	if t.prog.Path != nil {
		c.Path = t.prog.Path(f.Node)
	}
	c.Origin = string(in.Origin)
	l := dlq.Letter(c, t.letterLimit())
	sent, due, twice := t.sender.sent, t.nested.bytes, t.twice
	t.sender.sent, t.nested.bytes, t.twice = 0, 0, nil // a letter is not what makes a unit too large; the stack in it is never the same
	err := t.sender.Send(t.dlq, max(in.Partition, 0)%t.dlqParts, l.Time, l.Key, l.Value, l.Headers)
	if t.sender.sent, t.nested.bytes, t.twice = sent, due, twice; twice != nil {
		twice.note(t.dlq, 0, l.Time, l.Key, l.Value, record.Headers{})
	}
	if err != nil {
		return fmt.Errorf("%s: dead letter to %s: %w", in.Coordinates, t.cfg.DeadLetters, err)
	}
	t.sequence++
	t.letters = append(t.letters, letterNote{LetterKey{f.Node, string(f.Stage)},
		int64(len(l.Key) + len(l.Value) + len(l.Headers.Raw()))})
	return nil
}

func (t *Task) letterLimit() int {
	if t.dlqLimit == 0 {
		return 0
	}
	return max(t.dlqLimit-batchOverhead, 1)
}

// inputOf names what the running unit works on, whatever it has made due.
func (t *Task) inputOf() node.Input {
	switch t.unit.kind {
	case unitRecord:
		p := t.unit.input
		return node.Input{Coordinates: record.Coordinates{TopicPartition: p.tp, Offset: p.head.Offset}, Raw: p.head,
			Origin: p.src.Origin(p.head)}
	case unitRow:
		return rowInput(t.unit.drain.Row())
	}
	return noInput(t.unit.timer.Time())
}

// rowInput is the input of a unit that no single record stands behind: a row, with its bytes.
func rowInput(r record.Raw) node.Input {
	in := noInput(r.Time)
	in.Raw = &r
	return in
}

func noInput(time int64) node.Input {
	return node.Input{Coordinates: node.NoCoordinates(), Raw: &record.Raw{Time: time, Offset: -1}}
}

// panicked makes a failure of a panic in a unit. A panic outside of units is a fault of this package and goes on.
func (t *Task) panicked(p any) error {
	if t.unit.kind == unitNone {
		panic(p)
	}
	stage := dlq.StageProcess
	if t.unit.kind == unitPunctuation {
		stage = dlq.StagePunctuate
	}
	return panicFailure(p, t.node.Doing.Stage(stage), t.node.At)
}

// stackBytes is what is kept of the stack of a panic: its top. A dead letter shows no more.
const stackBytes = 8 << 10

func panicFailure(p any, stage dlq.Stage, at *node.Info) error {
	err, ok := p.(error)
	if !ok {
		err = fmt.Errorf("panic: %v", p)
	}
	f := &dlq.Failure{Stage: stage, Err: err, Panic: true, Stack: make([]byte, stackBytes)}
	f.Stack = f.Stack[:runtime.Stack(f.Stack, false)]
	if at != nil {
		f.Node = at.Name
	}
	return f
}

// wrap names the task and, if there is one, the record that an error belongs to.
func (t *Task) wrap(err error) error {
	if t.unit.kind == unitRecord {
		return fmt.Errorf("%s: task %s: %w", t.inputOf().Coordinates, t.ID, err)
	}
	return fmt.Errorf("task %s: %w", t.ID, err)
}

// refusedHere fails the unit of a record whose output a broker has refused before the task was rewound.
func (t *Task) refusedHere(p *input) error {
	err := t.marked[culprit{Coordinates: record.Coordinates{TopicPartition: p.tp, Offset: p.head.Offset}}]
	if err == nil {
		return nil
	}
	return &dlq.Failure{Stage: dlq.StageProduce, Err: err}
}
