package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// fetchAnswer is what a broker said to a poll. records and aborted alias the answer's buffer.
type fetchAnswer struct {
	throttle time.Duration
	code     int16 // of the whole answer
	parts    []fetchAnswerPart
}

// fetchAnswerPart answers the part of the poll with the same index.
type fetchAnswerPart struct {
	present          bool
	code             int16
	high, stable     int64 // watermark; last stable offset (-1 unknown)
	logStart         int64 // -1 unknown
	aborted          fetchAborted
	records          []byte
	next             int64 // the position after the complete batches in records, by their headers
	first, needBytes int   // size of the first batch, when it is incomplete: what it takes
	skipped          bool  // of a former subscription, or stopped: not to be delivered
	before           int64 // position that was asked
}

// fetchAborted is the aborted-transactions list in wire form: it is only read when there are batches.
type fetchAborted struct {
	raw    []byte
	n      int
	stride int // bytes per entry; 0: entries have tagged fields and are cut one by one
}

// all yields producer id and first offset of each entry. The list has been checked by the parser.
func (a fetchAborted) all(yield func(producerID, firstOffset int64)) {
	r := wireReader{b: a.raw}
	for range a.n {
		id, off := r.int64(), r.int64()
		if a.stride == 0 {
			r.tags()
		}
		yield(id, off)
	}
}

var errFetchAnswer = errors.New("fetch answer: malformed")

// parseFetchAnswer reads the body of an answer (after the correlation id and the header's tagged fields) in place. It
// allocates one slot per part that was asked and nothing else, whatever the answer declares.
func parseFetchAnswer(body []byte, version int16, q *fetchPoll, a *fetchAnswer) error {
	flexible := version >= fetchFlexible
	r := wireReader{b: body}
	a.reset(q)
	a.throttle = time.Duration(max(r.int32(), 0)) * time.Millisecond
	if version >= 7 {
		a.code = r.int16()
		r.int32() // session
	}
	hint := 0
	for range r.count(flexible) {
		name := r.name(flexible)
		for range r.count(flexible) {
			if r.bad {
				return errFetchAnswer
			}
			partition := r.int32()
			i := q.find(name, partition, hint)
			if i < 0 || a.parts[i].present {
				return fmt.Errorf("%w: holds %q/%d, which was not asked or comes twice", errFetchAnswer, name, partition)
			}
			a.parts[i].read(&r, version)
			hint = i + 1
		}
		if flexible {
			r.tags()
		}
		if r.bad {
			return errFetchAnswer
		}
	}
	if flexible {
		r.tags()
	}
	if r.bad {
		return errFetchAnswer
	}
	return nil
}

func (a *fetchAnswer) reset(q *fetchPoll) {
	if cap(a.parts) < len(q.parts) {
		a.parts = make([]fetchAnswerPart, len(q.parts))
	}
	a.parts = a.parts[:len(q.parts)]
	clear(a.parts)
	a.code, a.throttle = 0, 0
	for i := range a.parts {
		a.parts[i].before = q.parts[i].offset
		a.parts[i].next = q.parts[i].offset
	}
}

func (p *fetchAnswerPart) read(r *wireReader, version int16) {
	flexible := version >= fetchFlexible
	p.present = true
	p.code = r.int16()
	p.high = r.int64()
	p.stable = r.int64()
	p.logStart = -1
	if version >= 5 {
		p.logStart = r.int64()
	}
	p.aborted = r.aborted(flexible)
	if version >= 11 {
		r.int32() // preferred read replica: only for those who name a rack
	}
	p.records = r.bytes(flexible)
	if flexible {
		r.tags()
	}
	if !r.bad {
		p.scan()
	}
}

// scan finds the position after the complete batches, from their headers alone, so that the next poll can start before
// this answer is decoded. What is wrong with a header is found again, and reported, by the decoder.
func (p *fetchAnswerPart) scan() {
	b := p.records
	for len(b) >= 17 {
		base := int64(binary.BigEndian.Uint64(b))
		size := int64(int32(binary.BigEndian.Uint32(b[8:]))) + 12
		if size < 17 {
			return
		}
		if size > int64(len(b)) {
			if p.next == p.before {
				p.needBytes = int(min(size, 1<<31-1))
			}
			return
		}
		last := base
		if b[16] >= 2 {
			if size < 61 {
				return
			}
			last += int64(int32(binary.BigEndian.Uint32(b[23:])))
		}
		if last < base {
			return
		}
		p.next = max(p.next, last+1)
		b = b[size:]
	}
}

// find returns the index of a partition. Brokers answer in the order of the request, so hint is nearly always right.
func (q *fetchPoll) find(topic []byte, partition int32, hint int) int {
	is := func(i int) bool {
		return q.parts[i].tp.Partition == partition && q.parts[i].tp.Topic == string(topic)
	}
	if hint < len(q.parts) && is(hint) {
		return hint
	}
	for i := range q.parts {
		if is(i) {
			return i
		}
	}
	return -1
}
