package kafka

import "math/bits"

// Varints of records are zigzag encoded. The readers below take a position and return the next one, or a negative one
// when the bytes run out or the number is too long; positions are checked once per record, not per byte.

// varint reads a signed varint at p. next is negative if there is none.
func varint(b []byte, p int) (v int64, next int) {
	if uint(p) < uint(len(b)) && b[p] < 0x80 {
		x := int64(b[p])
		return x>>1 ^ -(x & 1), p + 1
	}
	return longVarint(b, p)
}

func longVarint(b []byte, p int) (v int64, next int) {
	if p < 0 {
		return 0, -1
	}
	if len(b)-p >= 2 && b[p+1] < 0x80 { // most lengths beyond 63
		x := int64(b[p]&0x7f) | int64(b[p+1])<<7
		return x>>1 ^ -(x & 1), p + 2
	}
	var x uint64
	for shift := uint(0); shift < 64; shift += 7 {
		if p >= len(b) {
			return 0, -1
		}
		c := b[p]
		p++
		if shift == 63 && c > 1 {
			return 0, -1
		}
		x |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return int64(x>>1) ^ -int64(x&1), p
		}
	}
	return 0, -1
}

// varintSize returns the length of v as a varint.
func varintSize(v int64) int {
	return (bits.Len64(uint64(v<<1)^uint64(v>>63)|1) + 6) / 7
}

// putVarint writes v at b[0:] and returns its length. b is long enough.
func putVarint(b []byte, v int64) int {
	u := uint64(v<<1) ^ uint64(v>>63)
	n := 0
	for u >= 0x80 {
		b[n] = byte(u) | 0x80
		u >>= 7
		n++
	}
	b[n] = byte(u)
	return n + 1
}
