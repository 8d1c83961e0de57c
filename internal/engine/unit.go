package engine

import (
	"errors"
	"fmt"
	"runtime/debug"

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
	kind     unitKind
	input    *input
	timer    *node.Timer
	drain    node.Drain // its current row
	enforced bool
}

func (u *unit) begin(p *input) { u.kind, u.input = unitRecord, p }

// parked is a unit that failed and waits.
type parked struct {
	until    int64 // wall time of the next attempt
	attempts int
	first    int64 // wall time of the first failure
	node     string
}

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
	if t.partial == 0 {
		t.Counts.Completed++
	} else {
		t.endPartial()
	}
	t.passed(p)
}

// passed moves on behind a record whose unit has ended, one way or another.
func (t *Task) passed(p *input) {
	p.done()
	t.n++
	t.unit.kind = unitNone
	if t.retry.attempts != 0 {
		t.retry = parked{}
		t.Counts.Retrying = 0
	}
	t.sequence = 0
}

// failed undoes the running unit and does what its policy says. The error it returns stops the task.
func (t *Task) failed(err error, now int64) error {
	t.node.Units.Rollback()
	t.partial, t.node.Doing = 0, node.DoingFunction
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
	pol := t.policies.of(f, in.Topic)
	d := pol.Decide(f, attempts, time.Duration(now-first)*time.Millisecond, t.cfg.Chance())
	if d.Action == dlq.ActionDeadLetter && t.cfg.DeadLetters == "" {
		d.Action = dlq.ActionFail
	}
	t.tallyError(f, d)
	if d.Action == dlq.ActionRetry {
		t.parked = &parked{until: now + (d.Delay + time.Millisecond - 1).Milliseconds(), attempts: attempts, first: first, node: f.Node}
		if t.unit.kind == unitRecord {
			t.Counts.take()
			t.Counts.Retrying = 1
		}
		return nil
	}
	if d.Action == dlq.ActionFail {
		return t.wrap(err)
	}
	if d.Action == dlq.ActionDeadLetter {
		if err := t.setAside(f, d.Class, in, attempts, first); err != nil {
			return err
		}
	}
	t.node.Units.Commit()
	t.endFailed(d.Action)
	return t.cfg.Out.flushRipe()
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
	default:
		t.retry, t.unit.kind, t.sequence = parked{}, unitNone, 0
	}
}

// setAside appends the dead letter of the running unit to the output: it is part of the next commit.
func (t *Task) setAside(f *dlq.Failure, class dlq.Class, in node.Input, attempts int, first int64) error {
	c := dlq.Case{App: t.cfg.App, Version: t.cfg.Version, Task: t.ID, At: in.Coordinates, Record: in.Raw,
		Payload: dlq.PayloadOriginal, Failure: f, Class: class, Attempts: attempts, FirstFailed: first,
		Failed: t.node.WallTime, Sequence: t.sequence}
	if t.unit.kind != unitRecord {
		c.Payload = dlq.PayloadDerived
	}
	if t.prog.Path != nil {
		c.Path = t.prog.Path(f.Node)
	}
	c.Origin = string(in.Origin)
	l := dlq.Letter(c, t.letterLimit())
	err := t.sender.Send(t.dlq, max(in.Partition, 0)%t.dlqParts, l.Time, l.Key, l.Value, l.Headers)
	if err != nil {
		return fmt.Errorf("%s: dead letter to %s: %w", in.Coordinates, t.cfg.DeadLetters, err)
	}
	t.sequence++
	t.Counts.Letters++
	t.tally.Letters[LetterKey{f.Node, string(f.Stage)}]++
	t.tally.LetterBytes += int64(len(l.Key) + len(l.Value) + len(l.Headers.Raw()))
	return nil
}

func (t *Task) letterLimit() int {
	if t.dlqLimit == 0 {
		return 0
	}
	return max(t.dlqLimit-batchOverhead, 1)
}

// inputOf names what the running unit works on.
func (t *Task) inputOf() node.Input {
	switch t.unit.kind {
	case unitRecord:
		p := t.unit.input
		return node.Input{Coordinates: record.Coordinates{TopicPartition: p.tp, Offset: p.head.Offset}, Raw: *p.head,
			Origin: p.src.Origin(p.head)}
	case unitRow:
		return rowInput(t.unit.drain.Row())
	}
	return noInput(t.unit.timer.Time())
}

// rowInput is the input of a unit that no single record stands behind: a row, with its bytes.
func rowInput(r record.Raw) node.Input {
	in := noInput(r.Time)
	in.Raw = r
	return in
}

func noInput(time int64) node.Input {
	return node.Input{Coordinates: record.Coordinates{TopicPartition: record.TopicPartition{Partition: -1}, Offset: -1},
		Raw: record.Raw{Time: time, Offset: -1}}
}

// keepPartial is asked by a node that failed while the option KeepPartial is on: the record ends there, with the effects it
// had so far.
func (t *Task) keepPartial(f *dlq.Failure) error {
	in := t.inputOf()
	d := t.policies.of(f, in.Topic).Decide(f, 1<<30, 0, 0)
	if d.Action == dlq.ActionSkip || d.Action == dlq.ActionDeadLetter && t.cfg.DeadLetters != "" {
		t.tallyError(f, d) // the others come to failed
	}
	switch {
	case d.Action == dlq.ActionFail, d.Action == dlq.ActionDeadLetter && t.cfg.DeadLetters == "":
		return dlqFatal(f)
	case d.Action == dlq.ActionDeadLetter:
		if err := t.setAside(f, d.Class, in, 1, t.node.WallTime); err != nil {
			return err
		}
		t.partial |= partialLetter
	default:
		t.partial |= partialSkip
	}
	return nil
}

const (
	partialSkip   = 1
	partialLetter = 2
)

// dlqFatal makes a failure that no policy softens.
func dlqFatal(f *dlq.Failure) error {
	g := *f
	g.Err = dlq.Fatal(f.Err)
	return &g
}

// endPartial counts a record that ended in parts.
func (t *Task) endPartial() {
	if t.partial&partialLetter != 0 {
		t.Counts.DeadLettered++
	} else {
		t.Counts.Skipped++
	}
	t.partial = 0
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

func panicFailure(p any, stage dlq.Stage, at *node.Info) error {
	err, ok := p.(error)
	if !ok {
		err = fmt.Errorf("panic: %v", p)
	}
	f := &dlq.Failure{Stage: stage, Err: err, Panic: true, Stack: debug.Stack()}
	if at != nil {
		f.Node = at.Name
	}
	return f
}

// wrap names the task and, if there is one, the record an error belongs to.
func (t *Task) wrap(err error) error {
	if t.unit.kind == unitRecord {
		return fmt.Errorf("%s: task %s: %w", t.inputOf().Coordinates, t.ID, err)
	}
	return fmt.Errorf("task %s: %w", t.ID, err)
}

// refusedHere fails the unit of a record whose output a broker has refused before the task was rewound.
func (t *Task) refusedHere(p *input) error {
	err := t.marked[record.Coordinates{TopicPartition: p.tp, Offset: p.head.Offset}]
	if err == nil {
		return nil
	}
	return &dlq.Failure{Stage: dlq.StageProduce, Err: err}
}
