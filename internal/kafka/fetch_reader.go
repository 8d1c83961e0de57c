package kafka

import "encoding/binary"

// wireReader reads the primitive types of the protocol from a buffer, in place. A read beyond the end sets bad, gives
// zero, and leaves nothing to read, so that loops over declared counts end.
type wireReader struct {
	b   []byte
	bad bool
}

func (r *wireReader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.b, r.bad = nil, true
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *wireReader) int16() int16 {
	if b := r.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (r *wireReader) int32() int32 {
	if b := r.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *wireReader) int64() int64 {
	if b := r.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// uvarint reads an unsigned varint of at most 32 bits.
func (r *wireReader) uvarint() int {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > 1<<31 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return int(v)
}

// count reads the length of an array; null is empty. Each element takes at least a byte: a count beyond what is left is
// malformed.
func (r *wireReader) count(compact bool) int {
	n := 0
	if compact {
		n = r.uvarint() - 1
	} else {
		n = int(r.int32())
	}
	if n > len(r.b) {
		r.b, r.bad = nil, true
	}
	if r.bad || n < 0 {
		return 0
	}
	return n
}

// bytes reads nullable bytes; null is nil.
func (r *wireReader) bytes(compact bool) []byte {
	n := 0
	if compact {
		n = r.uvarint() - 1
	} else {
		n = int(r.int32())
	}
	if r.bad || n < 0 {
		return nil
	}
	return r.take(n)
}

// name reads a string that is not null.
func (r *wireReader) name(compact bool) []byte {
	if compact {
		return r.take(r.uvarint() - 1)
	}
	return r.take(int(r.int16()))
}

// tags skips tagged fields.
func (r *wireReader) tags() {
	for range r.uvarint() {
		if r.bad {
			return
		}
		r.uvarint()
		r.take(r.uvarint())
	}
}

// aborted cuts the list of aborted transactions off, unread but checked.
func (r *wireReader) aborted(flexible bool) fetchAborted {
	n := r.count(flexible)
	if !flexible {
		return fetchAborted{raw: r.take(16 * n), n: n, stride: 16}
	}
	start := r.b
	for range n {
		if r.take(16); r.bad {
			return fetchAborted{}
		}
		r.tags()
	}
	if r.bad {
		return fetchAborted{}
	}
	return fetchAborted{raw: start[:len(start)-len(r.b)], n: n}
}
