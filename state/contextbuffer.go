package state

import "github.com/oxbow-streams/oxbow/internal/record"

// contextBuffer is a buffer whose rows are a [BufferValue] each: they keep the context of the record that they came with.
type contextBuffer struct {
	buffer
	kbuf, nbuf, vbuf []byte // of the row that is put
	room, hbuf       []byte // of the first row: its bytes if they are away, its headers
	topics           names
}

// first takes the first row apart and decodes nothing: raw is its key and new value as bytes. ok is false if there is none. After an
// error the row is still there.
func (s *contextBuffer) first() (v BufferValue, raw record.Raw, ok bool, err error) {
	if err = s.load(); err != nil || s.Len() == 0 {
		return v, raw, false, err
	}
	i := s.firstSlot()
	stored := s.mem.bytes(s.slots[i].key)
	raw = record.Raw{Key: stored[s.layout.head : len(stored)-s.layout.tail], Offset: -1, Time: s.slots[i].time}
	b, err := s.value(i, s.room)
	if err != nil {
		return v, raw, true, err
	}
	if s.slots[i].flags&rowAway != 0 {
		s.room = b
	}
	topic, headers, err := v.parse(b, s.hbuf[:0])
	if err != nil {
		return v, raw, true, s.codec("decode value", raw.Key, err)
	}
	s.hbuf = headers[:0]
	v.Context.Topic = s.topics.name(topic)
	raw.Value, raw.Headers, raw.Time, raw.Offset = v.New, v.Context.Headers, v.Context.Time, v.Context.Offset
	return v, raw, true, nil
}

func (b *buffer) codec(op string, key []byte, err error) error {
	if key != nil {
		key = append([]byte{}, key...)
	}
	return &CodecError{b.task, b.name, op, key, err}
}

func notNil(b []byte) []byte {
	if b == nil {
		return empty
	}
	return b
}

// names keeps the strings of a few topics, so that a row's topic costs no allocation.
type names []string

func (n *names) name(b []byte) string {
	for _, s := range *n {
		if s == string(b) {
			return s
		}
	}
	s := string(b)
	if len(*n) < 16 {
		*n = append(*n, s)
	}
	return s
}
