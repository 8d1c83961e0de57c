package state

import (
	"errors"
	"fmt"
	"strings"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// Trouble says what is wrong with an engine. It decides what the owner of the state can do about it.
type Trouble uint8

const (
	// TroubleIO is an input/output error of the disk. The state on disk is a committed prefix: reopen when the disk is well.
	TroubleIO Trouble = iota + 1
	// TroubleFull means that the disk or a quota is full. As TroubleIO: reopen when there is room.
	TroubleFull
	// TroubleCorrupt means that what the disk holds is not what was written. The state cannot be used: remove it and
	// restore from the changelogs.
	TroubleCorrupt
	// TroubleStuck means that an operation did not end in its time and that no error said why.
	TroubleStuck
	// TroubleLocked means that another process, or another engine of this one, owns the state directory.
	TroubleLocked
	// TroubleFormat means that the state was written in a format that this version does not know.
	TroubleFormat
	// TroubleAccess means that the state directory may not be used: its name, owner or mode is wrong.
	TroubleAccess
)

func (t Trouble) String() string {
	switch t {
	case TroubleIO:
		return "I/O error"
	case TroubleFull:
		return "disk full"
	case TroubleCorrupt:
		return "corrupt"
	case TroubleStuck:
		return "stuck"
	case TroubleLocked:
		return "locked"
	case TroubleFormat:
		return "unknown format"
	case TroubleAccess:
		return "not accessible"
	}
	return fmt.Sprintf("trouble %d", uint8(t))
}

// Restores tells whether the state is lost, so that it is to be removed and restored from the changelogs. In all other
// cases what is on disk stays a committed prefix and must be kept.
func (t Trouble) Restores() bool { return t == TroubleCorrupt }

// EngineError is trouble of the engine itself, not of the caller's data. It is infrastructure: it stops the app or makes
// it reopen its state, and never becomes a dead letter. An engine that has returned one of TroubleIO, TroubleFull,
// TroubleCorrupt or TroubleStuck is failed: every later call returns that error, and only Close is left to do.
type EngineError struct {
	Trouble Trouble
	Dir     string         // state directory, "" in memory
	Task    *record.TaskID // nil: the whole engine
	Store   string         // "" : not of one store
	Op      string         // "commit", "get", "flush", "background", ...
	Err     error
}

func (e *EngineError) Error() string {
	var b strings.Builder
	if e.Task != nil {
		fmt.Fprintf(&b, "task %s: ", e.Task)
	}
	if e.Store != "" {
		fmt.Fprintf(&b, "store %q: ", e.Store)
	}
	if e.Dir != "" {
		fmt.Fprintf(&b, "state directory %s: ", e.Dir)
	}
	fmt.Fprintf(&b, "%s: %s", e.Op, e.Trouble)
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

func (e *EngineError) Unwrap() error { return e.Err }

// At returns e with coordinates that it lacks.
func (e *EngineError) At(task *record.TaskID, store, op string) *EngineError {
	c := *e
	if c.Task == nil {
		c.Task = task
	}
	if c.Store == "" {
		c.Store = store
	}
	if op != "" && op != c.Op {
		c.Op = op + ": " + c.Op
	}
	return &c
}

// AsEngineError finds the EngineError in err's chain; nil if there is none.
func AsEngineError(err error) *EngineError {
	var e *EngineError
	errors.As(err, &e)
	return e
}

// ErrClosed is what calls on a closed engine, space, batch, ingester or iterator return, wrapped.
var ErrClosed = errors.New("closed")
