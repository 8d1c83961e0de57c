package state

import (
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// decodedRow takes the next note. there is false if the row was not there at the last drain and is not there now.
func (t *Table[K, V]) decodedRow() (row Row[K, V], there, ok bool, err error) {
	i, ok := t.dec.nextNote()
	if !ok {
		return row, false, false, nil
	}
	s := t.dec.slot(i)
	row.Time = s.noteTs
	if s.meta&slotPresent != 0 {
		v := s.val
		if t.clone != nil {
			v = t.clone(v)
		}
		row.New = record.Some(v)
	}
	if s.meta&slotOld != 0 {
		row.Old = record.Some(s.old)
	}
	there = s.meta&(slotPresent|slotOld) != 0
	if there {
		row.Key, err = t.rowKey(t.dec.keyOf(s))
	}
	row.Headers = t.dec.takeNote(i)
	return row, there, true, err
}

// encodedRow is decodedRow where values are kept encoded.
func (t *Table[K, V]) encodedRow() (row Row[K, V], there, ok bool, err error) {
	i, ok := t.enc.nextNote()
	if !ok {
		return row, false, false, nil
	}
	s := t.enc.slot(i)
	row.Time = s.noteTs
	there = s.meta&(slotPresent|slotOld) != 0
	if there {
		row.Key, err = t.rowKey(t.enc.keyOf(s))
	}
	if s.meta&slotPresent != 0 && err == nil {
		row.New, err = t.rowValue(s, s.val)
	}
	if s.meta&slotOld != 0 && err == nil {
		row.Old, err = t.rowValue(s, s.old)
	}
	row.Headers = t.enc.takeNote(i)
	return row, there, true, err
}

func (t *Table[K, V]) rowKey(b []byte) (K, error) {
	t.held = t.held[:0]
	if cap(t.held) > loadRoom {
		t.held = nil
	}
	if t.viewKey {
		return t.seenKeys.Decode(t.hold(b))
	}
	k, err := t.keys.Decode(b)
	if err != nil {
		err = t.fail("decode key", b, err)
	}
	return k, err
}

func (t *Table[K, V]) rowValue(s *slot[span], x span) (record.Opt[V], error) {
	if t.view {
		v, err := t.seen.Decode(t.hold(t.enc.mem.bytes(x)))
		return record.Some(v), err
	}
	v, err := t.vals.Decode(t.enc.mem.bytes(x))
	if err != nil {
		return record.None[V](), t.fail("decode value", t.enc.keyOf(s), err)
	}
	return record.Some(v), nil
}

// hold copies what is seen as a view until the next row is taken.
func (t *Table[K, V]) hold(b []byte) []byte {
	n := len(t.held)
	t.held = append(t.held, b...)
	if t.held == nil {
		return empty
	}
	return t.held[n:len(t.held):len(t.held)]
}

// isView tells whether a serde is serde.BytesView.
func isView[T any](s serde.Serde[T]) bool { return any(s) == any(serde.BytesView) }

// owned returns a serde whose decoded values do not alias what they were decoded from.
func owned[T any](s serde.Serde[T]) serde.Serde[T] {
	if isView(s) {
		return any(serde.Bytes).(serde.Serde[T])
	}
	return s
}
