package state

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// View reads the rows of a store of keys and values from an engine: what is committed, and nothing else. It has no buffers of
// its own, so it may be used by any goroutine.
type View[K, V any] struct {
	name  string
	keys  serde.Serde[K]
	vals  serde.Serde[V]
	stamp bool
}

// Seen is a row as a view shows it. Time is −1 if the store keeps none.
type Seen[K, V any] struct {
	Key   K
	Value V
	Time  int64
}

func newView[K, V any](name string, keys serde.Serde[K], vals serde.Serde[V], stamp bool) *View[K, V] {
	return &View[K, V]{name, owned(keys), owned(vals), stamp}
}

// Key encodes a key.
func (v *View[K, V]) Key(k K) ([]byte, error) {
	b, err := v.keys.Append([]byte{}, k)
	if err != nil {
		return nil, v.fail("encode key", nil, err)
	}
	return b, nil
}

// Get returns the row of an encoded key.
func (v *View[K, V]) Get(es EngineStore, key []byte) (row Seen[K, V], ok bool, err error) {
	b, ok, err := es.Get(nil, key)
	if !ok || err != nil {
		return row, false, err
	}
	row, err = v.Row(key, b)
	return row, err == nil, err
}

// Row decodes what an engine holds of a row. The result aliases neither.
func (v *View[K, V]) Row(key, value []byte) (row Seen[K, V], err error) {
	row.Time = -1
	if v.stamp {
		if len(value) < 8 {
			return row, v.fail("decode value", key, fmt.Errorf("%d bytes, too few for a timestamp", len(value)))
		}
		row.Time, value = int64(binary.BigEndian.Uint64(value)), value[8:]
	}
	if row.Key, err = v.keys.Decode(key); err != nil {
		return row, v.fail("decode key", key, err)
	}
	if row.Value, err = v.vals.Decode(value); err != nil {
		return row, v.fail("decode value", key, err)
	}
	return row, nil
}

func (v *View[K, V]) fail(op string, key []byte, err error) error {
	return &ViewError{v.name, op, append([]byte(nil), key...), err}
}

// Bounds are the engine's bounds for keys from from to to, both included; an absent one is open.
func (v *View[K, V]) Bounds(from, to record.Opt[K]) (lower, upper []byte, err error) {
	if k, ok := from.Get(); ok {
		if lower, err = v.Key(k); err != nil {
			return nil, nil, err
		}
	}
	if k, ok := to.Get(); ok {
		if upper, err = v.Key(k); err != nil {
			return nil, nil, err
		}
		upper = append(upper, 0)
	}
	return lower, upper, nil
}

// ViewError is a key or value that a query could not encode or decode.
type ViewError struct {
	Store string
	Op    string // "encode key", "decode key", "decode value"
	Key   []byte // encoded; empty if it is the key that could not be encoded
	Err   error
}

func (e *ViewError) Error() string {
	if len(e.Key) == 0 {
		return fmt.Sprintf("store %s: %s: %v", e.Store, e.Op, e.Err)
	}
	return fmt.Sprintf("store %s: key %.32q: %s: %v", e.Store, e.Key, e.Op, e.Err)
}

func (e *ViewError) Unwrap() error { return e.Err }

// Merge walks several stores of one kind as if they were one, in an order that each of them has. Of equal keys that of the first
// store comes first. Closing it closes them all.
func Merge(compare func(a, b []byte) int, reverse bool, of []Iterator) Iterator {
	if len(of) == 1 {
		return of[0]
	}
	return &merged{compare: compare, reverse: reverse, all: of}
}

// merged keeps the iterators that have a current row in a list: there are as many as an instance has tasks of a sub-topology.
type merged struct {
	compare func(a, b []byte) int
	reverse bool
	all     []Iterator
	heads   []Iterator // of all, in their order
	at      int        // of the current row, among heads
	started bool
	err     error
}

func (m *merged) Next() bool {
	if m.err != nil {
		return false
	}
	if !m.started {
		m.started = true
		for _, it := range m.all {
			if !m.enter(it) {
				return false
			}
		}
	} else if len(m.heads) > 0 {
		it := m.heads[m.at]
		if !it.Next() {
			if m.err = it.Err(); m.err != nil {
				return false
			}
			m.heads = append(m.heads[:m.at], m.heads[m.at+1:]...)
		}
	}
	m.at = 0
	for i := 1; i < len(m.heads); i++ {
		c := m.compare(m.heads[i].Key(), m.heads[m.at].Key())
		if c < 0 && !m.reverse || c > 0 && m.reverse {
			m.at = i
		}
	}
	return len(m.heads) > 0
}

// enter takes the first row of an iterator.
func (m *merged) enter(it Iterator) bool {
	if it.Next() {
		m.heads = append(m.heads, it)
	}
	m.err = it.Err()
	return m.err == nil
}

func (m *merged) Key() []byte {
	if len(m.heads) == 0 || m.err != nil {
		return nil
	}
	return m.heads[m.at].Key()
}

func (m *merged) Value() []byte {
	if len(m.heads) == 0 || m.err != nil {
		return nil
	}
	return m.heads[m.at].Value()
}

func (m *merged) Err() error { return m.err }

func (m *merged) Close() error {
	var errs []error
	for _, it := range m.all {
		errs = append(errs, it.Close())
	}
	m.heads = nil
	return errors.Join(errs...)
}
