package state

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// RecordContext is what a buffered row keeps of the record that it came with last.
type RecordContext struct {
	record.Coordinates // an empty topic, −1 and −1 if no record stands behind the row
	Time               int64
	Headers            record.Headers
}

// BufferValue is what a buffer keeps of a row, in the engine and in the changelog. Absent values are nil.
//
// Its bytes are Kafka Streams' version 3: the context (time, offset, topic, partition, headers), the prior value, the old value,
// the new value, the time that the row is ordered by. Numbers are big endian, lengths have four bytes, −1 is null; −2 as the
// length of the old value says that it equals the prior one.
type BufferValue struct {
	Context RecordContext
	Prior   []byte // the value that downstream saw last
	Old     []byte // the value before the last update
	New     []byte
	Time    int64 // that the row is ordered by
}

const (
	lengthNull  = -1
	lengthPrior = -2
)

// bufferFormat heads a changelog record of a buffer: the version of its value.
const (
	bufferVersion = "v"
	bufferV1      = 1
	bufferV2      = 2
	bufferV3      = 3
)

var bufferHeaders = record.Headers{}.With(bufferVersion, []byte{bufferV3})

// headers are those of a row's changelog records.
func (l *bufferLayout) headers() record.Headers {
	if l.bare {
		return record.Headers{}
	}
	return bufferHeaders
}

// Append appends the bytes of v to dst.
func (v *BufferValue) Append(dst []byte) []byte {
	dst = v.Context.append(dst)
	dst = appendNullable(dst, v.Prior)
	if v.Old != nil && v.Prior != nil && string(v.Old) == string(v.Prior) {
		dst = appendLength(dst, lengthPrior)
	} else {
		dst = appendNullable(dst, v.Old)
	}
	dst = appendNullable(dst, v.New)
	return binary.BigEndian.AppendUint64(dst, uint64(v.Time))
}

func (c *RecordContext) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.Time))
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.Offset))
	dst = appendLength(dst, len(c.Topic))
	dst = append(dst, c.Topic...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(c.Partition))
	dst = appendLength(dst, c.Headers.Len())
	if c.Headers.Len() > 0 {
		for k, val := range c.Headers.All() {
			dst = appendLength(dst, len(k))
			dst = append(dst, k...)
			dst = appendNullable(dst, val)
		}
	}
	return dst
}

func appendLength(dst []byte, n int) []byte {
	return binary.BigEndian.AppendUint32(dst, uint32(int32(n)))
}

func appendNullable(dst, b []byte) []byte {
	if b == nil {
		return appendLength(dst, lengthNull)
	}
	return append(appendLength(dst, len(b)), b...)
}

var errBufferValue = errors.New("the value of a buffered row is malformed")

// bufferReader takes a value apart. After a fault everything is zero.
type bufferReader struct {
	b   []byte
	bad bool
}

