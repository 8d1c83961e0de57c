package kafka

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"
)

// Versions of Produce: the layouts below are right for 3 to 12. 13 has topic ids.
const (
	produceVersion   = 8  // the last before compact fields
	produceVersionV2 = 12 // transaction protocol 2
	produceFlexible  = 9
)

// produceRequest is one request to one broker: a batch each for some of its partitions. Kafka refuses two batches for a
// partition in a request.
type produceRequest struct {
	node    int32
	v2      bool     // of a transaction under protocol 2
	entries []*entry // by topic and partition, once encoded
	scratch []byte
	parts   [][]byte
}

// encode returns the request's body as slices to write one after the other. Headers and records of the batches are
// taken from where they lie.
func (r *produceRequest) encode(version int16, transactionalID string, timeout time.Duration) [][]byte {
	slices.SortFunc(r.entries, func(a, b *entry) int { return compareTP(a.part.tp, b.part.tp) })
	w := produceWriter{flexible: version >= produceFlexible, parts: r.parts[:0]}
	size := 64 + len(transactionalID)
	for _, e := range r.entries {
		size += 32 + len(e.part.tp.Topic)
	}
	// Parts are slices of the scratch: it must not move once the first is taken.
	w.b = slices.Grow(r.scratch[:0], size)
	w.nullableString(transactionalID)
	w.b = binary.BigEndian.AppendUint16(w.b, 0xffff) // acks from all in sync
	w.b = binary.BigEndian.AppendUint32(w.b, uint32(timeout.Milliseconds()))
	w.length(countTopics(r.entries))
	for i := 0; i < len(r.entries); {
		topic := r.entries[i].part.tp.Topic
		end := i
		for end < len(r.entries) && r.entries[end].part.tp.Topic == topic {
			end++
		}
		w.string(topic)
		w.length(end - i)
		for ; i < end; i++ {
			w.partition(r.entries[i])
		}
		w.tags()
	}
	w.tags()
	w.cut()
	r.scratch, r.parts = w.b[:0], w.parts
	return w.parts
}

func countTopics(sorted []*entry) int {
	n := 0
	for i, e := range sorted {
		if i == 0 || e.part.tp.Topic != sorted[i-1].part.tp.Topic {
			n++
		}
	}
	return n
}

// produceWriter builds the framing between batches.
type produceWriter struct {
	flexible bool
	b        []byte
	from     int // of b, not yet in parts
	parts    [][]byte
}

func (w *produceWriter) partition(e *entry) {
	w.b = binary.BigEndian.AppendUint32(w.b, uint32(e.part.tp.Partition))
	if size := e.batch.Bytes(); w.flexible {
		w.b = binary.AppendUvarint(w.b, uint64(size)+1)
	} else {
		w.b = binary.BigEndian.AppendUint32(w.b, uint32(size))
	}
	w.cut()
	w.parts = append(w.parts, e.batch.head[:], e.batch.records)
	w.tags()
}

// cut closes the framing so far as a part.
func (w *produceWriter) cut() {
	if w.from < len(w.b) {
		w.parts = append(w.parts, w.b[w.from:len(w.b):len(w.b)])
		w.from = len(w.b)
	}
}

func (w *produceWriter) length(n int) {
	if w.flexible {
		w.b = binary.AppendUvarint(w.b, uint64(n)+1)
	} else {
		w.b = binary.BigEndian.AppendUint32(w.b, uint32(n))
	}
}

func (w *produceWriter) string(s string) {
	if w.flexible {
		w.b = binary.AppendUvarint(w.b, uint64(len(s))+1)
	} else {
		w.b = binary.BigEndian.AppendUint16(w.b, uint16(len(s)))
	}
	w.b = append(w.b, s...)
}

func (w *produceWriter) nullableString(s string) {
	switch {
	case s != "":
		w.string(s)
	case w.flexible:
		w.b = append(w.b, 0)
	default:
		w.b = binary.BigEndian.AppendUint16(w.b, 0xffff)
	}
}

