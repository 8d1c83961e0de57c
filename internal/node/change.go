package node

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// The last byte of a change in a repartition topic says what stands before it. Kafka Streams' formats (KIP-904): the first
// three are written, all are read. The last three carry a byte that tells whether the row is the latest version.
const (
	changeOld       = 0
	changeNew       = 1
	changeBoth      = 2 // zigzag varint: length of the new value, new value, old value
	changeOldStale  = 3
	changeNewStale  = 4
	changeBothStale = 5
)

// ChangeSerde is how changes of a table travel through a repartition topic.
func ChangeSerde[V any](value serde.Serde[V]) serde.Serde[Change[V]] { return changeSerde[V]{value} }

type changeSerde[V any] struct{ value serde.Serde[V] }

var errEmptyChange = errors.New("a change has neither a new nor an old value")

func (s changeSerde[V]) Append(dst []byte, c Change[V]) ([]byte, error) {
	newValue, hasNew := c.New.Get()
	oldValue, hasOld := c.Old.Get()
	var err error
	switch {
	case hasNew && hasOld:
		enc, err := s.value.Append(nil, newValue)
		if err != nil {
			return dst, err
		}
		dst = binary.AppendVarint(dst, int64(len(enc)))
		dst = append(dst, enc...)
		if dst, err = s.value.Append(dst, oldValue); err != nil {
			return dst, err
		}
		return append(dst, changeBoth), nil
	case hasNew:
		if dst, err = s.value.Append(dst, newValue); err != nil {
			return dst, err
		}
		return append(dst, changeNew), nil
	case hasOld:
		if dst, err = s.value.Append(dst, oldValue); err != nil {
			return dst, err
		}
		return append(dst, changeOld), nil
	}
	return dst, errEmptyChange
}

func (s changeSerde[V]) Decode(b []byte) (c Change[V], err error) {
	if len(b) == 0 {
		return c, errEmptyChange
	}
	flag, b := b[len(b)-1], b[:len(b)-1]
	if flag >= changeOldStale && flag <= changeBothStale {
		if len(b) == 0 {
			return c, errors.New("a change ends before its version byte")
		}
		c.Stale, b = b[len(b)-1] == 0, b[:len(b)-1]
		flag -= changeOldStale
	}
	switch flag {
	case changeOld:
		c.Old, err = s.some(b)
	case changeNew:
		c.New, err = s.some(b)
	case changeBoth:
		n, w := binary.Varint(b)
		if w <= 0 || n < 0 || n > int64(len(b)-w) {
			return c, fmt.Errorf("a change of %d bytes has a new value of %d", len(b), n)
		}
		if c.New, err = s.some(b[w : w+int(n)]); err != nil {
			return c, err
		}
		c.Old, err = s.some(b[w+int(n):])
	default:
		return c, fmt.Errorf("a change ends in %d, want 0 to 5", flag)
	}
	return c, err
}

func (s changeSerde[V]) some(b []byte) (record.Opt[V], error) {
	v, err := s.value.Decode(b)
	if err != nil {
		return record.Opt[V]{}, err
	}
	return record.Some(v), nil
}
