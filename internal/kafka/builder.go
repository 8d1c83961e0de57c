package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// maxBatchBytes bounds a batch before compression. Brokers take far less; it keeps every length below its field.
const maxBatchBytes = 1 << 30

// ErrBatchFull is returned by Append for a record that no batch has room for.
var ErrBatchFull = errors.New("record batch exceeds 1 GiB")

// Builder encodes records into a batch for one destination partition. The zero value is ready. It belongs to one
// goroutine.
type Builder struct {
	buf      *Buffer // nil while empty; the records begin at 0
	n        int
	count    int
	baseTime int64
	maxTime  int64
	hint     int // bytes of the batch before
}

// Mark is a state of a Builder to return to. It holds until the next Seal.
type Mark struct {
	n, count int
	maxTime  int64
}

// Append adds a record; a nil key or value is null. size is what it adds to the batch before compression. After an
// error the builder is as before.
func (b *Builder) Append(timeMs int64, key, value []byte, h record.Headers) (size int, err error) {
	if b.count == 0 {
		b.baseTime, b.maxTime = timeMs, timeMs
	}
	timeDelta, delta := timeMs-b.baseTime, int64(b.count)
	raw := h.Raw()
	keyLen, valueLen := int64(len(key)), int64(len(value))
	if key == nil {
		keyLen = -1
	}
	if value == nil {
		valueLen = -1
	}
	length := 1 + varintSize(timeDelta) + varintSize(delta) + varintSize(keyLen) + len(key) +
		varintSize(valueLen) + len(value) + varintSize(int64(h.Len())) + len(raw)
	size = varintSize(int64(length)) + length
	if size > maxBatchBytes-b.n {
		return 0, ErrBatchFull
	}
	dst := b.reserve(size)
	p := putVarint(dst, int64(length))
	dst[p] = 0 // attributes
	p++
	p += putVarint(dst[p:], timeDelta)
	p += putVarint(dst[p:], delta)
	p += putVarint(dst[p:], keyLen)
	p += copy(dst[p:], key)
	p += putVarint(dst[p:], valueLen)
	p += copy(dst[p:], value)
	p += putVarint(dst[p:], int64(h.Len()))
	copy(dst[p:], raw)
	b.n += size
	b.count++
	b.maxTime = max(b.maxTime, timeMs)
	return size, nil
}

// reserve returns the next size bytes of the buffer.
func (b *Builder) reserve(size int) []byte {
	if b.buf == nil {
		b.buf = NewBuffer(max(b.hint, size, 4<<10))
		b.buf.b = b.buf.b[:cap(b.buf.b)]
	} else if b.n+size > len(b.buf.b) {
		b.buf = grow(b.buf, b.n, max(b.n+size, 2*len(b.buf.b)))
	}
	return b.buf.b[b.n : b.n+size]
}

// Mark returns the state to which Truncate takes the builder back.
func (b *Builder) Mark() Mark { return Mark{b.n, b.count, b.maxTime} }

// Truncate drops the records appended since m.
func (b *Builder) Truncate(m Mark) { b.n, b.count, b.maxTime = m.n, m.count, m.maxTime }

// Len returns the size of the batch before compression, its header included.
func (b *Builder) Len() int {
	if b.count == 0 {
		return 0
	}
	return headerSize + b.n
}

// Count returns the number of records.
func (b *Builder) Count() int { return b.count }

// Reset drops all records.
func (b *Builder) Reset() {
	if b.buf != nil {
		b.buf.Release()
	}
	*b = Builder{hint: b.hint}
}

// Seal compresses what was appended and hands it over as a batch. The builder is empty afterwards; after an error it is
// as before.
func (b *Builder) Seal(codec Codec) (*OutBatch, error) {
	if b.count == 0 {
		return nil, errors.New("seal of an empty batch")
	}
	out := &OutBatch{count: int32(b.count), maxTime: b.maxTime, size: b.Len()}
	buf := b.buf
	buf.b = buf.b[:b.n]
	if codec != None {
		compressed, err := compressInto(codec, buf.b)
		if err != nil {
			buf.b = buf.b[:cap(buf.b)]
			return nil, fmt.Errorf("%s: %w", codec, err)
		}
		buf.Release()
		buf = compressed
	}
	out.records, out.buf = buf.b, buf
	out.recordsCRC = crc32.Checksum(out.records, castagnoli)
	h := &out.head
	binary.BigEndian.PutUint32(h[atLength:], uint32(headerSize-lengthOverhead+len(out.records)))
	binary.BigEndian.PutUint16(h[atAttributes:], uint16(codec))
	binary.BigEndian.PutUint64(h[atBaseTime:], uint64(b.baseTime))
	out.finishHead()
	*b = Builder{hint: min(b.n+b.n/8, 1<<maxBufferClass)}
	return out, nil
}
