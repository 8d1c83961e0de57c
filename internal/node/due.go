package node

import (
	"errors"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// Due is something that a record makes due: a row that leaves a suppress buffer, a window that closes, a side of a join that
// stayed without a match, a record that leaves a join's buffer. It is a unit of its own inside the record's.
//
// A node keeps one value of its own that implements Due and fills it anew for each emission, so that an emission allocates
// nothing.
type Due interface {
	// Info is the node it belongs to.
	Info() *Info
	// Emit sends it on.
	Emit() error
	// Input shows it for a dead letter: under its own coordinates if they are known, else under [NoCoordinates]. It is asked only
	// when the emission has failed.
	Input() Input
}

// Nest runs emissions: the task that owns the units.
type Nest interface {
	Emit(d Due) error
	Room() bool
}

// Room tells whether the running unit should make more due. Where a buffer keeps what is left, it goes with the next record: so
// what one record makes due is not larger than a unit may be.
func (t *Task) Room() bool { return t.Nest == nil || t.Nest.Room() }

// Emit runs d as a unit inside the running one (N7).
//
//   - What belongs to it alone fails alone: after a *dlq.Failure or a panic its effects are undone, and the policy of the node
//     that failed, else of the topic in d.Input, else of the app decides. A dead letter or a skip ends the emission, Emit returns
//     nil, and the unit around it goes on.
//   - A retry, a failure that stops the task, and trouble of the infrastructure come back as an error. The caller returns it
//     unchanged: the unit around is undone, and run again or not.
//
// The caller takes d off its buffer before Emit, outside of the nested unit, so that what has failed does not come back. It
// comes back with everything else when the unit around it fails.
func (t *Task) Emit(d Due) error {
	if t.Nest != nil {
		return t.Nest.Emit(d)
	}
	// Without an engine nobody decides: what fails is undone, and that is all.
	p := t.Units.Begin()
	err := d.Emit()
	if errors.As(err, new(*dlq.Failure)) {
		t.Units.RollbackTo(p)
		return err
	}
	t.Units.End(p)
	return err
}

// NoCoordinates are those of what no single record stands behind.
func NoCoordinates() record.Coordinates {
	return record.Coordinates{TopicPartition: record.TopicPartition{Partition: -1}, Offset: -1}
}
