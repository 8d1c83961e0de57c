package engine

import (
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// input is one partition that a task reads: its inbox, the record at its head, and how far it has come.
type input struct {
	tp  record.TopicPartition
	src node.Source

	plain bool // the time of a record is its own, if it is not negative

	pass *passing // whole batches may be sent on; nil for most inputs

	batches []Batch // delivered, not yet used up; the first is open when cur is set
	bytes   int     // of batches
	cur     Cursor
	ahead   *lookahead // of cur; nil: records are read one by one

	// The head is the next record, already read: in the lookahead, or else in own.
	head     *record.Raw
	own      record.Raw
	hasHead  bool
	hasTime  bool
	headTime int64
	headErr  error // of timestamp extraction: the record's unit fails with it

	position  int64     // offset after the last record whose unit has ended
	fetched   int64     // offset after what has been delivered
	end       int64     // high watermark as last heard, −1: unknown
	time      int64     // partition time, −1 before the first record
	committed int64     // position of the last confirmed commit
	savedTime int64     // partition time then
	frozen    inputMark // what the commit under way includes
	applied   inputMark // what the state in the engine includes
	idleSince int64     // wall time at which the inbox was found empty, −1: it was not
	ran, used int64     // records and bytes of batches since the last tally
	paused    bool
	touched   bool // records were consumed, or gaps passed, since the last commit
}

// deliver takes batches, the offset at which fetching goes on, and the end of the partition, −1 if unknown.
func (p *input) deliver(batches []Batch, next, end int64) {
	for _, b := range batches {
		p.batches = append(p.batches, b)
		p.bytes += b.Size()
	}
	p.fetched = max(p.fetched, next)
	if end >= 0 {
		p.end = end
	}
	if len(p.batches) == 0 {
		p.skipGap()
	}
}

// skipGap moves the position over offsets without records: all that was delivered has been used up.
func (p *input) skipGap() {
	if !p.hasHead && p.fetched > p.position {
		p.position, p.touched = p.fetched, true
	}
}

// fill reads the next record into the head. It returns false when the inbox is empty.
func (p *input) fill() (bool, error) {
	for {
		if p.cur == nil {
			if len(p.batches) == 0 {
				p.skipGap()
				return false, nil
			}
			p.cur = p.batches[0].Open(p.position)
		}
		if ok, err := p.read(); ok || err != nil {
			return ok, err
		}
	}
}

func (p *input) next() (ok bool, err error) {
	if p.ahead != nil {
		if p.head = p.ahead.next(p.cur); p.head != nil {
			return true, nil
		}
	}
	p.head = &p.own
	return p.cur.Next(p.head)
}

// read reads the next record of the open batch into the head. At its end it closes the batch and returns false.
func (p *input) read() (bool, error) {
	ok, err := p.next()
	if err != nil {
		return false, fmt.Errorf("%s@%d: %w", p.tp, p.position, err)
	}
	if ok {
		p.hasHead, p.hasTime, p.headErr = true, false, nil
		return true, nil
	}
	p.close()
	return false, nil
}

// close ends the open batch.
func (p *input) close() {
	b := p.batches[0]
	size := b.Size()
	p.bytes -= size
	p.used += int64(size)
	if next := b.NextOffset(); next > p.position {
		p.position, p.touched = next, true
	}
	p.fetched = max(p.fetched, p.position)
	b.Release()
	n := copy(p.batches, p.batches[1:])
	p.batches[n] = nil
	p.batches, p.cur = p.batches[:n], nil
	if p.ahead != nil {
		p.ahead.clear()
	}
}

// done passes the head: its unit has ended.
func (p *input) done() {
	p.position, p.hasHead, p.touched = p.head.Offset+1, false, true
}

// clear drops all that was delivered. Fetching must begin again at the position.
func (p *input) clear() {
	for i, b := range p.batches {
		b.Release()
		p.batches[i] = nil
	}
	p.batches, p.bytes, p.cur = p.batches[:0], 0, nil
	if p.ahead != nil {
		p.ahead.clear()
	}
	p.hasHead, p.hasTime, p.headErr = false, false, nil
	p.fetched, p.end, p.idleSince = p.position, -1, -1
}

// rewind goes back to an offset and its partition time.
func (p *input) rewind(to, time int64) {
	p.position, p.time, p.touched = to, time, false
	p.clear()
}

// empty tells whether there is neither a head nor anything to read one from, without reading.
func (p *input) empty() bool { return !p.hasHead && len(p.batches) == 0 }

// lags tells whether the broker has records that were not delivered yet, or whether that is not known.
func (p *input) lags() bool { return p.end < 0 || p.fetched < p.end }
