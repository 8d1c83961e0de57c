package kafka

import (
	"encoding/binary"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// Next reads the next record into r as views of the batch. ok is false at the end and on an error; both stay.
func (c *Cursor) Next(r *record.Raw) (ok bool, err error) {
	if c.quick(r) {
		return true, nil
	}
	return c.slow(r)
}

// quick reads the next record if it is like most: within 8 KiB, its offset and its time little after the first ones of the batch, a
// key of less than 64 bytes, a value, no headers. Its first five numbers then take at most eight bytes and are cut out of one word.
// Of any other record, and of one that is malformed, it changes nothing: slow reads it.
func (c *Cursor) quick(r *record.Raw) bool {
	b, start := c.buf, c.pos
	if c.left <= 0 || start < 0 || len(b)-start < 8 {
		return false
	}
	w := binary.LittleEndian.Uint64(b[start:])
	length, w, n := cut(w)
	w >>= 8 // attributes
	time, w, n1 := cut(w)
	delta, w, n2 := cut(w)
	if n|n1|n2 >= 4 || w&0x81 != 0 {
		return false
	}
	at := n + n1 + n2 + 2
	keyLen := int(w&0x7f) >> 1
	p := start + at
	end := start + n + int(length>>1)
	if length&1 != 0 || end > len(b) || p+keyLen+2 > end {
		return false
	}
	key := b[p : p+keyLen : p+keyLen]
	p += keyLen
	size := uint64(b[p])
	p++
	if size >= 0x80 {
		size = size&0x7f | uint64(b[p])<<7
		p++
		if size >= longNumber {
			return false
		}
	}
	d, valueLen := unzigzag(delta), int(size>>1)
	if size&1 != 0 || p+valueLen+1 != end || b[end-1] != 0 || d <= c.last || d > c.maxDelta || c.base+d < c.from {
		return false
	}
	r.Key, r.Value, r.Headers = key, b[p:end-1:end-1], record.Headers{}
	r.Time = c.baseTime + unzigzag(time)&c.timeMask
	r.Offset = c.base + d
	c.last, c.pos = d, end
	c.left--
	return true
}

// cut takes a number of one or two bytes off a word, not yet unzigzagged. n is 4 for a longer one.
func cut(w uint64) (x, rest uint64, n int) {
	if w&0x80 == 0 {
		return w & 0x7f, w >> 8, 1
	}
	if w&0x8000 == 0 {
		return w&0x7f | w>>1&0x3f80, w >> 16, 2
	}
	return 0, 0, 4
}
