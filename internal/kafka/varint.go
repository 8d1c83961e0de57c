package kafka

import "math/bits"

// The numbers of a record are zigzag varints. They are read from a window of bytes at a position that is taken modulo
// the window, which costs no bounds check; the reader checks once, after all numbers of the window, that it has not
// left it.

// windowSize is enough for the five numbers at the start of a record, each at its longest: 5 + 1 + 10 + 5 + 5 bytes.
const windowSize = 32

// longNumber is the least result of short that means: not read, three bytes or more.
const longNumber = 0x80 << 7

// short reads a number of one or two bytes, not yet unzigzagged.
func short(w *[windowSize]byte, q uint) (x uint64, next uint) {
	x = uint64(w[q%windowSize])
	if x >= 0x80 {
		q++
		x = x&0x7f | uint64(w[q%windowSize])<<7
	}
	return x, q + 1
}

// long reads a number of any length. next lies beyond the window if it has no end.
func long(w *[windowSize]byte, q uint) (x uint64, next uint) {
	for n := uint(0); n < 10; n++ {
		c := uint64(w[(q+n)%windowSize])
		x |= (c & 0x7f) << (7 * n)
		if c < 0x80 {
			return x, q + n + 1
		}
	}
	return 0, 2 * windowSize
}

func unzigzag(x uint64) int64 { return int64(x>>1) ^ -int64(x&1) }

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
