package engine

import "github.com/oxbow-streams/oxbow/internal/record"

// Builder collects records for one partition. Its marks make it part of units.
type Builder interface {
	// Append adds a record. key, value and headers are copied; nil is null.
	Append(time int64, key, value []byte, h record.Headers) error
	// Mark remembers the current end and returns its number; Truncate goes back to it and forgets the marks after it; Forget
	// forgets all marks.
	Mark() int
	Truncate(mark int)
	Forget()
	Len() int // bytes
	Count() int
	// Reset drops all records and marks.
	Reset()
	// Seal closes the batch and empties the builder.
	Seal() (Sealed, error)
}

// Sealed is a batch that is ready to be sent, in the form that the other side of the machines understands.
type Sealed interface{ Count() int }

// MemBuilder keeps records in memory, for machines that run without a broker.
type MemBuilder struct {
	list  []record.Raw
	bytes int
	marks []memMark
}

type memMark struct{ n, bytes int }

// MemBatch is what a MemBuilder seals.
type MemBatch []record.Raw

// Count implements [Sealed].
func (b MemBatch) Count() int { return len(b) }

// Append implements [Builder].
func (b *MemBuilder) Append(time int64, key, value []byte, h record.Headers) error {
	b.list = append(b.list, record.Raw{Key: clone(key), Value: clone(value), Headers: h.Clone(), Time: time})
	b.bytes += len(key) + len(value) + len(h.Raw()) + 16
	return nil
}

// Mark implements [Builder].
func (b *MemBuilder) Mark() int {
	b.marks = append(b.marks, memMark{len(b.list), b.bytes})
	return len(b.marks) - 1
}

// Truncate implements [Builder].
func (b *MemBuilder) Truncate(mark int) {
	m := b.marks[mark]
	clear(b.list[m.n:])
	b.list, b.bytes, b.marks = b.list[:m.n], m.bytes, b.marks[:mark+1]
}

// Forget implements [Builder].
func (b *MemBuilder) Forget() { b.marks = b.marks[:0] }

// Len implements [Builder].
func (b *MemBuilder) Len() int { return b.bytes }

// Count implements [Builder].
func (b *MemBuilder) Count() int { return len(b.list) }

// Reset implements [Builder].
func (b *MemBuilder) Reset() { b.list, b.bytes, b.marks = nil, 0, nil }

// Seal implements [Builder].
func (b *MemBuilder) Seal() (Sealed, error) {
	list := MemBatch(b.list)
	b.list, b.bytes = nil, 0
	return list, nil
}

// clone copies b and keeps null and empty apart.
func clone(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}