func (w *produceWriter) tags() {
	if w.flexible {
		w.b = append(w.b, 0)
	}
}

// produceResult is what the broker said about one batch.
type produceResult struct {
	answered bool
	code     int16
	base     int64
	refused  []RefusedRecord
	message  string
}

// parseProduce reads an answer to r into results, which are in the order of r.entries. Partitions that were not asked
// about are passed over. ok is false if the answer is malformed; results are then not to be used.
func (r *produceRequest) parseProduce(b []byte, version int16, results []produceResult) (throttleMs int32, ok bool) {
	p := produceReader{b: b, flexible: version >= produceFlexible}
	for topics := p.length(2); topics > 0 && !p.bad; topics-- {
		topic := p.string()
		for parts := p.length(4 + 2 + 8 + 8); parts > 0 && !p.bad; parts-- {
			index := int32(p.int(4))
			res := p.partition(version)
			if i, found := r.find(topic, index); found && !p.bad {
				results[i] = res
			}
		}
		p.tags()
	}
	throttleMs = int32(p.int(4))
	p.tags()
	return throttleMs, !p.bad
}

func (r *produceRequest) find(topic []byte, index int32) (int, bool) {
	return slices.BinarySearchFunc(r.entries, index, func(e *entry, index int32) int {
		if c := strings.Compare(e.part.tp.Topic, string(topic)); c != 0 {
			return c
		}
		return int(e.part.tp.Partition) - int(index)
	})
}

// produceReader reads an answer in place. After the first malformed field it is bad and returns zeros.
type produceReader struct {
	b        []byte
	flexible bool
	bad      bool
}

func (p *produceReader) partition(version int16) (res produceResult) {
	res.answered = true
	res.code = int16(p.int(2))
	res.base = p.int(8)
	p.take(8) // log append time
	if version >= 5 {
		p.take(8) // log start offset
	}
	if version >= 8 {
		for n := p.length(4 + 1); n > 0 && !p.bad; n-- {
			index, message := int32(p.int(4)), string(p.string())
			p.tags()
			if !p.bad {
				res.refused = append(res.refused, RefusedRecord{Index: int(index), Message: message})
			}
		}
		res.message = string(p.string())
	}
	p.tags()
	return res
}

func (p *produceReader) take(n int) []byte {
	if p.bad || n < 0 || n > len(p.b) {
		p.bad = true
		return nil
	}
	v := p.b[:n]
	p.b = p.b[n:]
	return v
}

// int reads a big-endian integer of 2, 4 or 8 bytes.
func (p *produceReader) int(size int) int64 {
	v := p.take(size)
	switch {
	case v == nil:
		return 0
	case size == 2:
		return int64(int16(binary.BigEndian.Uint16(v)))
	case size == 4:
		return int64(int32(binary.BigEndian.Uint32(v)))
	}
	return int64(binary.BigEndian.Uint64(v))
}

func (p *produceReader) uvarint() uint64 {
	v, n := binary.Uvarint(p.b)
	if n <= 0 {
		p.bad = true
		return 0
	}
	p.take(n)
	return v
}

// length reads the length of an array whose elements take at least least bytes each. Null is empty.
func (p *produceReader) length(least int) int {
	var n int64
	if p.flexible {
		n = int64(min(p.uvarint(), 1<<40)) - 1
	} else {
		n = p.int(4)
	}
	if n > int64(len(p.b)/least) {
		p.bad = true
		return 0
	}
	return int(max(n, 0))
}

// string reads a string; null is empty.
func (p *produceReader) string() []byte {
	var n int64
	if p.flexible {
		n = int64(min(p.uvarint(), 1<<40)) - 1
	} else {
		n = p.int(2)
	}
	if n <= 0 {
		return nil
	}
	return p.take(int(n))
}

func (p *produceReader) tags() {
	if !p.flexible || p.bad {
		return
	}
	for n := p.uvarint(); n > 0 && !p.bad; n-- {
		p.uvarint()
		p.take(int(min(p.uvarint(), 1<<40)))
	}
}
