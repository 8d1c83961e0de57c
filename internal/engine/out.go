package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// TopicInfo is what an output needs to know of a topic.
type TopicInfo struct {
	Partitions     int32
	MaxRecordBytes int  // max.message.bytes; 0: not checked
	Compacted      bool // cleanup.policy holds compact: a null key is refused
}

// OutConfig says how outputs are collected.
type OutConfig struct {
	BatchBytes int // a partition's records are sent when they take this much
	UnitBytes  int // what one unit may send
	// Topic looks a topic up. It may block for a round trip, once per topic.
	Topic func(name string) (TopicInfo, error)
	// Builder makes an empty builder for a partition.
	Builder func(tp record.TopicPartition) Builder
	// Partition is the partition of a key among n.
	Partition func(key []byte, n int32) int32
	// Whole tells whether a batch, read from an offset on, is complete and could be sent on as it is; Reframe makes the batch to
	// send of it. nil: all output is built record by record.
	Whole   func(b Batch, from int64) bool
	Reframe func(b Batch) (Sealed, bool)
	// Send hands a batch over to be sent. It never blocks.
	Send func(tp record.TopicPartition, b Sealed, ref *Sent)
}

// Sent names a batch on its way: the caller of Send hands it back with the acknowledgement.
type Sent struct {
	TP    record.TopicPartition
	Count int
	Bytes int // before compression
	epoch int64
	log   *changelog // that this batch belongs to, nil for outputs
	round int64      // of the commit that a changelog batch belongs to

	origins []origin
	from    int // number of the batch's first record in origins
}

// writers returns the tasks that have records in the batch.
func (s *Sent) writers() (tasks []*Task) {
	if s.log != nil {
		return []*Task{s.log.task}
	}
	for i, o := range s.origins {
		last := i == len(s.origins)-1 || s.origins[i+1].start > s.from
		if o.start < s.from+s.Count && last && !slices.Contains(tasks, o.task) {
			tasks = append(tasks, o.task)
		}
	}
	return tasks
}

// origin returns who wrote record i of the batch.
func (s *Sent) origin(i int) (*Task, culprit, bool) {
	return findOrigin(s.origins, s.from+i)
}

// Out collects the output of the tasks of one worker in batches per partition.
type Out struct {
	cfg     OutConfig
	dests   []*dest
	byName  map[string]node.Dest
	pending []*outPart // with records that were not handed over yet
	ripe    []*outPart // with at least a full batch, between units
	spare   []Builder

	// While a transaction ends what is sealed waits here for the next one: it may still have to be forgotten.
	holding   bool
	held      []Send
	heldBytes int

	epoch   int64   // of the next commit; stamped on every batch
	unacked []int64 // batches on their way by epoch, from epoch first on
	first   int64
	sent    int64 // batches in all
}

type dest struct {
	topic  string
	info   TopicInfo
	parts  []*outPart
	sticky int32 // where records without a key go; moves on with each batch
}

// NewOut makes the output of a worker.
func NewOut(cfg OutConfig) *Out {
	return &Out{cfg: cfg, byName: map[string]node.Dest{}, first: 1, epoch: 1, unacked: make([]int64, 1)}
}

// Dest numbers a topic.
func (o *Out) Dest(topic string) (node.Dest, error) {
	if d, ok := o.byName[topic]; ok {
		return d, nil
	}
	info, err := o.cfg.Topic(topic)
	if err != nil {
		return 0, err
	}
	if info.Partitions <= 0 {
		return 0, fmt.Errorf("topic %s: %d partitions", topic, info.Partitions)
	}
	d := node.Dest(len(o.dests))
	o.dests = append(o.dests, &dest{topic: topic, info: info, parts: make([]*outPart, info.Partitions)})
	o.byName[topic] = d
	return d, nil
}

func (o *Out) part(d *dest, p int32) *outPart {
	if part := d.parts[p]; part != nil {
		return part
	}
	tp := record.TopicPartition{Topic: d.topic, Partition: p}
	part := &outPart{out: o, tp: tp, b: o.builder(tp)}
	d.parts[p] = part
	return part
}

func (o *Out) builder(tp record.TopicPartition) Builder {
	if n := len(o.spare); n > 0 {
		b := o.spare[n-1]
		o.spare = o.spare[:n-1]
		return b
	}
	return o.cfg.Builder(tp)
}

// recycle takes back a builder whose content was undone.
func (o *Out) recycle(b Builder) {
	b.Reset()
	o.spare = append(o.spare, b)
}

