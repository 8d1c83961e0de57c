package engine

import (
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// Offset is what is committed for a partition.
type Offset struct {
	At       int64
	Metadata string
}

// TaskStore is a store of a task with the places where its commits go.
type TaskStore struct {
	Store     state.Store
	Engine    state.EngineStore
	Space     state.Space
	Spec      state.Spec
	Changelog string // topic; "": none
	Source    bool   // Changelog is an input of the task: nothing is written to it
	Next      int64  // offset of the changelog that the engine's state ends before
}

// taskCommit is a task's part in a commit that is under way.
type taskCommit struct {
	batches []spaceBatch // one per engine
	logs    []*changelog // by store; nil without changelog
	row     waiting      // the row that waits for its next attempt
	number  int64        // of the last transaction, under way or over; 0: there are none
}

type spaceBatch struct {
	space state.Space
	batch state.Batch
}

// batch returns the batch that goes to a space.
func (c *taskCommit) batch(s state.Space) state.Batch {
	for _, b := range c.batches {
		if b.space == s {
			return b.batch
		}
	}
	b := s.Batch()
	c.batches = append(c.batches, spaceBatch{s, b})
	return b
}

// inputMark is where an input stood when its task was frozen.
type inputMark struct{ position, time int64 }

// needsCommit tells whether a commit would change anything.
func (t *Task) needsCommit() bool {
	if t.worked || t.commit.row.unit.kind == unitRow {
		return true
	}
	for _, p := range t.inputs {
		if p.touched {
			return true
		}
	}
	return false
}

// dirtyBytes is about how much a commit would write to the state.
func (t *Task) dirtyBytes() (n int) {
	for _, s := range t.prog.Stores {
		n += s.Store.DirtyBytes()
	}
	return n
}

// freeze fixes what the running commit of the task holds: positions, dirty keys, changelog records. The changelog is sent
// later, when nothing can take the task back behind this point any more.
func (t *Task) freeze() error {
	c := &t.commit
	for _, p := range t.inputs {
		p.frozen = inputMark{p.position, p.time}
		p.touched = false
	}
	t.clocks.freeze()
	t.worked = false
	if t.cfg.Transactional {
		c.number = nextNumber(c.number, t.cfg.Salt)
	}
	for i, s := range t.prog.Stores {
		var log state.Changelog
		if c.logs[i] != nil {
			log = c.logs[i]
		}
		if err := s.Store.Freeze(c.batch(s.Space), log); err != nil {
			return fmt.Errorf("task %s: store %s: %w", t.ID, s.Store.Name(), err)
		}
		if c.logs[i] != nil {
			if err := c.logs[i].flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// apply commits the engine batch: every output of the commit has been acknowledged.
func (t *Task) apply(now int64) error {
	c := &t.commit
	for _, p := range t.inputs {
		p.applied = p.frozen
	}
	t.clocks.apply()
	if len(c.batches) == 0 {
		return nil
	}
	position := t.encodePosition()
	for i, s := range t.prog.Stores {
		o := state.StoredOffset{BrokerTime: now, Position: position}
		switch {
		case c.logs[i] != nil:
			o.Changelog = c.logs[i].next
		case s.Source:
			if p := t.input(record.TopicPartition{Topic: s.Changelog, Partition: t.ID.Partition}); p != nil { // nil: the topic has fewer partitions
				o.Changelog = p.frozen.position
			}
		}
		if err := c.batch(s.Space).SetOffset(s.Store.Name(), o); err != nil {
			return fmt.Errorf("task %s: store %s: %w", t.ID, s.Store.Name(), err)
		}
	}
	for _, b := range c.batches {
		if err := b.batch.Commit(); err != nil {
			return fmt.Errorf("task %s: %w", t.ID, err)
		}
	}
	clear(c.batches)
	c.batches = c.batches[:0]
	for _, s := range t.prog.Stores {
		s.Store.Applied()
	}
	return nil
}

// frozenOffsets are the offsets that the commit under way passes. Each carries all clocks, as in Kafka Streams, and the number of the
// transaction; one at least has to be written when a clock has moved, or for the sake of the number.
func (t *Task) frozenOffsets(into map[record.TopicPartition]Offset) {
	one := t.clocks.moved() || t.cfg.Transactional
	var named map[string]int64
	for i, p := range t.inputs {
		m := p.frozen
		if m.position != p.committed || m.time != p.savedTime || one && i == len(t.inputs)-1 {
			if named == nil {
				named = t.named()
			}
			into[p.tp] = Offset{At: m.position, Metadata: OffsetMetadata{Time: m.time, Named: named}.Encode()}
			one = false
		}
	}
}

// named are the numbers of the commit under way that belong to no input, nil for none.
func (t *Task) named() map[string]int64 {
	m := t.clocks.named()
	if t.cfg.Transactional {
		if m == nil {
			m = map[string]int64{}
		}
		m[commitName] = t.commit.number
	}
	return m
}

// confirmed ends the commit under way: the group holds its offsets.
func (t *Task) confirmed() {
	for _, p := range t.inputs {
		p.committed, p.savedTime = p.frozen.position, p.frozen.time
	}
	t.clocks.confirm()
	t.refusals = 0
}

// unconfirmed ends the commit under way without its offsets: they are part of the next one.
func (t *Task) unconfirmed() {
	for _, p := range t.inputs {
		p.touched = true
	}
}
