package engine

import "github.com/oxbow-streams/oxbow/internal/record"

// Event is something that happened, told to a [Worker].
type Event interface{ event() }

// Events.
type (
	// AddTask hands a task over to the worker. It is restoring until Restored.
	AddTask struct{ Task *Task }
	// AddInput lets a task read one more partition, from the offset that is committed with its metadata: a topic that matches
	// the pattern of a source has appeared.
	AddInput struct {
		ID       record.TaskID
		TP       record.TopicPartition
		From     int64
		Metadata string
	}
	// DropInput lets a task read a partition no more: its topic is gone, and what was read of it ahead with it.
	DropInput struct {
		ID record.TaskID
		TP record.TopicPartition
	}
	// Restored says that the stores of a task hold its state and its inputs have been sought: it may run.
	Restored struct {
		ID   record.TaskID
		Ends []int64 // by store: the offset that its changelog was restored up to; nil: nothing was
	}
	// Delivered brings the answer of a fetch for one partition.
	Delivered struct {
		TP         record.TopicPartition
		Generation int64 // of the Fetch that asked for it; older ones are dropped
		Batches    []Batch
		Next, End  int64
		Err        error
	}
	// Acked says what became of a batch.
	Acked struct {
		Sent    *Sent
		Base    int64 // offset of the first record
		Err     error
		Refused []Refusal // not empty: the broker refused the batch for the sake of these records
	}
	// Ended says what became of the transaction that an End has asked to be ended. All its batches have been acknowledged.
	Ended struct {
		Outcome Outcome
		Err     error // why it was not committed; nil if nobody wanted it to be
	}
	// OffsetsDone ends the commit of offsets.
	OffsetsDone struct{ Err error }
	// Request asks for a commit of everything; a Committed action with the same number follows.
	Request struct{ Number int64 }
	// Release asks to commit, close and give up tasks; a Released action with the same number follows.
	Release struct {
		Number int64
		Tasks  []record.TaskID
	}
	// Lose takes tasks away at once: nothing more of them is committed.
	Lose struct{ Tasks []record.TaskID }
	// Pause and Resume stop and start the work of all tasks.
	Pause  struct{}
	Resume struct{}
)

// Outcome is what became of a transaction.
type Outcome uint8

// The outcomes. None of them is a guess: see landed.
const (
	OutcomeAborted Outcome = iota
	OutcomeCommitted
	// OutcomeFenced: it was aborted because another one has taken the producer's place. Where its tasks are is for the group to say.
	OutcomeFenced
	// OutcomeFatal: it was aborted, and so would be every other one; or nobody can say what has become of it.
	OutcomeFatal
)

// Refusal is a record of a batch that the broker refused.
type Refusal struct {
	Index int
	Err   error
}

func (AddTask) event()     {}
func (AddInput) event()    {}
func (DropInput) event()   {}
func (Restored) event()    {}
func (Delivered) event()   {}
func (Acked) event()       {}
func (Ended) event()       {}
func (OffsetsDone) event() {}
func (Request) event()     {}
func (Release) event()     {}
func (Lose) event()        {}
func (Pause) event()       {}
func (Resume) event()      {}

// Action is something that the driver of a [Worker] must do. Actions are carried out in order.
type Action interface{ action() }

// Actions.
type (
	// Send sends a batch. Its Acked follows.
	Send struct {
		TP    record.TopicPartition
		Batch Sealed
		Sent  *Sent
	}
	// Fetch begins to read a partition, or begins again at another offset.
	Fetch struct {
		TP         record.TopicPartition
		From       int64
		Generation int64
	}
	// Unfetch ends it.
	Unfetch struct{ TP record.TopicPartition }
	// Hold stops fetching a partition until Unhold: its inbox is full.
	Hold   struct{ TP record.TopicPartition }
	Unhold struct{ TP record.TopicPartition }
	// Flush sends at once what waits for company.
	Flush struct{}
	// Applied says that state was committed: queries see it.
	Applied struct{}
	// CommitOffsets commits offsets to the group. OffsetsDone follows.
	CommitOffsets struct {
		Offsets map[record.TopicPartition]Offset
	}
	// End ends the open transaction when everything that was sent is acknowledged. Ended follows.
	End struct {
		Commit  bool // else it is aborted
		Offsets map[record.TopicPartition]Offset
	}
	// Committed answers a Request.
	Committed struct {
		Number int64
		Err    error // the group did not take the offsets
	}
	// Released answers a Release: the tasks are committed and closed.
	Released struct {
		Number int64
		Err    error
	}
	// Closed says that a task is no longer the worker's.
	Closed struct{ ID record.TaskID }
	// Rejoin says that tasks were closed that the group still holds for ours.
	Rejoin struct{}
	// Failed says that the worker cannot go on.
	Failed struct{ Err error }
)

func (Send) action()          {}
func (Fetch) action()         {}
func (Unfetch) action()       {}
func (Hold) action()          {}
func (Unhold) action()        {}
func (Flush) action()         {}
func (Applied) action()       {}
func (CommitOffsets) action() {}
func (End) action()           {}
func (Committed) action()     {}
func (Released) action()      {}
func (Closed) action()        {}
func (Rejoin) action()        {}
func (Failed) action()        {}
