package state

import (
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// KeyValue is a plain key-value store. Its changelog carries the time of the record in whose unit a key was written last.
type KeyValue[K, V any] struct{ core[K, V] }

// OpenKeyValue opens the plain store of a task.
func OpenKeyValue[K, V any](env *Env, keys serde.Serde[K], vals serde.Serde[V]) (*KeyValue[K, V], error) {
	s := new(KeyValue[K, V])
	if err := s.open(env, keys, vals, false); err != nil {
		return nil, err
	}
	return s, nil
}

// Get returns the value of k; ok is false if there is none.
func (s *KeyValue[K, V]) Get(k K) (v V, ok bool, err error) {
	i, err := s.find(k)
	if err != nil {
		return v, false, err
	}
	v, _, ok, err = s.value(i)
	return v, ok, err
}

// Put sets the value of k.
func (s *KeyValue[K, V]) Put(k K, v V) error {
	b, err := s.key(k)
	if err != nil {
		return err
	}
	return s.set(s.claim(b), v, *s.time)
}

// PutIfAbsent sets the value of k if it has none. It returns the one it has.
func (s *KeyValue[K, V]) PutIfAbsent(k K, v V) (had V, ok bool, err error) {
	i, err := s.find(k)
	if err != nil {
		return had, false, err
	}
	if had, _, ok, err = s.value(i); ok || err != nil {
		return had, ok, err
	}
	return had, false, s.set(i, v, *s.time)
}

// Delete removes k, if it is there.
func (s *KeyValue[K, V]) Delete(k K) error {
	b, err := s.key(k)
	if err != nil {
		return err
	}
	s.remove(s.claim(b), *s.time)
	return nil
}

// claim returns the slot of a key that is about to be written whatever it holds.
func (c *core[K, V]) claim(key []byte) uint32 {
	if c.dec != nil {
		return c.dec.claim(key)
	}
	return c.enc.claim(key)
}

// Range iterates from from to to, both included; an absent bound is open. Order is that of the encoded keys' bytes.
func (c *core[K, V]) Range(from, to record.Opt[K]) (*Cursor[K, V], error) {
	return c.between(from, to, false)
}

// ReverseRange is [KeyValue.Range] from the last key to the first.
func (c *core[K, V]) ReverseRange(from, to record.Opt[K]) (*Cursor[K, V], error) {
	return c.between(from, to, true)
}

// All iterates over all keys.
func (c *core[K, V]) All() (*Cursor[K, V], error) { return c.scan(nil, nil, false) }

// ReverseAll iterates over all keys, the last one first.
func (c *core[K, V]) ReverseAll() (*Cursor[K, V], error) { return c.scan(nil, nil, true) }

// Prefix iterates over the keys whose encoding begins with the bytes.
func (c *core[K, V]) Prefix(prefix []byte) (*Cursor[K, V], error) {
	return c.scan(prefix, PrefixEnd(prefix), false)
}

func (c *core[K, V]) between(from, to record.Opt[K], reverse bool) (*Cursor[K, V], error) {
	var lower, upper []byte
	if k, ok := from.Get(); ok {
		b, err := c.key(k)
		if err != nil {
			return nil, err
		}
		lower = append(empty, b...)
	}
	if k, ok := to.Get(); ok {
		b, err := c.key(k)
		if err != nil {
			return nil, err
		}
		upper = append(append(empty, b...), 0)
	}
	return c.scan(lower, upper, reverse)
}
