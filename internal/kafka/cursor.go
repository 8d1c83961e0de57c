package kafka

import (
	"encoding/binary"
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
	spare    [windowSize]byte
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

// slow is Next for every record. It reads numbers of one and two bytes in place and calls for longer ones.
func (c *Cursor) slow(r *record.Raw) (ok bool, err error) {
	for c.left > 0 {
		// Length, attributes (without meaning so far), two deltas and the length of the key lie in one window.
		b, start, w := c.buf, c.pos, c.window(c.pos)
		x, q := short(w, 0)
		if x >= longNumber {
			x, q = long(w, 0)
		}
		end := start + int(q) + int(unzigzag(x))
		time, q := short(w, q+1)
		if time >= longNumber {
			time, q = long(w, q-2)
		}
		if x, q = short(w, q); x >= longNumber {
			x, q = long(w, q-2)
		}
		delta := unzigzag(x)
		if x, q = short(w, q); x >= longNumber {
			x, q = long(w, q-2)
		}
		keyLen, p := int(unzigzag(x)), start+int(q)
		// All bounds so far at once: a number without end moves q behind the window, missing bytes move p behind end.
		if q > windowSize || end > len(b) || p > end || keyLen > end-p || keyLen < -1 {
			return c.fail(errRecord)
		}
		if delta <= c.last || delta > c.maxDelta {
			return c.fail(errOffsetOrder)
		}
		var key, value []byte
		if keyLen >= 0 {
			key = b[p : p+keyLen : p+keyLen]
			p += keyLen
		}
		w = c.window(p)
		if x, q = short(w, 0); x >= longNumber {
			x, q = long(w, 0)
		}
		valueLen := int(unzigzag(x))
		if p += int(q); q > windowSize || p > end || valueLen > end-p || valueLen < -1 {
			return c.fail(errRecord)
		}
		if valueLen >= 0 {
			value = b[p : p+valueLen : p+valueLen]
			p += valueLen
		}
		if p+1 == end && b[p] == 0 {
			r.Headers = record.Headers{}
		} else if r.Headers, err = readHeaders(b[:end], p); err != nil {
			return c.fail(err)
		}
		c.last, c.pos = delta, end
		c.left--
		if c.base+delta < c.from {
			continue
		}
		r.Key, r.Value = key, value
		r.Time = c.baseTime + unzigzag(time)&c.timeMask
		r.Offset = c.base + delta
		return true, nil
	}
	if c.err == nil && c.pos != len(c.buf) {
		return c.fail(errTrailing)
	}
	return false, c.err
}

// window returns the bytes at p, followed by zeros where the batch ends before.
func (c *Cursor) window(p int) *[windowSize]byte {
	if len(c.buf)-p >= windowSize {
		return (*[windowSize]byte)(c.buf[p:])
	}
	return c.lastWindow(p)
}

func (c *Cursor) lastWindow(p int) *[windowSize]byte {
	n := copy(c.spare[:], c.buf[p:])
	clear(c.spare[n:])
	return &c.spare
}

// readHeaders checks the headers of a record that ends with b.
func readHeaders(b []byte, p int) (record.Headers, error) {
	n, w := binary.Varint(b[p:])
	p += w
	if w <= 0 || n < 0 || n > int64(len(b)-p)/2 { // two lengths each
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
