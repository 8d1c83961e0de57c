package state

import (
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// Table is a timestamped key-value store with an emission buffer: the store of a table.
//
// An update is one hash look-up: Find the row, then read, write and note it by its Entry.
type Table[K, V any] struct {
	core[K, V]
	seenKeys serde.Serde[K] // as given: what rows show may be views
	seen     serde.Serde[V]
	viewKey  bool
	held     []byte // what the row taken last shows as views
}

// Entry is a row of a table, there or not. It is valid until the next Find in its table, and until the unit ends.
type Entry struct{ slot uint32 }

// OpenTable opens the timestamped store of a task.
func OpenTable[K, V any](env *Env, keys serde.Serde[K], vals serde.Serde[V]) (*Table[K, V], error) {
	t := &Table[K, V]{seenKeys: keys, seen: vals, viewKey: isView(keys)}
	if err := t.open(env, keys, vals, true); err != nil {
		return nil, err
	}
	return t, nil
}

// Find returns the row of k.
func (t *Table[K, V]) Find(k K) (Entry, error) {
	i, err := t.find(k)
	return Entry{i}, err
}

// Value returns the value of a row and its time; ok is false if there is none. A row that has been deleted keeps the time of
// its deletion until the next commit at least.
func (t *Table[K, V]) Value(e Entry) (v V, ts int64, ok bool, err error) { return t.value(e.slot) }

// Get returns the value of k and its time.
func (t *Table[K, V]) Get(k K) (v V, ts int64, ok bool, err error) {
	i, err := t.find(k)
	if err != nil {
		return v, 0, false, err
	}
	return t.value(i)
}

// Reader returns a Get of its own. If the values' serde is [serde.BytesView] it copies into one buffer: the value is valid
// until its next call.
func (t *Table[K, V]) Reader() func(k K) (v V, ts int64, ok bool, err error) {
	if !t.view {
		return t.Get
	}
	buf := make([]byte, 0, 64)
	return func(k K) (v V, ts int64, ok bool, err error) {
		i, err := t.find(k)
		if err != nil {
			return v, 0, false, err
		}
		s := t.enc.slot(i)
		if s.meta&slotPresent == 0 {
			return v, s.ts, false, nil
		}
		b := append(buf[:0], t.enc.mem.bytes(s.val)...)
		if cap(b) <= loadRoom {
			buf = b
		}
		v, err = t.seen.Decode(b)
		return v, s.ts, true, err
	}
}

// Set sets the value of a row.
func (t *Table[K, V]) Set(e Entry, v V, ts int64) error { return t.set(e.slot, v, ts) }

// Delete removes the value of a row. ts is the time of the tombstone.
func (t *Table[K, V]) Delete(e Entry, ts int64) error {
	t.remove(e.slot, ts)
	return nil
}

// Note says that downstream must see the row at the next drain, with this time and these headers. old is what it saw last, or
// nothing; it counts at the first note after a drain, and is what the row held before the update.
func (t *Table[K, V]) Note(e Entry, old record.Opt[V], ts int64, h record.Headers) error {
	if t.seg != nil && e.slot == t.seg.void {
		return nil
	}
	if t.dec != nil {
		v, ok := old.Get()
		if ok && t.clone != nil && t.dec.slot(e.slot).meta&slotNoted == 0 {
			v = t.clone(v)
		}
		t.dec.note(e.slot, v, ok, ts, h)
		return nil
	}
	v, ok := old.Get()
	var s span
	if ok && t.enc.slot(e.slot).meta&slotNoted == 0 {
		b, err := t.tryEncode(v)
		if err != nil {
			return err
		}
		s = t.enc.mem.put(b)
	}
	t.enc.note(e.slot, s, ok, ts, h)
	return nil
}

// NoteRow is [Table.Note] before an update: old is what the row holds.
func (t *Table[K, V]) NoteRow(e Entry, ts int64, h record.Headers) {
	if t.seg != nil && e.slot == t.seg.void {
		return
	}
	if t.dec != nil {
		s := t.dec.slot(e.slot)
		old, ok := s.val, s.meta&slotPresent != 0
		if ok && t.clone != nil && s.meta&slotNoted == 0 {
			old = t.clone(old)
		}
		t.dec.note(e.slot, old, ok, ts, h)
		return
	}
	s := t.enc.slot(e.slot)
	var old span
	ok := s.meta&slotPresent != 0
	if ok && s.meta&slotNoted == 0 {
		old = t.enc.mem.put(t.enc.mem.bytes(s.val))
	}
	t.enc.note(e.slot, old, ok, ts, h)
}

// Row is what downstream sees of a row.
type Row[K, V any] struct {
	Key      K
	New, Old record.Opt[V]
	Time     int64
	Headers  record.Headers // valid until the next row is taken, as views of serde.BytesView are
}

// Noted tells how many rows wait at most.
func (t *Table[K, V]) Noted() int { return t.cold.noted() }

// NextRow takes the next row from the emission buffer; ok is false when none is left. It is called between units, so that each
// row is a unit of its own: what failed is undone by the caller, and the row is not taken a second time unless the caller
// keeps it. Rows noted meanwhile come too.
func (t *Table[K, V]) NextRow() (row Row[K, V], ok bool, err error) {
	for {
		var there bool
		if t.dec != nil {
			row, there, ok, err = t.decodedRow()
		} else {
			row, there, ok, err = t.encodedRow()
		}
		if !ok || there || err != nil {
			return row, ok, err
		}
	}
}
