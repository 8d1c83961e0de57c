package engine

import (
	"encoding/binary"
	"errors"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// encodePosition writes the positions of the inputs as they are stored with the state: for each a length, the topic, the
// partition, the offset.
func (t *Task) encodePosition() []byte {
	b := binary.AppendUvarint(nil, uint64(len(t.inputs)))
	for _, p := range t.inputs {
		b = binary.AppendUvarint(b, uint64(len(p.tp.Topic)))
		b = append(b, p.tp.Topic...)
		b = binary.AppendUvarint(b, uint64(p.tp.Partition))
		b = binary.AppendVarint(b, p.frozen.position)
	}
	return b
}

var errPosition = errors.New("the input positions that are stored with the state cannot be read: the state directory is damaged, " +
	"or was written by another version; delete it, and it is restored")

// decodePosition reads what encodePosition writes. Nothing is no positions.
func decodePosition(b []byte) (map[record.TopicPartition]int64, error) {
	position := map[record.TopicPartition]int64{}
	if len(b) == 0 {
		return position, nil
	}
	ok := true
	number := func() uint64 {
		v, n := binary.Uvarint(b)
		if ok = ok && n > 0; !ok {
			return 0
		}
		b = b[n:]
		return v
	}
	for n := number(); ok && n > 0; n-- {
		var tp record.TopicPartition
		size := number()
		if ok = ok && size <= uint64(len(b)); !ok {
			break
		}
		tp.Topic, b = string(b[:size]), b[size:]
		tp.Partition = int32(number())
		at, used := binary.Varint(b)
		if ok = ok && used > 0; !ok {
			break
		}
		b = b[used:]
		position[tp] = at
	}
	if !ok || len(b) > 0 {
		return nil, errPosition
	}
	return position, nil
}
