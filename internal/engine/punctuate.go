package engine

import "github.com/oxbow-streams/oxbow/dlq"

// punctuateStream fires what is due by stream time. It is called right after a record, so that batches of any size give
// the same result.
func (t *Task) punctuateStream() error { return t.punctuate(-1 << 63) }

// punctuateWall fires what is due by wall time, and by stream time.
func (t *Task) punctuateWall(now int64) error {
	if now < t.node.Timers.Wall && t.node.StreamTime < t.node.Timers.Stream {
		return nil
	}
	for t.parked == nil {
		err := t.guardedPunctuation(now)
		if err == nil {
			return t.cfg.Out.flushRipe()
		}
		if err = t.failed(err, now); err != nil {
			return err
		}
	}
	return nil
}

func (t *Task) guardedPunctuation(now int64) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = t.panicked(p)
		}
	}()
	return t.punctuate(now)
}

// punctuate fires what is due. A punctuation that fails has had its turn: it is not due again before its next time, unless
// its policy retries it.
func (t *Task) punctuate(wall int64) error {
	for {
		if t.unit.kind != unitPunctuation {
			p := t.node.Timers.Due(t.node.StreamTime, wall)
			if p == nil {
				return nil
			}
			t.unit.kind, t.unit.timer = unitPunctuation, p
		}
		if err := t.runPunctuation(); err != nil {
			return err
		}
	}
}

// runPunctuation fires the current punctuation.
func (t *Task) runPunctuation() error {
	p, n := t.unit.timer, t.node
	saved := n.Input
	n.Input, n.At = noInput(p.Time()), p.Info()
	t.sender.sent = 0
	if t.prog.Time != nil {
		*t.prog.Time = p.Time()
	}
	err := t.runTwice(p.Fire)
	n.Input = saved
	if err != nil {
		return err
	}
	n.Units.Commit()
	t.Counts.Punctuations++
	t.fold()
	t.worked = true
	t.unit.kind, t.unit.timer = unitNone, nil
	t.retry, t.sequence = parked{}, 0
	return nil
}

// stage corrects the stage of a failure in a punctuator.
func (t *Task) stage(f *dlq.Failure) {
	if t.unit.kind == unitPunctuation && f.Stage == dlq.StageProcess {
		f.Stage = dlq.StagePunctuate
	}
}
