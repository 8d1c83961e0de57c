package kafka

import (
	"errors"
	"fmt"
	"slices"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// DefaultDecompressLimit bounds the records of one batch once decompressed.
const DefaultDecompressLimit = 128 << 20

// AbortedTransaction is an entry of the list that a read-committed fetch answer carries per partition.
type AbortedTransaction struct {
	ProducerID, FirstOffset int64
}

// ParseOptions say how the batches of a partition are read.
type ParseOptions struct {
	// ReadCommitted drops the batches of Aborted. The list is the answer's and may be in any order; it is sorted in place.
	ReadCommitted   bool
	Aborted         []AbortedTransaction
	DecompressLimit int // per batch; 0: DefaultDecompressLimit
}

// ParseBatches walks the record batches of one partition in a fetch answer that was asked from position, and yields
// those that hold data at or after it, each with a reference for the receiver. frame is the buffer that set lies in.
//
// next is the offset to fetch from afterwards. It comes from the batch headers, so markers, empty batches and aborted
// ones advance it; a last batch that the broker cut off does not. With an error, next is the offset of the batch that
// could not be read, and what was yielded before is good.
func ParseBatches(tp record.TopicPartition, frame *Buffer, set []byte, position int64, opts ParseOptions, yield func(*Batch)) (next int64, err error) {
	limit := opts.DecompressLimit
	if limit <= 0 {
		limit = DefaultDecompressLimit
	}
	p := parser{tp: tp, frame: frame, limit: limit}
	if opts.ReadCommitted {
		slices.SortFunc(opts.Aborted, func(a, b AbortedTransaction) int {
			if a.FirstOffset < b.FirstOffset {
				return -1
			}
			return 1
		})
		p.filter = &abortedFilter{pending: opts.Aborted}
	}
	next = position
	end := int64(0) // of the batch before
	for len(set) > 0 {
		var h header
		whole, err := h.parse(set)
		if err == nil && whole && h.base < end {
			err = fmt.Errorf("begins below the end of the batch before it, %d", end)
		}
		if err != nil {
			return next, p.fail(max(h.base, 0), err)
		}
		if !whole {
			return next, nil
		}
		raw := set[:h.size:h.size]
		set = set[h.size:]
		end = h.next()
		if end <= position {
			continue
		}
		if err := p.batch(h, raw, yield); err != nil {
			return next, err
		}
		next = end
	}
	return next, nil
}

// parser is the state of one ParseBatches.
type parser struct {
	tp     record.TopicPartition
	frame  *Buffer
	limit  int
	filter *abortedFilter // nil: read uncommitted
	slab   []Batch        // one allocation for several batches
}

func (p *parser) fail(offset int64, err error) error {
	at := record.Coordinates{TopicPartition: p.tp, Offset: offset}
	if old := (*magicError)(nil); errors.As(err, &old) {
		return &UnsupportedFormatError{at, int8(old.magic)}
	}
	return &CorruptError{at, err}
}

// batch decides on one whole, checked batch.
func (p *parser) batch(h header, raw []byte, yield func(*Batch)) error {
	if h.control() {
		if p.filter == nil {
			return nil
		}
		b := Batch{h: h, tp: p.tp, raw: raw, frame: p.frame, limit: p.limit}
		abort, err := b.isAbortMarker()
		if b.dec != nil {
			b.dec.Release()
		}
		if err != nil {
			return err
		}
		p.filter.advance(h.next() - 1)
		if abort {
			p.filter.end(h.producerID)
		}
		return nil
	}
	if p.filter != nil {
		p.filter.advance(h.next() - 1)
		if h.transactional() && p.filter.drops(h.producerID) {
			return nil
		}
	}
	if h.count == 0 {
		return nil
	}
	if len(p.slab) == 0 {
		p.slab = make([]Batch, 16)
	}
	b := &p.slab[0]
	p.slab = p.slab[1:]
	b.h, b.tp, b.raw, b.frame, b.limit = h, p.tp, raw, p.frame, p.limit
	b.refs.Store(1)
	p.frame.Retain()
	yield(b)
	return nil
}

// isAbortMarker reads the first record of a control batch: its key is a version and a type, 0 for abort.
func (b *Batch) isAbortMarker() (bool, error) {
	var r record.Raw
	c := b.Cursor(0)
	ok, err := c.Next(&r)
	if err != nil {
		return false, err
	}
	if !ok { // the cleaner may leave an empty control batch behind
		return false, nil
	}
	if len(r.Key) < 4 {
		return false, b.corrupt(b.h.base, fmt.Errorf("control record with a key of %d bytes", len(r.Key)))
	}
	return r.Key[2] == 0 && r.Key[3] == 0, nil
}

// abortedFilter knows which producers' data is aborted at the current batch. Entries open when a batch reaches their
// first offset and close at the abort marker of their producer. After compaction entries and markers may each be
// missing; nothing here expects them to match.
type abortedFilter struct {
	pending []AbortedTransaction // by first offset
	open    []int64              // producer ids; few
}

func (f *abortedFilter) advance(lastOffset int64) {
	for len(f.pending) > 0 && f.pending[0].FirstOffset <= lastOffset {
		if id := f.pending[0].ProducerID; !slices.Contains(f.open, id) {
			f.open = append(f.open, id)
		}
		f.pending = f.pending[1:]
	}
}

func (f *abortedFilter) end(producerID int64) {
	if i := slices.Index(f.open, producerID); i >= 0 {
		f.open = slices.Delete(f.open, i, i+1)
	}
}

func (f *abortedFilter) drops(producerID int64) bool { return slices.Contains(f.open, producerID) }
