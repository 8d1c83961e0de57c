package node

import "github.com/oxbow-streams/oxbow/internal/record"

// Clock is a time that an operator keeps: its stream time, or how far it has emitted. It is state of the operator (N4): a unit
// that fails takes it back, it is committed with the offsets of the task, and it goes on from there after a restart.
type Clock struct {
	units *record.Units
	name  string
	now   int64
	log   []int64 // of the running unit: the values before its changes, one for each mark
	floor int     // length of log at the last mark
}

// NewClock makes the clock of an operator. It is called while the task is wired, before its offsets are known. The name must be
// the only one in its sub-topology and the same after a restart: that of the node or of its store.
func (t *Task) NewClock(name string) *Clock {
	c := &Clock{units: &t.Units, name: name, now: -1}
	t.Clocks = append(t.Clocks, c)
	return c
}

// Name is the name under which the clock is committed.
func (c *Clock) Name() string { return c.name }

// Now returns the time, −1 before the first.
func (c *Clock) Now() int64 { return c.now }

// Advance moves the clock on. It never goes back.
func (c *Clock) Advance(to int64) {
	if to <= c.now {
		return
	}
	switch n := len(c.log); {
	case n == 0:
		c.units.Touch(c)
		fallthrough
	case n == c.floor:
		c.log = append(c.log, c.now)
	}
	c.now = to
}

// Restore sets the clock between units, to what was committed.
func (c *Clock) Restore(to int64) { c.now = to }

// Mark implements record.Undoer.
func (c *Clock) Mark() int {
	c.floor = len(c.log)
	return c.floor
}

// Undo implements record.Undoer.
func (c *Clock) Undo(mark int) {
	if mark < len(c.log) {
		c.now = c.log[mark]
	}
	c.log, c.floor = c.log[:mark], mark
}

// Release implements record.Undoer.
func (c *Clock) Release() { c.log, c.floor = c.log[:0], 0 }
