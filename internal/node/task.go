package node

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// Task is what the nodes of one task share: the units, the output, time, and the record in work. It belongs to the
// goroutine that runs the task.
type Task struct {
	ID    record.TaskID
	Units record.Units
	Out   Output

	// Input is the record that the running unit works on. In a punctuation its Topic is empty, Partition and Offset are −1.
	Input Input
	// At is the node whose user function runs, or ran last (N6).
	At *Info
	// Doing is what At is doing beside its user function, so that a panic in a serde has its stage.
	Doing Doing
	// StreamTime is the largest timestamp of the records picked so far, −1 before the first. It is not undone with a unit.
	StreamTime int64
	// WallTime is the wall clock in ms, read once per batch.
	WallTime int64
	// Partial, if set, is asked about a Failure at the node where it happened: nil means that the record ends there and keeps
	// the effects it had (the option KeepPartial).
	Partial func(f *dlq.Failure) error
	// Context is what the contexts of fallible functions are made of, nil for none.
	Context context.Context
	// CallTimeout is how long a call of a fallible function may take, 0 for no limit.
	CallTimeout time.Duration
	// CommitRequested is set by a processor that asked for an early commit.
	CommitRequested bool
	// Timers are the task's punctuations.
	Timers Timers
	// Clocks are the times that operators of the task keep.
	Clocks []*Clock
	// Nest runs emissions. It is set by the task that runs the nodes.
	Nest Nest
	// Stores are those that records of the task are looked up in by their own keys, each once.
	Stores []Warmer
	// Globals are the stores of the global tables, by name. They are set before the nodes are wired.
	Globals map[string]GlobalView
}

// Warmer is a store that can be told which encoded keys come next.
type Warmer interface{ Warm(keys [][]byte) }

// looksUp says that the records of the task are looked up in a store. The keys of a stateful node are those of the source
// in front of it, or else there is a repartition topic between them.
func (t *Task) looksUp(s Warmer) {
	if !slices.Contains(t.Stores, s) {
		t.Stores = append(t.Stores, s)
	}
}

// Doing is a part of a node's work in which code of the user runs that is not its function.
type Doing uint8

// The parts. The zero Doing is the function.
const (
	DoingFunction Doing = iota
	DoingTimestamp
	DoingDecodeKey
	DoingDecodeValue
	DoingEncodeKey
	DoingEncodeValue
	DoingState
)

// Stage is the stage of a failure there, function being that of the function.
func (d Doing) Stage(function dlq.Stage) dlq.Stage {
	return [...]dlq.Stage{function, dlq.StageTimestamp, dlq.StageDeserializeKey, dlq.StageDeserializeValue,
		dlq.StageSerializeKey, dlq.StageSerializeValue, dlq.StageState}[d]
}

// Input names the record in work and shows it as it was fetched.
type Input struct {
	record.Coordinates
	Raw    *record.Raw
	Origin []byte // topic/partition/offset of the user's input if the record came through a repartition topic, else nil
}

// Fail makes the Failure of a node.
func (t *Task) Fail(stage dlq.Stage, at *Info, err error) error {
	return t.fail(&dlq.Failure{Stage: stage, Node: at.Name, Err: err})
}

func (t *Task) fail(f *dlq.Failure) error {
	t.Doing = DoingFunction
	if t.Partial != nil {
		return t.Partial(f)
	}
	return f
}

// Dest is a topic to write to, as numbered by an [Output].
type Dest int32

// ByKey asks an Output to choose the partition: murmur2 of the key as Java's default partitioner, any partition for a null
// key.
const ByKey int32 = -1

// ByKeyWithout is [ByKey] by what a key begins with: all but its last n bytes, fewer than 256 of them. So all windows of a key
// lie in one partition.
func ByKeyWithout(n int) int32 { return math.MinInt32 + int32(n) }

// PartOfKey returns the bytes of a key that choose the partition, for [ByKey] and [ByKeyWithout]; ok is false for other numbers.
func PartOfKey(partition int32, key []byte) (part []byte, ok bool) {
	switch n := int(partition - math.MinInt32); {
	case partition == ByKey:
		return key, true
	case partition >= 0 || n >= 256:
		return nil, false
	case key == nil:
		return nil, true
	default:
		return key[:max(len(key)-n, 0)], true
	}
}

// Output is where sinks write. What a unit has sent is taken back when the unit is undone. Bytes are copied before Send
// returns.
type Output interface {
	// Dest returns the number of a topic. It is called at instantiation, and per record by sinks with dynamic topics.
	Dest(topic string) (Dest, error)
	// Partitions returns how many partitions the topic has.
	Partitions(d Dest) int32
	// Send writes a record; nil key or value is null. A record that no broker would take (too large, invalid timestamp, null key
	// on a compacted topic) is a *dlq.Failure of stage produce without a node.
	Send(d Dest, partition int32, time int64, key, value []byte, h record.Headers) error
}

// userError makes the Failure of what a user's function returned. One that is a Failure already comes from a getter upstream.
func (t *Task) userError(at *Info, err error) error {
	if _, ok := err.(*dlq.Failure); ok {
		return err
	}
	return t.Fail(dlq.StageProcess, at, err)
}

// StateError is what a node returns for an error of a store; see stateError.
func (t *Task) StateError(at *Info, err error) error { return t.stateError(at, err) }

// UserError is what a node returns for an error of a user's function.
func (t *Task) UserError(at *Info, err error) error { return t.userError(at, err) }

// stateError makes a Failure of a key or value that a store's serde cannot turn into bytes or back. Everything else that a store
// returns is trouble of its engine. nil stays nil.
func (t *Task) stateError(at *Info, err error) error {
	if err == nil {
		return nil
	}
	if c := (*state.CodecError)(nil); errors.As(err, &c) {
		return t.Fail(dlq.StageState, at, err)
	}
	return err
}
