package engine

import (
	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/topology"
)

// passing is an input whose records go straight into one topic. Whole batches of it are sent on with the bytes they came in,
// when that is the same as running a unit for each record:
//
//   - all records of the batch are there, and the task stands at the first one;
//   - no record would fail: timestamps, sizes and keys are what the topic takes, and no record is marked as refused;
//   - the keys of all of them lead to one partition, and what was sent there before goes first;
//   - no punctuation falls due within the batch;
//   - the batch is compressed as the output is.
//
// Anything else takes the ordinary way, record by record.
type passing struct {
	topology.PassThrough
	raw record.Raw
}

// passesBy finds out whether batches of an input may be sent on. A task with several inputs merges them by time, and one that
// checks itself has to run its units.
func (t *Task) passesBy(p *input) *passing {
	if t.prog.PassThrough == nil || t.cfg.Out.cfg.Reframe == nil || t.twice != nil {
		return nil
	}
	to, ok := t.prog.PassThrough(p.tp.Topic)
	if !ok {
		return nil
	}
	return &passing{PassThrough: to}
}

// next reads the next record of a task's only input into the head, as [input.fill] does. Batches before it that can be sent on
// whole are; each counts its records, so a run may exceed its limit by one batch.
func (t *Task) next(p *input, limit int) (bool, error) {
	if p.pass == nil {
		return p.fill()
	}
	for t.n < limit {
		if p.cur == nil {
			if len(p.batches) == 0 {
				p.skipGap()
				return false, nil
			}
			passed, err := t.passOn(p)
			if err != nil {
				return false, err
			}
			if passed {
				continue
			}
			p.cur = p.batches[0].Open(p.position)
		}
		if ok, err := p.read(); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// passOn sends the first batch of the inbox on if it can be, and counts its records as completed.
func (t *Task) passOn(p *input) (bool, error) {
	b, out := p.batches[0], t.cfg.Out
	if t.retry.again() || !out.cfg.Whole(b, p.position) || t.marksIn(p, b.NextOffset()) {
		return false, nil
	}
	d := out.dests[p.pass.Dest]
	if limit := d.info.MaxRecordBytes; limit > 0 && b.Size() > limit {
		return false, nil
	}
	part, n, latest, ok := t.onePartition(p, d)
	if !ok || max(t.node.StreamTime, latest) >= t.node.Timers.Stream {
		return false, nil
	}
	if part < 0 {
		part = d.sticky % d.info.Partitions
	}
	s, ok := out.cfg.Reframe(b)
	if !ok {
		return false, nil
	}
	err := out.pass(d, part, s, origin{task: t, input: p.tp, at: p.position, units: n})
	if err != nil {
		return false, err
	}
	p.time = max(p.time, latest)
	t.node.StreamTime = max(t.node.StreamTime, latest)
	t.Counts.Consumed += int64(n)
	t.Counts.Completed += int64(n)
	p.pass.Source.Stats.In += int64(n)
	p.pass.Sink.Stats.In += int64(n)
	t.n += n
	p.close()
	return true, nil
}

// onePartition reads the first batch of the inbox through. It returns the partition that all its records go to, −1 if none has
// a key, how many they are and the largest timestamp. ok is false if they part ways, or if one of them would fail.
func (t *Task) onePartition(p *input, d *dest) (part int32, n int, latest int64, ok bool) {
	part, latest = -1, -1
	cfg, r := &t.cfg.Out.cfg, &p.pass.raw
	cur := p.batches[0].Open(p.position)
	for ; ; n++ {
		more, err := cur.Next(r)
		if err != nil {
			return 0, 0, 0, false // the records before it go the ordinary way
		}
		if !more {
			break
		}
		if r.Offset != p.position+int64(n) || len(r.Key)+len(r.Value)+len(r.Headers.Raw()) > cfg.UnitBytes ||
			d.check(r.Time, r.Key, r.Value, r.Headers) != nil {
			return 0, 0, 0, false
		}
		latest = max(latest, r.Time)
		if r.Key == nil {
			continue
		}
		switch to := cfg.Partition(r.Key, d.info.Partitions); {
		case part < 0:
			part = to
		case part != to:
			return 0, 0, 0, false
		}
	}
	return part, n, latest, n > 0
}

// marksIn tells whether the broker has refused what became of a record between an input's position and another offset.
func (t *Task) marksIn(p *input, end int64) bool {
	for at := range t.marked { // what is derived is in no partition
		if at.TopicPartition == p.tp && at.Offset >= p.position && at.Offset < end {
			return true
		}
	}
	return false
}

// pass sends a batch behind everything that was collected for its partition.
func (o *Out) pass(d *dest, partition int32, s Sealed, from origin) error {
	part := o.part(d, partition)
	if err := o.flush(part); err != nil {
		if s, ok := s.(interface{ Release() }); ok {
			s.Release()
		}
		return err
	}
	o.unacked[o.epoch-o.first]++
	o.sent++
	d.sticky++
	o.send(part.tp, s, &Sent{TP: part.tp, Count: from.units, epoch: o.epoch, origins: []origin{from}})
	return nil
}

// whole makes the functions of an [OutConfig] that send on fetched batches of at least so many bytes before compression.
// Smaller ones are worth putting together: a partition has one batch on its way at a time. A batch in another compression is
// not sent on: what is written is compressed as configured.
func whole(codec kafka.Codec, minBytes, maxBytes int) (func(b Batch, from int64) bool, func(b Batch) (Sealed, bool)) {
	fits := func(b Batch, from int64) bool {
		f, ok := b.(*fetched)
		return ok && f.batch.FirstOffset() == from && f.batch.Codec() == codec && f.batch.Complete() &&
			f.batch.Size() <= maxBytes && f.batch.Open() == nil && f.batch.Len() >= minBytes
	}
	reframe := func(b Batch) (Sealed, bool) {
		f := b.(*fetched)
		f.batch.Shut()
		s, ok := kafka.Reframe(f.batch)
		return s, ok
	}
	return fits, reframe
}
