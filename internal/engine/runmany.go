package engine

import (
	"math"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/node"
)

// choice is what [Task.pick] has found out about the inputs that it did not choose. It holds for the running call of Run: nothing is
// delivered meanwhile, so that an empty input stays empty and the heads of the others stay where they are.
type choice struct {
	before   int64 // the chosen input would be chosen again while its head is earlier than that
	enforced bool  // another input is empty
}

// runMany is the loop of a task with several inputs, and of one that checks itself.
func (t *Task) runMany(limit int) error {
	for t.n < limit {
		p, err := t.pick()
		if p == nil || err != nil {
			return err
		}
		for {
			if t.choice.enforced {
				t.Counts.Enforced++
			}
			if err := t.runHead(p); err != nil {
				return err
			}
			if t.n >= limit {
				return nil
			}
			if ok, err := p.fill(); !ok {
				if err != nil {
					return err
				}
				break
			}
			if t.readTime(p); p.headTime >= t.choice.before {
				break
			}
		}
	}
	return nil
}

// runHead is the unit of the head of an input.
func (t *Task) runHead(p *input) (err error) {
	in := &t.node.Input
	t.unit.begin(p)
	in.TopicPartition, in.Offset, in.Raw = p.tp, p.head.Offset, p.head
	t.sender.sent = 0
	if t.marked != nil {
		if err := t.refusedHere(p); err != nil {
			return err
		}
	}
	if p.headErr != nil {
		return p.headErr
	}
	t.node.StreamTime = max(t.node.StreamTime, p.headTime)
	if t.prog.Time != nil {
		*t.prog.Time = p.headTime
	}
	if t.twice != nil {
		err = t.runTwice(func() error { return p.src.Process(p.head, p.headTime) })
	} else {
		err = p.src.Process(p.head, p.headTime)
	}
	if err != nil {
		return err
	}
	t.node.Units.Commit()
	t.completed(p)
	p.ran++
	if t.node.StreamTime >= t.node.Timers.Stream {
		if err := t.punctuateStream(); err != nil {
			return err
		}
	}
	if len(t.cfg.Out.ripe) > 0 {
		return t.cfg.Out.flushRipe()
	}
	return nil
}

// pick chooses the input whose head has the smallest timestamp, the first by topic among equals. It returns nil when the
// task has nothing to do, or should wait for an input that is empty.
//
// A record that is tried again stays the one: its attempts are its own, and what came meanwhile does not overtake it.
func (t *Task) pick() (*input, error) {
	t.choice = choice{before: math.MinInt64}
	if t.retry.again() && t.unit.kind == unitRecord {
		p := t.unit.input
		if p.headErr != nil { // its timestamp is extracted again, too
			p.headErr = nil
			t.readTime(p)
		}
		return p, nil
	}
	var best *input
	var wait, empty bool
	before := int64(math.MaxInt64)
	for _, p := range t.inputs {
		if !p.hasHead {
			ok, err := p.fill()
			if err != nil {
				return nil, err
			}
			if !ok {
				empty = true
				wait = t.waits(p, t.node.WallTime) || wait
				continue
			}
			p.idleSince = -1
		}
		if !p.hasTime {
			t.readTime(p)
		}
		switch {
		case best == nil:
			best = p
		case p.headTime < best.headTime:
			before, best = best.headTime, p // of those passed over it was the earliest
		case p.headTime < math.MaxInt64:
			before = min(before, p.headTime+1)
		}
	}
	if best == nil || wait && best.headErr == nil {
		return nil, nil
	}
	if !wait {
		t.choice = choice{before, empty}
	}
	return best, nil
}

// readTime extracts the timestamp of the head. A failure makes the head the first one to be picked: its unit fails.
func (t *Task) readTime(p *input) {
	if p.plain && p.head.Time >= 0 {
		p.headTime, p.hasTime = p.head.Time, true
		p.time = max(p.time, p.headTime)
		return
	}
	in := &t.node.Input
	in.TopicPartition, in.Offset, in.Raw = p.tp, p.head.Offset, p.head
	defer func() {
		if r := recover(); r != nil {
			p.headErr = panicFailure(r, t.node.Doing.Stage(dlq.StageTimestamp), t.node.At)
			t.node.Doing = node.DoingFunction
			p.headTime, p.hasTime = math.MinInt64, true
		}
	}()
	time, err := p.src.Time(p.head, p.time)
	if err != nil {
		p.headErr, p.headTime, p.hasTime = err, math.MinInt64, true
		return
	}
	p.headTime, p.hasTime = time, true
	p.time = max(p.time, time)
}
