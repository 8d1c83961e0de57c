package kafka

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/oxbow-streams/oxbow/internal/invariant"
)

// Buffers come in powers of two. Below the smallest class a pool saves nothing; above the largest one a buffer is too
// rare and too heavy to keep.
const (
	minBufferClass = 10 // 1 KiB
	maxBufferClass = 26 // 64 MiB
)

var bufferPools [maxBufferClass + 1]sync.Pool

// Buffer is a pooled byte buffer with a reference count. Whoever holds a view of its bytes holds a reference; the last
// Release gives the memory to the next user, so a view kept longer shows foreign bytes (in test builds: 0xDB).
type Buffer struct {
	b     []byte
	refs  atomic.Int32
	class int8 // index of its pool, 0: belongs to none
}

// NewBuffer returns a buffer of size bytes with one reference. Its content is arbitrary.
func NewBuffer(size int) *Buffer {
	class := max(bits.Len(uint(max(size, 1)-1)), minBufferClass)
	if class > maxBufferClass {
		b := &Buffer{b: make([]byte, size)}
		b.refs.Store(1)
		return b
	}
	b, _ := bufferPools[class].Get().(*Buffer)
	if b == nil {
		b = &Buffer{b: make([]byte, 1<<class), class: int8(class)}
	}
	b.b = b.b[:size]
	b.refs.Store(1)
	return b
}

// adopt makes a buffer of memory that a library allocated. It belongs to no pool.
func adopt(mem []byte) *Buffer {
	b := &Buffer{b: mem}
	b.refs.Store(1)
	return b
}

// Bytes returns the buffer's bytes.
func (b *Buffer) Bytes() []byte { return b.b }

// Retain adds a reference.
func (b *Buffer) Retain() {
	n := b.refs.Add(1)
	if invariant.Enabled {
		invariant.Check(n > 1, "a released buffer is retained")
	}
}

// Release drops a reference.
func (b *Buffer) Release() {
	n := b.refs.Add(-1)
	if n > 0 {
		return
	}
	if invariant.Enabled {
		invariant.Check(n == 0, "a buffer is released twice")
		poison(b.b[:cap(b.b)])
	}
	if b.class > 0 {
		bufferPools[b.class].Put(b)
	}
}

// poison overwrites memory that nobody may look at any more.
func poison(b []byte) {
	if len(b) > 0 {
		b[0] = 0xDB
	}
	for n := 1; n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}

// grow returns a buffer of at least size bytes that starts with the first n bytes of b, which is released.
func grow(b *Buffer, n, size int) *Buffer {
	bigger := NewBuffer(size)
	bigger.b = bigger.b[:cap(bigger.b)]
	copy(bigger.b, b.b[:n])
	b.Release()
	return bigger
}
