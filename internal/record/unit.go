package record

import "github.com/oxbow-streams/oxbow/internal/invariant"

// Undoer is a piece of state that takes part in units: a store, an output buffer, an operator's clock, a timer list.
// It logs how to take back each change, and calls [Units.Touch] before the first entry of an empty log.
type Undoer interface {
	// Mark returns the length of the undo log.
	Mark() int
	// Undo takes back every change since mark, newest first, and cuts the log to mark.
	Undo(mark int)
	// Release forgets the log: the outermost unit has succeeded.
	Release()
}

// Units brackets the work of one task into units that succeed or fail whole (R5). It belongs to the task's goroutine.
//
// An outermost unit needs no call at its start: all logs are empty then. It ends with [Units.Commit] or
// [Units.Rollback]. A unit inside it is bracketed by [Units.Begin] and [Units.Rollback] to what Begin returned, or
// by nothing when it succeeds.
type Units struct {
	touched []Undoer
	marks   []int // marks of the open nested units, each len(touched) at its time
}

// Touch notes that u has something to undo in the running unit. It is called by u itself, once, when its log was empty.
func (s *Units) Touch(u Undoer) { s.touched = append(s.touched, u) }

// Savepoint is the start of a nested unit.
type Savepoint struct {
	touched int // how many participants had been touched
	marks   int // where their marks begin
}

// Begin opens a nested unit: it remembers how far each log goes.
func (s *Units) Begin() Savepoint {
	p := Savepoint{touched: len(s.touched), marks: len(s.marks)}
	for _, u := range s.touched {
		s.marks = append(s.marks, u.Mark())
	}
	return p
}

// End closes a nested unit that succeeded. Its changes now belong to the unit around it.
func (s *Units) End(p Savepoint) { s.marks = s.marks[:p.marks] }

// RollbackTo undoes a nested unit. Participants that it touched first are undone whole and leave the list again.
func (s *Units) RollbackTo(p Savepoint) {
	for i := len(s.touched) - 1; i >= 0; i-- {
		mark := 0
		if i < p.touched {
			mark = s.marks[p.marks+i]
		}
		s.touched[i].Undo(mark)
	}
	s.touched = s.touched[:p.touched]
	s.marks = s.marks[:p.marks]
}

// Commit ends the outermost unit: what it did stays.
func (s *Units) Commit() {
	if invariant.Enabled {
		invariant.Check(len(s.marks) == 0, "outermost unit ends while %d nested marks are open", len(s.marks))
	}
	for _, u := range s.touched {
		u.Release()
	}
	s.touched = s.touched[:0]
}

// Rollback ends the outermost unit: nothing of it stays.
func (s *Units) Rollback() {
	for i := len(s.touched) - 1; i >= 0; i-- {
		s.touched[i].Undo(0)
	}
	s.touched = s.touched[:0]
	s.marks = s.marks[:0]
}
