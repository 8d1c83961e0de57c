package state

import "github.com/oxbow-streams/oxbow/internal/record"

// undoneTime is a time that is undone with its unit.
type undoneTime struct {
	units *record.Units
	now   int64
	log   []int64 // what now was
}

func (o *undoneTime) set(to int64) {
	if to == o.now {
		return
	}
	if len(o.log) == 0 {
		o.units.Touch(o)
	}
	o.log = append(o.log, o.now)
	o.now = to
}

// Mark is part of [record.Undoer].
func (o *undoneTime) Mark() int { return len(o.log) }

// Undo is part of [record.Undoer].
func (o *undoneTime) Undo(mark int) {
	if mark < len(o.log) {
		o.now = o.log[mark]
		o.log = o.log[:mark]
	}
}

// Release is part of [record.Undoer].
func (o *undoneTime) Release() { o.log = o.log[:0] }

// observed is the stream time of a window or session store: the largest time of a row that was put or deleted, or that
// Advance was told. It is −1 before the first row.
type observed struct {
	undoneTime
	frozen int64 // in the batch of the last freeze
	stored int64 // in the engine
}

func (o *observed) advance(to int64) {
	if to > o.now {
		o.set(to)
	}
}
