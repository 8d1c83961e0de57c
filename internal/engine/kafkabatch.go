package engine

import (
	"sync"

	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// fetched is a fetched batch as a [Batch].
type fetched struct {
	batch *kafka.Batch
	cur   kafka.Cursor
}

var fetchedPool = sync.Pool{New: func() any { return new(fetched) }}

func newFetched(b *kafka.Batch) *fetched {
	f := fetchedPool.Get().(*fetched)
	f.batch = b
	return f
}

func (f *fetched) Open(from int64) Cursor {
	f.cur = f.batch.Cursor(from)
	return &f.cur
}

func (f *fetched) NextOffset() int64 { return f.batch.NextOffset() }

func (f *fetched) Size() int { return f.batch.Size() }

func (f *fetched) Release() {
	f.batch.Release()
	*f = fetched{}
	fetchedPool.Put(f)
}

// kafkaBuilder is a record batch to produce as a [Builder].
type kafkaBuilder struct {
	b     kafka.Builder
	codec kafka.Codec
	marks []kafka.Mark
}

func (k *kafkaBuilder) Append(time int64, key, value []byte, h record.Headers) error {
	_, err := k.b.Append(time, key, value, h)
	return err
}

func (k *kafkaBuilder) Mark() int {
	k.marks = append(k.marks, k.b.Mark())
	return len(k.marks) - 1
}

func (k *kafkaBuilder) Truncate(mark int) {
	k.b.Truncate(k.marks[mark])
	k.marks = k.marks[:mark+1]
}

func (k *kafkaBuilder) Forget() { k.marks = k.marks[:0] }

func (k *kafkaBuilder) Len() int { return k.b.Len() }

func (k *kafkaBuilder) Count() int { return k.b.Count() }

func (k *kafkaBuilder) Reset() {
	k.b.Reset()
	k.marks = k.marks[:0]
}

func (k *kafkaBuilder) Seal() (Sealed, error) { return k.b.Seal(k.codec) }
