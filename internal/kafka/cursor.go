package kafka

import (
	"errors"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// Cursor walks the records of a batch in order. It is a value; copying it forks the walk. The batch must stay retained
// while the cursor and the records it showed are used.
type Cursor struct {
	buf      []byte // the records
	pos      int
	left     int32
	last     int64 // delta of the record before; deltas grow
	maxDelta int64
	base     int64
	baseTime int64
	timeMask int64 // 0 if all records have the time of the log append
	from     int64
	batch    *Batch
	err      error
}

// Cursor returns a cursor in front of the first record at or after from. A batch that cannot be decompressed shows at
// the first Next.
func (b *Batch) Cursor(from int64) Cursor {
	if err := b.Open(); err != nil {
		return Cursor{err: err}
	}
	c := Cursor{
		buf:      b.records,
		left:     b.h.count,
		last:     -1,
		maxDelta: int64(b.h.lastDelta),
		base:     b.h.base,
		baseTime: b.h.baseTime,
		timeMask: -1,
		from:     from,
		batch:    b,
	}
	if b.LogAppendTime() {
		c.baseTime, c.timeMask = b.h.maxTime, 0
	}
	return c
}

var (
	errRecord      = errors.New("malformed record")
	errTrailing    = errors.New("bytes after the last record")
	errOffsetOrder = errors.New("offsets of records not ascending within the batch")
)

// Next reads the next record into r as views of the batch. ok is false at the end and on an error; both stay.
func (c *Cursor) Next(r *record.Raw) (ok bool, err error) {
	for c.left > 0 {
		b := c.buf
		length, p := varint(b, c.pos)
		if p < 0 || length < minRecordSize-1 || length > int64(len(b)-p) {
			return c.fail(errRecord)
		}
		end := p + int(length)
		b = b[:end]
		timeDelta, p := varint(b, p+1) // after the attributes, which have no meaning yet
		delta, p := varint(b, p)
		keyLen, p := varint(b, p)
		// One check for the three: a varint that failed gives -1, and so do the ones behind it.
		if p < 0 || keyLen < -1 || keyLen > int64(end-p) {
			return c.fail(errRecord)
		}
		var key []byte
		if keyLen >= 0 {
			k := p + int(keyLen)
			key, p = b[p:k:k], k
		}
		valueLen, p := varint(b, p)
		if p < 0 || valueLen < -1 || valueLen > int64(end-p) {
			return c.fail(errRecord)
		}
		var value []byte
		if valueLen >= 0 {
			v := p + int(valueLen)
			value, p = b[p:v:v], v
		}
		if delta <= c.last || delta > c.maxDelta {
			return c.fail(errOffsetOrder)
		}
		if p != end-1 || b[p] != 0 { // one byte 0: no headers
			if r.Headers, err = readHeaders(b, p); err != nil {
				return c.fail(err)
			}
		} else {
			r.Headers = record.Headers{}
		}
		c.last = delta
		c.pos = end
		c.left--
		if c.base+delta < c.from {
			continue
		}
		r.Key, r.Value = key, value
		r.Time = c.baseTime + timeDelta&c.timeMask
		r.Offset = c.base + delta
		return true, nil
	}
	if c.err == nil && c.pos != len(c.buf) {
		return c.fail(errTrailing)
	}
	return false, c.err
}

// readHeaders checks the headers of a record that ends with b.
func readHeaders(b []byte, p int) (record.Headers, error) {
	n, p := varint(b, p)
	if p < 0 || n < 0 || n > int64(len(b)-p)/2 { // two lengths each
		return record.Headers{}, errRecord
	}
	raw := b[p:]
	if err := record.CheckHeaders(raw, int(n)); err != nil {
		return record.Headers{}, err
	}
	return record.MakeHeaders(raw[:len(raw):len(raw)], int(n)), nil
}

func (c *Cursor) fail(err error) (bool, error) {
	c.err = c.batch.corrupt(c.base+c.last+1, err)
	c.left = 0
	return false, c.err
}
