package engine

import (
	"fmt"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// TaskConfig is what a task needs beside its program.
type TaskConfig struct {
	App, Version string
	ID           record.TaskID
	Program      *Program
	Out          *Out
	DeadLetters  string                 // topic; "": none, and a policy that wants one fails
	Policy       *dlq.Policy            // of the app; nil: dlq.DefaultPolicy
	TopicPolicy  map[string]*dlq.Policy // by source topic
	MaxIdle      int64                  // MaxTaskIdle in ms; negative: never wait
	KeepPartial  bool                   // a failing record keeps the effects it had
	Twice        bool                   // run every unit, undo it, run it again, compare

	Transactional bool   // its worker's commits are transactions
	Salt          uint32 // of its commit numbers, drawn for each new task
	RowPatience   int64  // ms that a row of an emission buffer, for which the transaction waits, is tried again at most; 0: no limit

	Chance func() float64 // in [0, 1), for the jitter of retries
}

// Counters count what became of the records of a task (E7), and some more. They belong to the task's goroutine.
type Counters struct {
	Consumed, Completed, DeadLettered, Skipped int64
	Retrying                                   int64 // 1 while a unit waits for its next attempt

	Letters      int64 // dead letters written, those of emissions and punctuations included
	Retries      int64 // attempts beyond the first
	Punctuations int64
	Emissions    int64 // what records made due, and rows of emission buffers, that went on
	// Emissions that failed. They are no records: E7 does not count them.
	EmissionsDeadLettered, EmissionsSkipped int64
	Enforced                                int64 // records processed although another input was empty
}

// take counts a record that is taken up, once: one that waits for its next attempt has been counted.
func (c *Counters) take() {
	if c.Retrying == 0 {
		c.Consumed++
	}
}

// untake uncounts a record that waits for its next attempt: it will be taken up again, here or elsewhere.
func (c *Counters) untake() { c.Consumed, c.Retrying = c.Consumed-c.Retrying, 0 }

// Add adds other to c.
func (c *Counters) Add(other Counters) {
	c.Consumed += other.Consumed
	c.Completed += other.Completed
	c.DeadLettered += other.DeadLettered
	c.Skipped += other.Skipped
	c.Retrying += other.Retrying
	c.Letters += other.Letters
	c.Retries += other.Retries
	c.Punctuations += other.Punctuations
	c.Emissions += other.Emissions
	c.EmissionsDeadLettered += other.EmissionsDeadLettered
	c.EmissionsSkipped += other.EmissionsSkipped
	c.Enforced += other.Enforced
}

// Task runs the units of one sub-topology and partition. It is a plain machine: no goroutine, no clock.
type Task struct {
	ID     record.TaskID
	Counts Counters

	cfg      TaskConfig
	prog     *Program
	node     *node.Task
	inputs   []*input
	policies policies
	dlq      node.Dest
	dlqParts int32
	dlqLimit int

	tally    *Tally // of the worker
	sender   *sender
	unit     unit
	choice   choice  // of the record that runs, among the heads of several inputs
	parked   *parked // the unit waits
	retry    parked  // the unit runs again
	twice    *twice
	extra    uint8             // what the running unit is beside a plain one
	sequence int               // letters of the running unit, or of the nested one that runs
	letters  []letterNote      // of the running unit
	nested   emissions         // of the running unit
	dueRaw   record.Raw        // what they show as the record in work: stream time, no offset
	n        int               // records ended in the running call of Run
	worked   bool              // something other than a record was done since the last commit
	marked   map[culprit]error // what a broker has refused; derived ones have no coordinates
	refusals int               // times that it did since the last commit

	commit taskCommit
	clocks clocks
}

// NewTask makes a task that reads the given partitions. Each position must be set by [Task.Seek] before the first run.
func NewTask(cfg TaskConfig, inputs []record.TopicPartition) (*Task, error) {
	t := &Task{ID: cfg.ID, cfg: cfg, prog: cfg.Program, node: cfg.Program.Node, tally: newTally(), dueRaw: record.Raw{Offset: -1}}
	if cfg.Policy == nil {
		t.cfg.Policy = dlq.DefaultPolicy()
	}
	if cfg.Chance == nil {
		t.cfg.Chance = func() float64 { return 0.5 }
	}
	t.policies = policies{app: t.cfg.Policy, topic: cfg.TopicPolicy, node: map[string]*dlq.Policy{}}
	for _, info := range cfg.Program.Infos {
		if info != nil && info.Policy != nil {
			t.policies.node[info.Name] = info.Policy
		}
	}
	t.sender = t.node.Out.(*sender)
	t.sender.task = t
	t.node.StreamTime, t.node.Nest = -1, t
	if cfg.KeepPartial {
		t.node.Partial = t.keepPartial
	}
	if cfg.Twice {
		t.twice = &twice{}
	}
	if err := t.openInputs(inputs); err != nil {
		return nil, err
	}
	if err := t.openDeadLetters(); err != nil {
		return nil, err
	}
	if err := t.openStores(); err != nil {
		return nil, err
	}
	if err := t.openClocks(); err != nil {
		return nil, err
	}
	t.node.Timers.Refresh()
	return t, nil
}

func (t *Task) openDeadLetters() error {
	if t.cfg.DeadLetters == "" {
		return nil
	}
	var err error
	if t.dlq, err = t.cfg.Out.Dest(t.cfg.DeadLetters); err != nil {
		return fmt.Errorf("task %s: dead letters: %w", t.ID, err)
	}
	info := t.cfg.Out.dests[t.dlq].info
	t.dlqParts, t.dlqLimit = info.Partitions, info.MaxRecordBytes
	return nil
}

// Seek sets where a partition is read from: the committed offset and the metadata committed with it.
func (t *Task) Seek(tp record.TopicPartition, offset int64, metadata string) error {
	p := t.input(tp)
	if p == nil {
		return fmt.Errorf("task %s: %s is not an input", t.ID, tp)
	}
	m, err := DecodeOffsetMetadata(metadata)
	p.rewind(offset, m.Time)
	p.committed = offset
	p.savedTime = m.Time
	p.applied = inputMark{offset, m.Time}
	p.frozen = p.applied
	t.node.StreamTime = max(t.node.StreamTime, m.Time)
	t.clocks.restore(m.Named)
	t.commit.number = max(t.commit.number, m.Named[commitName])
	return err
}

func (t *Task) input(tp record.TopicPartition) *input {
	for _, p := range t.inputs {
		if p.tp == tp {
			return p
		}
	}
	return nil
}

// Inputs lists the partitions that the task reads.
func (t *Task) Inputs() []record.TopicPartition {
	tps := make([]record.TopicPartition, len(t.inputs))
	for i, p := range t.inputs {
		tps[i] = p.tp
	}
	return tps
}

// Deliver puts batches into the inbox of a partition. next is where fetching goes on, end the high watermark or −1.
func (t *Task) Deliver(tp record.TopicPartition, batches []Batch, next, end int64) {
	p := t.input(tp)
	if p == nil {
		for _, b := range batches {
			b.Release()
		}
		return
	}
	p.deliver(batches, next, end)
}

// Position returns the offset after the last record of tp whose unit has ended.
func (t *Task) Position(tp record.TopicPartition) int64 { return t.input(tp).position }

// InboxBytes returns what waits in the inbox of a partition.
func (t *Task) InboxBytes(tp record.TopicPartition) int { return t.input(tp).bytes }

// Init prepares the program: the stores hold their state, the inputs have been sought.
func (t *Task) Init(now int64) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicFailure(p, dlq.StageProcess, nil)
		}
		if err != nil {
			t.node.Units.Rollback()
			err = fmt.Errorf("task %s: init: %w", t.ID, err)
		}
	}()
	for _, s := range t.prog.Stores { // they were opened before they were restored
		if r, ok := s.Store.(interface{ Restored() error }); ok {
			if err := r.Restored(); err != nil {
				return err
			}
		}
	}
	t.node.WallTime, t.node.Input = now, noInput(-1)
	if t.prog.Init != nil {
		if err := t.prog.Init(); err != nil {
			return err
		}
	}
	t.node.Timers.Resume(t.node.StreamTime)
	t.node.Units.Commit()
	return nil
}

// Close ends the task: its inboxes are released and its program is closed.
func (t *Task) Close() error {
	for _, p := range t.inputs {
		p.clear()
	}
	if t.prog.Close != nil {
		if err := t.prog.Close(); err != nil {
			return fmt.Errorf("task %s: close: %w", t.ID, err)
		}
	}
	return nil
}
