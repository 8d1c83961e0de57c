package state

import (
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// CodecError is a key or value that its serde could not encode or decode. It is the fault of data or serde: everything else
// that a store returns is trouble of the engine.
type CodecError struct {
	Task  record.TaskID
	Store string
	Op    string // "encode key", "decode key", "encode value", "decode value"
	Key   []byte // encoded; nil if it is the key that could not be encoded
	Err   error
}

func (e *CodecError) Error() string {
	if e.Key == nil {
		return fmt.Sprintf("task %s: store %s: %s: %v", e.Task, e.Store, e.Op, e.Err)
	}
	return fmt.Sprintf("task %s: store %s: key %.32q: %s: %v", e.Task, e.Store, e.Key, e.Op, e.Err)
}

func (e *CodecError) Unwrap() error { return e.Err }
