package state

import (
	"encoding/binary"
	"math/bits"

	"github.com/oxbow-streams/oxbow/internal/invariant"
)

// span is a place in an arena. It is no pointer, so that a large cache gives the garbage collector nothing to scan.
type span struct {
	off uint32 // in units of 8 bytes
	n   uint32 // bytes
}

const (
	unit        = 8       // bytes
	strideUnits = 1 << 15 // the address space of one chunk: 256 KiB
	firstChunk  = 4 << 10 // chunks double from here to a full stride, so that a small store stays small
	classes     = 112     // four sizes per power of two
)

// arena hands out byte spans from large chunks. Freed spans are kept in lists by size class and handed out again.
type arena struct {
	chunks [][]byte        // chunk i holds the addresses from i*strideUnits; nil where a chunk before it reaches over
	bump   uint32          // next free unit of the last chunk
	end    uint32          // its last unit + 1
	free   [classes]uint32 // first free span of a class: its offset + 1
	size   int64           // bytes of all chunks
	live   int64           // bytes handed out
	pool   [][]byte        // full chunks to use again, after clear
}

// class returns the size class for u units, and the units that it takes.
func class(u uint32) (cls int, size uint32) {
	if u <= 8 {
		return int(u) - 1, u
	}
	shift := bits.Len32(u-1) - 3
	q := (u - 1) >> shift // 4..7
	return 8 + (shift-1)*4 + int(q) - 4, (q + 1) << shift
}

// put copies b into the arena.
func (a *arena) put(b []byte) span {
	s := a.reserve(uint32(len(b)))
	copy(a.bytes(s), b)
	return s
}

// reserve returns a span of n bytes that hold anything.
func (a *arena) reserve(n uint32) span {
	if n == 0 {
		return span{}
	}
	s := span{n: n}
	cls, size := class((s.n + unit - 1) / unit)
	a.live += int64(size) * unit
	if at := a.free[cls]; at != 0 {
		s.off = at - 1
		a.free[cls] = binary.LittleEndian.Uint32(a.at(s.off, unit))
	} else {
		if a.end-a.bump < size {
			a.grow(size)
		}
		s.off = a.bump
		a.bump += size
	}
	return s
}

// grow begins a chunk with room for at least size units. What is left of the one before is lost until the next rebuild.
func (a *arena) grow(size uint32) {
	strides := (size + strideUnits - 1) / strideUnits
	n := firstChunk << min(len(a.chunks), 10)
	n = min(n, strideUnits*unit)
	if strides > 1 || n < int(size)*unit {
		n = int(size) * unit
	}
	a.bump = uint32(len(a.chunks)) * strideUnits
	a.end = a.bump + uint32(n/unit)
	if k := len(a.pool); k > 0 && n <= strideUnits*unit {
		a.chunks, a.pool = append(a.chunks, a.pool[k-1]), a.pool[:k-1]
		a.end = a.bump + strideUnits
		return
	}
	a.chunks = append(a.chunks, make([]byte, n))
	for range strides - 1 {
		a.chunks = append(a.chunks, nil)
	}
	a.size += int64(n)
}

// clear forgets all spans. Chunks of full size are kept for those to come.
func (a *arena) clear() {
	pool, size := a.pool, int64(len(a.pool))*strideUnits*unit
	for _, c := range a.chunks {
		if len(c) == strideUnits*unit {
			pool, size = append(pool, c), size+int64(len(c))
		}
	}
	*a = arena{pool: pool, size: size}
}

// release gives a span back. Nothing may refer to it any more.
func (a *arena) release(s span) {
	if s.n == 0 {
		return
	}
	cls, size := class((s.n + unit - 1) / unit)
	if invariant.Enabled {
		b := a.at(s.off, size*unit)
		for i := range b {
			b[i] = 0xDB
		}
	}
	binary.LittleEndian.PutUint32(a.at(s.off, unit), a.free[cls])
	a.free[cls] = s.off + 1
	a.live -= int64(size) * unit
}

// bytes returns the bytes of a span, never nil. They are valid until its release.
func (a *arena) bytes(s span) []byte {
	if s.n == 0 {
		return empty
	}
	return a.at(s.off, s.n)
}

func (a *arena) at(off, n uint32) []byte {
	c := a.chunks[off/strideUnits]
	p := uint(off%strideUnits) * unit
	return c[p : p+uint(n) : p+uint(n)]
}

var empty = []byte{}
