package kafka

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// modelLog is a partition as a broker of Kafka 4.3 keeps it, with what an idempotent producer depends on: the last five
// batches of each producer, epochs, and a tail that is lost when the leader dies before it was replicated.
type modelLog struct {
	tp         record.TopicPartition
	leader     int32
	batches    []modelBatch
	committed  int  // batches that a success was answered for, and those before them
	forgotten  int  // the producer states of the batches before it have expired
	strict     bool // as brokers before 2.5: the first sequence of an unknown producer must be 0
	lastAppend time.Time
}

type modelBatch struct {
	producer        int64
	epoch           int16
	sequence, count int32
	base            int64
	ids             []int64 // values of the records
}

// state returns the batches of a producer's highest epoch, oldest first, as the log has them.
func (l *modelLog) state(producer int64) (of []modelBatch) {
	for _, b := range l.batches[l.forgotten:] {
		if b.producer != producer {
			continue
		}
		if len(of) > 0 && b.epoch != of[0].epoch {
			of = of[:0]
		}
		of = append(of, b)
	}
	return of
}

func (l *modelLog) end() int64 {
	if len(l.batches) == 0 {
		return 0
	}
	last := l.batches[len(l.batches)-1]
	return last.base + int64(last.count)
}

// append does what a leader does with a batch whose records are good.
func (l *modelLog) append(b modelBatch) (code int16, base int64) {
	state := l.state(b.producer)
	if len(state) == 0 {
		if l.strict && b.sequence != 0 { // brokers before 2.5
			return codeUnknownProducerID, -1
		}
	} else {
		last := state[len(state)-1]
		switch {
		case b.epoch < last.epoch:
			return codeInvalidProducerEpoch, -1
		case b.epoch > last.epoch:
			if b.sequence != 0 {
				return codeOutOfOrderSequence, -1
			}
		default:
			for _, old := range state[max(len(state)-5, 0):] {
				if old.sequence == b.sequence && old.count == b.count {
					return 0, old.base
				}
			}
			if b.sequence != addSequence(last.sequence, last.count) {
				return codeOutOfOrderSequence, -1
			}
		}
	}
	b.base = l.end()
	l.batches = append(l.batches, b)
	return 0, b.base
}

// fail loses what was not replicated.
func (l *modelLog) fail() { l.batches = l.batches[:l.committed] }

// readModelBatch decodes a batch as it would be on the wire, checksum included.
func readModelBatch(o *OutBatch) (b modelBatch, err error) {
	wire := wireOf(o, 0)
	b = modelBatch{
		producer: int64(binary.BigEndian.Uint64(wire[atProducerID:])),
		epoch:    int16(binary.BigEndian.Uint16(wire[atEpoch:])),
		sequence: int32(binary.BigEndian.Uint32(wire[atSequence:])),
		count:    o.count,
	}
	records, _, err := readAll(wire, 0, ParseOptions{})
	for _, r := range records {
		b.ids = append(b.ids, int64(binary.BigEndian.Uint64(r.value)))
	}
	if err == nil && len(b.ids) != int(b.count) {
		err = fmt.Errorf("%d records in a batch of %d", len(b.ids), b.count)
	}
	return b, err
}

// ids returns the values of all records in the log.
func (l *modelLog) ids() (ids []int64) {
	for _, b := range l.batches {
		ids = append(ids, b.ids...)
	}
	return ids
}

// check compares the log with what the producer was told: no record twice, all in order, what was acknowledged is
// there, and what was said not to be there is not.
func (l *modelLog) check(sent []*modelSend) error {
	ids := l.ids()
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		return fmt.Errorf("%s: out of order or twice: %v", l.tp, ids)
	}
	for _, s := range sent {
		there := 0
		for _, id := range s.ids {
			if _, ok := slices.BinarySearch(ids, id); ok {
				there++
			}
		}
		switch {
		case s.acks != 1:
			return fmt.Errorf("%s: batch %v has %d acks", l.tp, s.ids, s.acks)
		case s.err == nil && there != len(s.ids):
			return fmt.Errorf("%s: batch %v is acknowledged, %d records are in the log", l.tp, s.ids, there)
		case s.err != nil && !s.unknown && !s.split && there != 0:
			return fmt.Errorf("%s: batch %v is in the log, but the ack says that it is not: %v", l.tp, s.ids, s.err)
		}
	}
	return nil
}

// modelSend is a batch given to the producer and what came back.
type modelSend struct {
	ids     []int64
	poison  bool // the broker refuses its second record
	split   bool // too large: some of it may be appended although the rest fails
	acks    int
	err     error
	unknown bool
}