func (r *bufferReader) bytes(n int) []byte {
	if r.bad || n < 0 || n > len(r.b) {
		r.bad = true
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *bufferReader) int64() int64 {
	b := r.bytes(8)
	if b == nil {
		return 0
	}
	return int64(binary.BigEndian.Uint64(b))
}

func (r *bufferReader) int32() int {
	b := r.bytes(4)
	if b == nil {
		return 0
	}
	return int(int32(binary.BigEndian.Uint32(b)))
}

// sized reads bytes behind their length. same is what length −2 stands for, if it may stand there.
func (r *bufferReader) sized(same []byte) []byte {
	switch n := r.int32(); {
	case r.bad, n == lengthNull:
		return nil
	case n == lengthPrior && same != nil:
		return same
	default:
		return r.bytes(n)
	}
}

// context reads a context. The topic is left to the caller, as bytes; headers are put into hdr in wire form.
func (r *bufferReader) context(c *RecordContext, hdr []byte) (topic, raw []byte) {
	c.Time, c.Offset = r.int64(), r.int64()
	if topic = r.sized(nil); topic == nil {
		r.bad = true
	}
	c.Partition = int32(r.int32())
	n := r.int32()
	if n < 0 && n != lengthNull { // null headers: of a version before 2.3
		r.bad = true
	}
	raw = hdr
	for i := 0; i < n && !r.bad; i++ {
		k := r.sized(nil)
		if k == nil {
			r.bad = true
		}
		v := r.sized(nil)
		raw = appendHeader(raw, k, v)
	}
	if n > 0 && !r.bad {
		c.Headers = record.MakeHeaders(raw[len(hdr):], n)
	}
	return topic, raw
}

func appendHeader(raw, k, v []byte) []byte {
	raw = append(binary.AppendVarint(raw, int64(len(k))), k...)
	if v == nil {
		return binary.AppendVarint(raw, -1)
	}
	return append(binary.AppendVarint(raw, int64(len(v))), v...)
}

// ParseBufferValue reads what Append writes. The values alias b.
func ParseBufferValue(b []byte) (v BufferValue, err error) {
	topic, _, err := v.parse(b, nil)
	v.Context.Topic = string(topic)
	return v, err
}

// parse is ParseBufferValue with room for headers, and the topic as bytes.
func (v *BufferValue) parse(b, hdr []byte) (topic, raw []byte, err error) {
	r := bufferReader{b: b}
	topic, raw = r.context(&v.Context, hdr)
	v.Prior = r.sized(nil)
	v.Old = r.sized(v.Prior)
	v.New = r.sized(nil)
	v.Time = r.int64()
	if r.bad || len(r.b) > 0 {
		return nil, raw, errBufferValue
	}
	return topic, raw, nil
}

// headerCount returns how many headers the context of a value has.
func headerCount(b []byte) int {
	n := int(binary.BigEndian.Uint32(b[16:]))
	return max(int(int32(binary.BigEndian.Uint32(b[16+4+n+4:]))), 0)
}

// bufferTime returns the time that a value's row is ordered by.
func bufferTime(b []byte) int64 { return int64(binary.BigEndian.Uint64(b[len(b)-8:])) }

// changeFromChangelog turns a changelog record of a suppress buffer into version 3, whatever version it has.
//
//	version 0: buffer time, change; the context is that of the changelog record, so it names no input
//	version 1: buffer time, context, length of the change, change
//	version 2: context, length of the change, change, prior value, buffer time
//
// A change is old and new value, each behind its length. Versions 0 and 1 have no prior value: it is the old value, as in a
// changelog that has been compacted. Kafka Streams 2.4 and 2.5.0 wrote version 3 under the header of version 2.
func changeFromChangelog(dst []byte, r record.Raw) (key, value []byte, err error) {
	if r.Value == nil {
		return r.Key, nil, nil
	}
	version, ok := r.Headers.Get(bufferVersion)
	var v BufferValue
	switch {
	case ok && len(version) == 1 && version[0] == bufferV3:
		_, _, err = v.parse(r.Value, nil)
		return r.Key, r.Value, err
	case ok && len(version) == 1 && version[0] == bufferV2:
		if v, err = parseV2(r.Value); err != nil {
			_, _, err = (&BufferValue{}).parse(r.Value, nil)
			return r.Key, r.Value, err
		}
	case ok && len(version) == 1 && version[0] == bufferV1:
		v, err = parseV1(r.Value)
	case !ok:
		v, err = parseV0(r)
	default:
		err = fmt.Errorf("the value of a buffered row has version %x, up to 3 are known", version)
	}
	if err != nil {
		return nil, nil, err
	}
	return r.Key, v.Append(dst[:0]), nil
}

func parseV0(r record.Raw) (v BufferValue, err error) {
	in := bufferReader{b: r.Value}
	v.Context = RecordContext{Coordinates: record.Coordinates{TopicPartition: record.TopicPartition{Partition: -1}, Offset: -1},
		Time: r.Time, Headers: r.Headers}
	v.Time = in.int64()
	v.Old, v.New = in.sized(nil), in.sized(nil)
	v.Prior = v.Old
	return v, in.end()
}

func parseV1(b []byte) (v BufferValue, err error) {
	in := bufferReader{b: b}
	v.Time = in.int64()
	topic, _ := in.context(&v.Context, nil)
	v.Context.Topic = string(topic)
	change := bufferReader{b: in.sized(nil), bad: in.bad}
	v.Old, v.New = change.sized(nil), change.sized(nil)
	v.Prior = v.Old
	if err := change.end(); err != nil {
		return v, err
	}
	return v, in.end()
}

func parseV2(b []byte) (v BufferValue, err error) {
	in := bufferReader{b: b}
	topic, _ := in.context(&v.Context, nil)
	v.Context.Topic = string(topic)
	change := bufferReader{b: in.sized(nil), bad: in.bad}
	v.Old, v.New = change.sized(nil), change.sized(nil)
	if err := change.end(); err != nil {
		return v, err
	}
	v.Prior = in.sized(nil)
	v.Time = in.int64()
	return v, in.end()
}

func (r *bufferReader) end() error {
	if r.bad || len(r.b) > 0 {
		return errBufferValue
	}
	return nil
}
