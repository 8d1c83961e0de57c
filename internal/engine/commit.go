package engine

import (
	"encoding/binary"
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/node"
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
}

// waiting is a unit between two attempts.
type waiting struct {
	unit   unit
	retry  parked
	parked *parked
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

// changelog writes to the changelog partition of one store. It implements Changelog.
type changelog struct {
	out  *Out
	part *outPart
	task *Task
	next int64 // offset after the last acknowledged record

	sealed []Sealed // batches of the commit under way that were not sent yet
	sizes  []int    // of the batches in sealed
}

// Append implements Changelog.
func (c *changelog) Append(time int64, key, value []byte, h record.Headers) error {
	if err := c.part.b.Append(max(time, 0), key, value, h); err != nil {
		return fmt.Errorf("%s: %w", c.part.tp, err)
	}
	if c.part.b.Len() >= c.out.cfg.BatchBytes {
		return c.flush()
	}
	return nil
}

func (c *changelog) flush() error {
	if c.part.b.Count() == 0 {
		return nil
	}
	size := c.part.b.Len()
	s, err := c.part.b.Seal()
	if err != nil {
		return fmt.Errorf("%s: %w", c.part.tp, err)
	}
	c.sealed, c.sizes = append(c.sealed, s), append(c.sizes, size)
	return nil
}

// send hands the sealed batches over. It returns how many there were.
func (c *changelog) send(round int64) int {
	n := len(c.sealed)
	for i, s := range c.sealed {
		c.out.cfg.Send(c.part.tp, s, &Sent{TP: c.part.tp, Count: s.Count(), Bytes: c.sizes[i], log: c, round: round})
		c.sealed[i] = nil
	}
	c.sealed, c.sizes = c.sealed[:0], c.sizes[:0]
	return n
}

// drop forgets what was not sent.
func (c *changelog) drop() {
	c.part.b.Reset()
	c.sealed, c.sizes = nil, nil
}

func (t *Task) openStores() error {
	t.commit.logs = make([]*changelog, len(t.prog.Stores))
	for i, s := range t.prog.Stores {
		if s.Changelog == "" || s.Source {
			continue
		}
		d, err := t.cfg.Out.Dest(s.Changelog)
		if err != nil {
			return fmt.Errorf("task %s: changelog of store %s: %w", t.ID, s.Store.Name(), err)
		}
		to := t.cfg.Out.dests[d]
		if t.ID.Partition >= to.info.Partitions {
			return fmt.Errorf("task %s: changelog %s has %d partitions, want at least %d", t.ID, s.Changelog,
				to.info.Partitions, t.ID.Partition+1)
		}
		tp := record.TopicPartition{Topic: s.Changelog, Partition: t.ID.Partition}
		t.commit.logs[i] = &changelog{out: t.cfg.Out, task: t, next: s.Next,
			part: &outPart{out: t.cfg.Out, tp: tp, b: t.cfg.Out.builder(tp)}}
	}
	return nil
}

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

// drain sends the rows that wait in emission buffers downstream, upstream tables first. done is false while a row waits
// for its next attempt, until the wall time that it returns; the task goes on with its records meanwhile, but is not
// committed.
//
// A record that waits for its next attempt is left alone: its effects are undone, so the commit passes by before it.
func (t *Task) drain(now int64) (done bool, err error) {
	t.node.WallTime = now
	c := &t.commit
	record := waiting{t.unit, t.retry, t.parked}
	t.unit, t.retry, t.parked = c.row.unit, c.row.retry, c.row.parked
	defer func() {
		c.row = waiting{t.unit, t.retry, t.parked}
		t.unit, t.retry, t.parked = record.unit, record.retry, record.parked
	}()
	for {
		if !t.wake(now) {
			return false, nil
		}
		err := t.guardedRows()
		if err == nil {
			return true, nil
		}
		if err = t.failed(err, now); err != nil {
			return false, err
		}
	}
}

// rowWaits returns the wall time of the next attempt of a row, −1 if none waits.
func (t *Task) rowWaits() int64 {
	if t.commit.row.parked == nil {
		return -1
	}
	return t.commit.row.parked.until
}

func (t *Task) guardedRows() (err error) {
	input := t.node.Input
	t.node.Input = noInput(0)
	defer func() {
		t.node.Input = input
		if p := recover(); p != nil {
			err = t.panicked(p)
		}
	}()
	if t.unit.kind == unitRow {
		if err := t.runRow(t.unit.drain); err != nil {
			return err
		}
	}
	for _, d := range t.prog.Drains {
		for d.Noted() > 0 {
			ok, err := d.Take()
			if err != nil {
				return fmt.Errorf("rows of %s: %w", d.Info().Name, err)
			}
			if !ok {
				break
			}
			if err := t.runRow(d); err != nil {
				return err
			}
		}
	}
	return nil
}

// runRow sends the current row of an emission buffer on. The node's input is none.
func (t *Task) runRow(d node.Drain) error {
	n := t.node
	t.unit.kind, t.unit.drain = unitRow, d
	n.At = d.Info()
	t.sender.sent = 0
	if err := t.runTwice(d.Emit); err != nil {
		return err
	}
	n.Units.Commit()
	t.endEmission()
	t.unit.kind, t.unit.drain = unitNone, nil
	t.retry, t.sequence = parked{}, 0
	return t.cfg.Out.flushRipe()
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

// sendLogs sends the changelog records of the commit under way. It returns how many batches there are.
func (t *Task) sendLogs(round int64) (n int) {
	for _, log := range t.commit.logs {
		if log != nil {
			n += log.send(round)
		}
	}
	return n
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
			o.Changelog = t.input(record.TopicPartition{Topic: s.Changelog, Partition: t.ID.Partition}).frozen.position
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

// frozenOffsets are the offsets that the commit under way passes. Each carries all clocks, as in Kafka Streams; one at least has
// to be written when a clock has moved.
func (t *Task) frozenOffsets(into map[record.TopicPartition]Offset) {
	moved := t.clocks.moved()
	for i, p := range t.inputs {
		m := p.frozen
		if m.position != p.committed || m.time != p.savedTime || moved && i == len(t.inputs)-1 {
			into[p.tp] = Offset{At: m.position, Metadata: OffsetMetadata{Time: m.time, Named: t.clocks.named()}.Encode()}
			moved = false
		}
	}
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

// rewind takes the task back to where its state is: what it did since is forgotten and will be done again.
func (t *Task) rewind() {
	t.drop()
	t.node.StreamTime = -1
	for _, p := range t.inputs {
		p.rewind(p.applied.position, p.applied.time)
		t.node.StreamTime = max(t.node.StreamTime, p.time)
	}
	t.unit, t.parked, t.retry, t.commit.row = unit{}, nil, parked{}, waiting{}
	t.clocks.rewind()
	t.Counts.untake()
	t.worked = false
}

// drop forgets all that is not in the engine.
func (t *Task) drop() {
	t.undo()
	for _, b := range t.commit.batches {
		b.batch.Discard()
	}
	t.commit.batches = nil
	for i, s := range t.prog.Stores {
		s.Store.Reset()
		if log := t.commit.logs[i]; log != nil {
			log.drop()
		}
	}
}

// encodePosition writes the positions of the inputs as they are stored with the state: for each a length, the topic, the
// partition, the offset.
func (t *Task) encodePosition() []byte {
	b := binary.AppendUvarint(nil, uint64(len(t.inputs)))
	for _, p := range t.inputs {
		b = binary.AppendUvarint(b, uint64(len(p.tp.Topic)))
		b = append(b, p.tp.Topic...)
		b = binary.AppendUvarint(b, uint64(p.tp.Partition))
		b = binary.AppendVarint(b, p.frozen.position)
	}
	return b
}
