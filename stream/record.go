package stream

import (
	"context"
	"time"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// Opt is a value that may be absent: null on the wire, a missing join side, a deleted row. It is no pointer and costs no
// allocation. The zero value is absent.
type Opt[T any] = record.Opt[T]

// Some returns a present v.
func Some[T any](v T) Opt[T] { return record.Some(v) }

// None returns an absent T.
func None[T any]() Opt[T] { return record.None[T]() }

// OptOf returns v if ok is true, else an absent T.
func OptOf[T any](v T, ok bool) Opt[T] { return record.OptOf(v, ok) }

// Headers are the headers of a record. They are immutable: With returns a longer list.
type Headers = record.Headers

// Record is a record as processors and functions that see all of it do.
type Record[K, V any] struct {
	Key     K
	NullKey bool   // the key is null; Key is the zero K
	Value   Opt[V] // absent: null
	Time    time.Time
	Headers Headers
}

// fromRec makes a Record of what flows between nodes.
func fromRec[K, V any](r *node.Rec[K, V]) Record[K, V] {
	return Record[K, V]{Key: r.Key, NullKey: r.NullKey, Value: record.OptOf(r.Value, !r.Null), Time: time.UnixMilli(r.Time).UTC(),
		Headers: r.Headers}
}

// Metadata says which record a function works on. In a punctuation Topic is empty, Partition and Offset are −1.
type Metadata struct {
	Topic     string
	Partition int32
	Offset    int64
	Time      time.Time
	Headers   Headers
	Task      string // sub-topology and partition, as in "0_3"
	Node      string
}

// MetadataOf returns what is known of the record in work, from the context of a Try function or a processor. After a
// repartition topic it is that topic's record.
func MetadataOf(ctx context.Context) (Metadata, bool) {
	m, ok := node.MetadataOf(ctx)
	if !ok {
		return Metadata{}, false
	}
	return Metadata{Topic: m.Topic, Partition: m.Partition, Offset: m.Offset, Time: time.UnixMilli(m.Time).UTC(),
		Headers: m.Headers, Task: m.Task.String(), Node: m.Node}, true
}
