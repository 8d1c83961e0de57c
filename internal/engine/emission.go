package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// emissions are the nested units of the running unit: what it has made due so far (E8).
//
// An emission is known by its number. The unit around it is undone and run again from the same state, so that the same
// emission gets the same number: by it attempts are counted.
type emissions struct {
	begun int32              // in the running unit, failed ones included
	now   int32              // the number of the one that runs, from 1; 0: none
	due   node.Due           // it
	at    record.Coordinates // of the outermost unit
	bytes int                // sent by emissions that have ended well, and so far by the units around the one that runs
	tally emissionTally      // of those that have ended
}

// emissionTally counts what became of emissions. It is added to the task's counters when the outermost unit has ended well.
type emissionTally struct{ done, deadLettered, skipped int64 }

// attempt tells how often an emission has failed in earlier runs of its unit.
type attempt struct {
	number, attempts int32
	first            int64 // wall time of the first failure
}

// emissionEnd is what a nested unit returns that ends the unit around it. It travels through the nodes in between, to whom it
// is neither a failure of theirs nor of their record.
type emissionEnd struct {
	failure *dlq.Failure
	delay   time.Duration
	attempt attempt
	stop    error // not nil: the task stops with it; else the unit is tried again
}

func (e *emissionEnd) Error() string {
	if e.stop != nil {
		return e.stop.Error()
	}
	return fmt.Sprintf("emission %d is tried again with the unit around it: %s", e.attempt.number, e.failure)
}

// outside is what Emit puts back when the nested unit has ended.
type outside struct {
	input    node.Input
	at       *node.Info
	doing    node.Doing
	due      node.Due
	now      int32
	extra    uint8
	sequence int
	sent     int
}

// Emit implements [node.Nest].
func (t *Task) Emit(d node.Due) error {
	n, e := t.node, &t.nested
	if e.now == 0 {
		e.at = n.Input.Coordinates
	}
	out := outside{n.Input, n.At, n.Doing, e.due, e.now, t.extra, t.sequence, t.sender.sent}
	before, bytes := e.tally, e.bytes
	e.bytes += t.sender.sent
	letters, checked := len(t.letters), t.twice.at()
	p := n.Units.Begin()
	e.begun++
	e.now, e.due, t.extra, t.sequence, t.sender.sent = e.begun, d, 0, 0, 0
	t.dueRaw.Time = n.StreamTime
	n.Input, n.At, n.Doing = node.Input{Coordinates: node.NoCoordinates(), Raw: &t.dueRaw}, d.Info(), node.DoingFunction
	err := t.guardedEmission(d)
	number, partial, sent := e.now, t.extra, t.sender.sent
	n.Input, n.At, n.Doing = out.input, out.at, out.doing
	e.due, e.now, t.extra, t.sequence, t.sender.sent = out.due, out.now, out.extra|extraEmitted, out.sequence, out.sent
	if err == nil {
		n.Units.End(p)
		e.tally.count(partial)
		e.bytes += sent - out.sent
		return t.roomFor()
	}
	e.bytes = bytes
	f := (*dlq.Failure)(nil)
	if errors.As(err, &f) {
		n.Units.RollbackTo(p)
		e.tally, t.letters = before, t.letters[:letters]
		t.twice.back(checked)
		return t.emissionFailed(f, err, d, number)
	}
	return err
}

// Room implements [node.Nest]: half of what a unit may send is left for the last emission, and for the record.
func (t *Task) Room() bool { return t.sender.sent+t.nested.bytes < t.cfg.Out.cfg.UnitBytes/2 }

// roomFor refuses a unit that sends too much together with what it has made due (P7). An emission that is too large by itself is
// refused before, and set aside; here no part is at fault, so the task stops.
func (t *Task) roomFor() error {
	limit := t.cfg.Out.cfg.UnitBytes
	if t.sender.sent+t.nested.bytes <= limit {
		return nil
	}
	return fmt.Errorf("%w with what it makes due: more than %d bytes; no part of it is at fault, so nothing is set aside: allow more "+
		"by MaxUnitBytes", errUnitTooLarge, limit)
}

// count notes how an emission has ended that returned no error.
func (c *emissionTally) count(partial uint8) {
	switch {
	case partial&partialLetter != 0:
		c.deadLettered++
	case partial&partialSkip != 0:
		c.skipped++
	default:
		c.done++
	}
}

// guardedEmission runs a nested unit. A panic in it is its own failure.
func (t *Task) guardedEmission(d node.Due) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicFailure(p, t.node.Doing.Stage(dlq.StageProcess), t.node.At)
		}
	}()
	return d.Emit()
}

// emissionFailed does what the policy says about an emission that has failed and is undone.
func (t *Task) emissionFailed(f *dlq.Failure, err error, d node.Due, number int32) error {
	in := d.Input()
	a := t.retry.emission(number)
	if a.attempts++; a.attempts == 1 {
		a.first = t.node.WallTime
	}
	dec := t.decide(f, in.Topic, int(a.attempts), a.first, t.node.WallTime)
	end := &emissionEnd{failure: f, attempt: a}
	switch dec.Action {
	case dlq.ActionRetry:
		end.delay = dec.Delay
		return end
	case dlq.ActionFail:
		end.stop = fmt.Errorf("%s: task %s: emission of %s: %w", in.Coordinates, t.ID, d.Info().Name, err)
		if in.Offset < 0 {
			end.stop = fmt.Errorf("task %s: emission of %s: %w", t.ID, d.Info().Name, err)
		}
		return end
	case dlq.ActionSkip:
		t.nested.tally.skipped++
		return nil
	}
	t.nested.tally.deadLettered++
	sequence := t.sequence
	t.sequence = 0 // the letter's id must not depend on the unit around it
	if end.stop = t.setAside(f, dec.Class, in, true, int(a.attempts), a.first); end.stop != nil {
		return end
	}
	t.sequence = sequence
	return nil
}

// decide asks the policy of a failure, and counts it.
func (t *Task) decide(f *dlq.Failure, topic string, attempts int, first, now int64) dlq.Decision {
	d := t.policies.of(f, topic).Decide(f, attempts, time.Duration(now-first)*time.Millisecond, t.cfg.Chance())
	if d.Action == dlq.ActionDeadLetter && t.cfg.DeadLetters == "" {
		d.Action = dlq.ActionFail
	}
	t.tallyError(f, d)
	return d
}

// emission returns what is known of an emission's earlier attempts.
func (p *parked) emission(number int32) attempt {
	for _, a := range p.emissions {
		if a.number == number {
			return a
		}
	}
	return attempt{number: number}
}

// withEmission returns the attempts with those of one emission replaced.
func (p *parked) withEmission(a attempt) []attempt {
	list := make([]attempt, 0, len(p.emissions)+1)
	for _, other := range p.emissions {
		if other.number != a.number {
			list = append(list, other)
		}
	}
	return append(list, a)
}

// emissionEnded does what an emission has asked for that ended the running unit, which is undone.
func (t *Task) emissionEnded(e *emissionEnd, now int64) error {
	if e.stop != nil {
		return e.stop
	}
	next := t.retry
	next.emissions = t.retry.withEmission(e.attempt)
	next.node = e.failure.Node
	t.park(next, e.delay, now)
	return nil
}
