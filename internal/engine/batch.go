package engine

import "github.com/oxbow-streams/oxbow/internal/record"

// Batch is a fetched batch, or something that reads like one. It belongs to the task it was delivered to until the task
// releases it.
type Batch interface {
	// Open returns a cursor over the records from an offset on.
	Open(from int64) Cursor
	// NextOffset is the offset after the batch, also after records that compaction has taken.
	NextOffset() int64
	// Size is how many bytes the batch holds in memory.
	Size() int
	// Release gives the batch back. Views of its records end here.
	Release()
}

// Cursor walks the records of a batch.
type Cursor interface {
	// Next fills r with a view of the next record; ok is false after the last one. An error is a corrupt batch.
	Next(r *record.Raw) (ok bool, err error)
}

// Records is a batch of records in memory, ordered by offset.
type Records struct {
	List []record.Raw
	next int64
	pos  int
}

// NewRecords makes a batch of records that ends before offset next.
func NewRecords(list []record.Raw, next int64) *Records { return &Records{List: list, next: next} }

// Open implements [Batch].
func (b *Records) Open(from int64) Cursor {
	b.pos = 0
	for b.pos < len(b.List) && b.List[b.pos].Offset < from {
		b.pos++
	}
	return b
}

// Next implements [Cursor].
func (b *Records) Next(r *record.Raw) (bool, error) {
	if b.pos == len(b.List) {
		return false, nil
	}
	*r = b.List[b.pos]
	b.pos++
	return true, nil
}

// NextOffset implements [Batch].
func (b *Records) NextOffset() int64 { return b.next }

// Size implements [Batch].
func (b *Records) Size() int {
	n := 0
	for _, r := range b.List {
		n += len(r.Key) + len(r.Value) + len(r.Headers.Raw()) + 16
	}
	return n
}

// Release implements [Batch].
func (b *Records) Release() {}
