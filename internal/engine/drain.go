package engine

import (
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/node"
)

// waiting is a unit between two attempts.
type waiting struct {
	unit   unit
	retry  parked
	parked *parked
}

// drain sends the rows that wait in emission buffers downstream, upstream tables first. done is false while a row waits
// for its next attempt, until the wall time that it returns; the task goes on with its records meanwhile, but is not
// committed.
//
// A record that waits for its next attempt is left alone: its effects are undone, so the commit passes by before it.
func (t *Task) drain(now int64) (done bool, err error) {
	t.node.WallTime = now
	c := &t.commit
	record := waiting{t.unit, t.retry, t.parked}
	t.unit, t.retry, t.parked = c.row.unit, c.row.retry, c.row.parked
	defer func() {
		c.row = waiting{t.unit, t.retry, t.parked}
		t.unit, t.retry, t.parked = record.unit, record.retry, record.parked
	}()
	for {
		if !t.wake(now) {
			return false, nil
		}
		err := t.guardedRows()
		if err == nil {
			return true, nil
		}
		if err = t.failed(err, now); err != nil {
			return false, err
		}
	}
}

// rowWaits returns the wall time of the next attempt of a row, −1 if none waits.
func (t *Task) rowWaits() int64 {
	if t.commit.row.parked == nil {
		return -1
	}
	return t.commit.row.parked.until
}

func (t *Task) guardedRows() (err error) {
	input := t.node.Input
	t.node.Input = noInput(0)
	defer func() {
		t.node.Input = input
		if p := recover(); p != nil {
			err = t.panicked(p)
		}
	}()
	if t.unit.kind == unitRow {
		if err := t.runRow(t.unit.drain); err != nil {
			return err
		}
	}
	for _, d := range t.prog.Drains {
		for d.Noted() > 0 {
			ok, err := d.Take()
			if err != nil {
				return fmt.Errorf("rows of %s: %w", d.Info().Name, err)
			}
			if !ok {
				break
			}
			if err := t.runRow(d); err != nil {
				return err
			}
		}
	}
	return nil
}

// runRow sends the current row of an emission buffer on. The node's input is none.
func (t *Task) runRow(d node.Drain) error {
	n := t.node
	t.unit.kind, t.unit.drain = unitRow, d
	n.At = d.Info()
	t.sender.sent = 0
	if err := t.runTwice(d.Emit); err != nil {
		return err
	}
	n.Units.Commit()
	t.endEmission()
	t.unit.kind, t.unit.drain = unitNone, nil
	t.retry, t.sequence = parked{}, 0
	return t.cfg.Out.flushRipe()
}
