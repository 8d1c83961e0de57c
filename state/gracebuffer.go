package state

import (
	"encoding/binary"
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// GraceBuffer keeps records until their time has come, each of them, also those of one key and time: the store of a stream-table
// join with grace. A row's key in engine and changelog is Kafka Streams': a zero, the time, the key, and a number in the order of
// arrival.
type GraceBuffer[K, V any] struct {
	contextBuffer
	keys   serde.Serde[K]
	vals   serde.Serde[V]
	isNull func(V) bool
}

// BufferedRecord is a row of a [GraceBuffer]. It is valid until its unit ends or the next row is asked for.
type BufferedRecord[K, V any] struct {
	Key     K
	Value   V
	Null    bool // the value is null; Value is the zero V
	Context RecordContext
	Raw     record.Raw // key and value as they are kept
}

const (
	graceHead = 1 + 8
	graceTail = 4
)

// OpenGraceBuffer opens the buffer of a task.
func OpenGraceBuffer[K, V any](env *Env, keys serde.Serde[K], vals serde.Serde[V]) (*GraceBuffer[K, V], error) {
	s := &GraceBuffer[K, V]{keys: keys, vals: vals}
	if n, ok := vals.(serde.Nullable[V]); ok {
		s.isNull = n.IsNull
	}
	return s, s.open(env, bufferLayout{
		head: graceHead, tail: graceTail,
		time:  func(key, _ []byte) int64 { return int64(binary.BigEndian.Uint64(key[1:])) },
		check: checkGraceRow,
	})
}

func checkGraceRow(key, value []byte) error {
	if len(key) < graceHead+graceTail {
		return fmt.Errorf("a key of %d bytes has no time and number", len(key))
	}
	_, _, err := (&BufferValue{}).parse(value, nil)
	return err
}

// GraceBufferSpec describes the buffer of a stream-table join with grace. Fields may be changed afterwards.
func GraceBufferSpec[K, V any](name string, keys serde.Serde[K], vals serde.Serde[V]) Spec {
	return Spec{
		Name: name, Kind: KindBuffer, Logged: true, TopicConfig: map[string]string{"cleanup.policy": "compact"},
		Open: func(env *Env) (Store, error) { return OpenGraceBuffer(env, keys, vals) },
		FromChangelog: func(_ []byte, r record.Raw) (key, value []byte, err error) {
			if r.Value != nil {
				err = checkGraceRow(r.Key, r.Value)
			}
			return r.Key, r.Value, err
		},
	}
}

// Put buffers a record, to be released by the time of its context.
func (s *GraceBuffer[K, V]) Put(k K, v V, in *RecordContext) (err error) {
	if err = s.load(); err != nil {
		return err
	}
	if s.Len() == 0 {
		s.seq = 0 // arrival counts among rows that wait together
	}
	s.kbuf = binary.BigEndian.AppendUint64(append(s.kbuf[:0], 0), uint64(in.Time))
	if s.kbuf, err = s.keys.Append(s.kbuf, k); err != nil {
		return s.codec("encode key", nil, err)
	}
	s.kbuf = binary.BigEndian.AppendUint32(s.kbuf, s.seq)
	row := BufferValue{Context: *in}
	if s.isNull == nil || !s.isNull(v) {
		if s.nbuf, err = s.vals.Append(s.nbuf[:0], v); err != nil {
			return s.codec("encode value", s.kbuf, err)
		}
		row.New = notNil(s.nbuf)
	}
	s.vbuf = row.Append(s.vbuf[:0])
	if err = s.fits(s.kbuf, s.vbuf); err != nil {
		return err
	}
	s.put(s.kbuf, in.Time, s.vbuf)
	s.seq = (s.seq + 1) & 0x7fffffff
	if cap(s.vbuf) > loadRoom {
		s.vbuf, s.nbuf = nil, nil
	}
	return nil
}

// First returns the first row, not decoded, as [ChangeBuffer.First] does.
func (s *GraceBuffer[K, V]) First() (row BufferedRecord[K, V], ok bool, err error) {
	v, raw, ok, err := s.first()
	return BufferedRecord[K, V]{Context: v.Context, Raw: raw}, ok, err
}

// Decode decodes key and value of a row.
func (s *GraceBuffer[K, V]) Decode(row *BufferedRecord[K, V]) (err error) {
	if row.Key, err = s.keys.Decode(row.Raw.Key); err != nil {
		return s.codec("decode key", row.Raw.Key, err)
	}
	if row.Null = row.Raw.Value == nil && s.isNull == nil; row.Raw.Value != nil {
		if row.Value, err = s.vals.Decode(row.Raw.Value); err != nil {
			return s.codec("decode value", row.Raw.Key, err)
		}
	}
	return nil
}