// Batch overhead and the largest encoding of a record's lengths; a record is measured as a batch of its own.
const (
	batchOverhead  = 61
	recordOverhead = 36
)

var (
	errNegativeTime = errors.New("negative timestamp")
	errNullKey      = errors.New("null key on a compacted topic")
)

func refused(err error) error { return &dlq.Failure{Stage: dlq.StageProduce, Err: err} }

// check refuses what no broker would take.
func (d *dest) check(time int64, key, value []byte, h record.Headers) error {
	if time < 0 {
		return refused(fmt.Errorf("%w %d", errNegativeTime, time))
	}
	if key == nil && d.info.Compacted {
		return refused(errNullKey)
	}
	if limit := d.info.MaxRecordBytes; limit > 0 {
		if n := len(key) + len(value) + len(h.Raw()) + batchOverhead + recordOverhead; n > limit {
			return refused(fmt.Errorf("a record of %d bytes, max.message.bytes is %d", n, limit))
		}
	}
	return nil
}

// rowBytes is what key and value of a store's row may have together, so that its changelog takes it; 0: not limited. A changelog
// record has few headers or none.
func (o *Out) rowBytes(changelog string) (int, error) {
	d, err := o.Dest(changelog)
	if err != nil {
		return 0, err
	}
	limit := o.dests[d].info.MaxRecordBytes
	if limit <= 0 {
		return 0, nil
	}
	const headers = 32
	return max(limit-batchOverhead-recordOverhead-headers, 1), nil
}

// flushRipe hands over the partitions that have a full batch. It is called between units only.
func (o *Out) flushRipe() error {
	for _, p := range o.ripe {
		p.ripe = false
		if err := o.flush(p); err != nil {
			return err
		}
	}
	o.ripe = o.ripe[:0]
	return nil
}

// FlushOlder hands over what has waited since before a wall time.
func (o *Out) FlushOlder(than int64) error {
	if err := o.flushRipe(); err != nil {
		return err
	}
	kept := o.pending[:0]
	for _, p := range o.pending {
		if p.b.Count() > 0 && p.since > than {
			kept = append(kept, p)
			continue
		}
		p.listed = false
		if err := o.flush(p); err != nil {
			return err
		}
	}
	clear(o.pending[len(kept):])
	o.pending = kept
	return nil
}

// FlushAll hands over everything.
func (o *Out) FlushAll() error { return o.FlushOlder(1<<63 - 1) }

// flush seals and sends all batches of p.
func (o *Out) flush(p *outPart) error {
	if p.b.Count() == 0 && len(p.full) == 0 {
		return nil
	}
	from := Sent{origins: p.origins.list}
	p.origins = origins{room: len(p.origins.list)}
	for i, b := range p.full {
		n := b.Count()
		if err := o.seal(p, b, from); err != nil {
			return err
		}
		from.from += n
		o.spare = append(o.spare, b)
		p.full[i] = nil
	}
	p.full = p.full[:0]
	if err := o.seal(p, p.b, from); err != nil {
		return err
	}
	o.dests[o.byName[p.tp.Topic]].sticky++
	return nil
}

func (o *Out) seal(p *outPart, b Builder, from Sent) error {
	n := b.Count()
	if n == 0 {
		return nil
	}
	size := b.Len()
	s, err := b.Seal()
	if err != nil {
		return fmt.Errorf("%s: batch of %d records: %w", p.tp, n, err)
	}
	o.unacked[o.epoch-o.first]++
	o.sent++
	from.TP, from.Count, from.Bytes, from.epoch = p.tp, n, size, o.epoch
	o.send(p.tp, s, &from)
	return nil
}

// closeEpoch ends the current epoch and returns its number: batches sent from now on belong to the next commit.
func (o *Out) closeEpoch() int64 {
	e := o.epoch
	o.epoch++
	o.unacked = append(o.unacked, 0)
	return e
}

// acked notes that a batch has come to its end, well or not.
func (o *Out) acked(s *Sent) { o.unacked[s.epoch-o.first]-- }

// settled tells whether every batch of an epoch and those before has been acknowledged.
func (o *Out) settled(epoch int64) bool {
	for len(o.unacked) > 1 && o.unacked[0] == 0 && o.first < o.epoch {
		o.unacked = o.unacked[:copy(o.unacked, o.unacked[1:])]
		o.first++
	}
	return o.first > epoch
}

// Unsent tells whether records wait to be handed over.
func (o *Out) Unsent() bool { return len(o.pending) > 0 }
