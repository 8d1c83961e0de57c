package kafka

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/oxbow-streams/oxbow/internal/invariant"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// Batch is a fetched record batch: a view of the answer it came in, whose buffer it holds until the last Release.
//
// It stays compressed until the first Cursor (or Open), so that what waits in a queue takes the bytes it took on the
// wire, and what is read is still warm from decompression. Apart from Retain and Release a batch belongs to one
// goroutine at a time.
type Batch struct {
	h       header
	tp      record.TopicPartition
	raw     []byte  // the whole batch as it came
	frame   *Buffer // holds raw
	records []byte  // the records, uncompressed; nil until opened
	dec     *Buffer // holds records if they were compressed
	limit   int     // of decompression
	refs    atomic.Int32
	opened  bool
}

// TP names the partition the batch was fetched from.
func (b *Batch) TP() record.TopicPartition { return b.tp }

// Count returns the number of records, those below the fetch position included.
func (b *Batch) Count() int { return int(b.h.count) }

// FirstOffset returns the base offset. It may lie below the position the batch was fetched for, and compaction may have
// removed the record that had it.
func (b *Batch) FirstOffset() int64 { return b.h.base }

// NextOffset returns the offset after the batch, also when its last records are gone.
func (b *Batch) NextOffset() int64 { return b.h.next() }

// MaxTime returns the highest timestamp of the batch.
func (b *Batch) MaxTime() int64 { return b.h.maxTime }

// Size returns the bytes of the batch on the wire.
func (b *Batch) Size() int { return len(b.raw) }

// Len returns the size of the batch before compression, its header included. It is known while the batch is open.
func (b *Batch) Len() int { return headerSize + len(b.records) }

// Complete tells whether the batch holds every record it was written with, with the timestamps its writer gave them: then it
// can be sent on as it is.
func (b *Batch) Complete() bool {
	const unfit = attrLogAppendTime | attrControl | attrDeleteHorizon
	return b.h.attributes&unfit == 0 && b.h.count > 0 && b.h.count == b.h.lastDelta+1
}

// Codec returns the compression of the batch.
func (b *Batch) Codec() Codec { return b.h.codec() }

// LogAppendTime tells whether the broker gave the records their timestamp.
func (b *Batch) LogAppendTime() bool { return b.h.attributes&attrLogAppendTime != 0 }

// Retain adds a reference.
func (b *Batch) Retain() {
	n := b.refs.Add(1)
	if invariant.Enabled {
		invariant.Check(n > 1, "%s@%d: a released batch is retained", b.tp, b.h.base)
	}
}

// Release drops a reference. After the last one no view of a record of the batch may be looked at.
func (b *Batch) Release() {
	n := b.refs.Add(-1)
	if n > 0 {
		return
	}
	if invariant.Enabled {
		invariant.Check(n == 0, "%s@%d: a batch is released twice", b.tp, b.h.base)
		poison(b.raw)
	}
	b.records, b.raw = nil, nil
	if b.dec != nil {
		b.dec.Release()
		b.dec = nil
	}
	b.frame.Release()
}

// Open decompresses the records. Cursor does it by itself; calling it before moves the work.
func (b *Batch) Open() error {
	if b.opened {
		return nil
	}
	body := b.raw[headerSize:]
	if b.h.codec() == None {
		b.records, b.opened = body, true
		return nil
	}
	dec, err := decompress(b.h.codec(), body, b.limit)
	if err != nil {
		return b.corrupt(b.h.base, fmt.Errorf("%s: %w", b.h.codec(), err))
	}
	if int(b.h.count) > len(dec.b)/minRecordSize {
		dec.Release()
		return b.corrupt(b.h.base, fmt.Errorf("%d records in %d bytes", b.h.count, len(dec.b)))
	}
	b.records, b.dec, b.opened = dec.b, dec, true
	return nil
}

// Shut gives back what Open took. Views of the records end here; Open opens the batch again.
func (b *Batch) Shut() {
	if b.dec != nil {
		b.dec.Release()
	}
	b.dec, b.records, b.opened = nil, nil, false
}

func (b *Batch) corrupt(offset int64, err error) error {
	return &CorruptError{record.Coordinates{TopicPartition: b.tp, Offset: offset}, err}
}

// CorruptError is a batch that cannot be read. It holds no record that could be set aside, so the partition stops at it.
type CorruptError struct {
	At    record.Coordinates
	Cause error
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s: corrupt record batch: %v", e.At, e.Cause)
}

func (e *CorruptError) Unwrap() error { return e.Cause }

// ErrTooLarge is the cause of a CorruptError for a batch that is larger than the limit once decompressed.
var ErrTooLarge = errors.New("larger than the decompression limit")

// UnsupportedFormatError is a batch in a message format before v2.
type UnsupportedFormatError struct {
	At    record.Coordinates
	Magic int8
}

func (e *UnsupportedFormatError) Error() string {
	return fmt.Sprintf("%s: %v", e.At, &magicError{byte(e.Magic)})
}
