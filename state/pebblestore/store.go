package pebblestore

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/oxbow-streams/oxbow/state"
)

// store reads one store of a space.
type store struct {
	handle *handle
	name   string
	made   *madeStore
	kind   state.Kind
	suffix int
	prefix prefix // of its rows
}

func newStore(h *handle, name string, m *madeStore) *store {
	return &store{
		handle: h, name: name, made: m, kind: m.kind, suffix: m.kind.SuffixLen(),
		prefix: makePrefix(h.id, m.number, byte(m.kind)),
	}
}

func (s *store) Name() string     { return s.name }
func (s *store) Kind() state.Kind { return s.kind }

func (s *store) check(op string, keys ...[]byte) error {
	if err := s.handle.check(s.name, op); err != nil {
		return err
	}
	for _, k := range keys {
		if k != nil {
			if err := s.checkKey(op, k); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *store) checkKey(op string, key []byte) error {
	if len(key) >= s.suffix {
		return nil
	}
	return fmt.Errorf("task %s: store %q: %s: %w", s.handle.id, s.name, op, s.kind.CheckKey(key))
}

func (s *store) Get(dst, key []byte) (value []byte, ok bool, err error) {
	if err := s.check("get"); err != nil {
		return dst, false, err
	}
	if err := s.checkKey("get", key); err != nil {
		return dst, false, err
	}
	e := s.handle.engine
	buf := e.buffers.Get().(*[]byte)
	defer e.buffers.Put(buf)
	*buf = appendKey((*buf)[:0], &s.prefix, s.suffix, key)
	err = e.read(&s.handle.id, s.name, "get", func() error {
		v, closer, err := e.db.Get(*buf)
		if errors.Is(err, pebble.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		dst, ok = append(dst, v...), true
		return closer.Close()
	})
	return dst, ok && err == nil, err
}

// bounds returns the range of database keys for [lower, upper).
func (s *store) bounds(lower, upper []byte) (from, to []byte) {
	from = s.prefix[:]
	if lower != nil {
		from = appendKey(nil, &s.prefix, s.suffix, lower)
	}
	if upper != nil {
		return from, appendKey(nil, &s.prefix, s.suffix, upper)
	}
	end := makePrefix(s.handle.id, s.made.number, byte(s.kind)+1)
	return from, end[:]
}

func (s *store) Iter(lower, upper []byte, reverse bool) (state.Iterator, error) {
	if err := s.check("iterate", lower, upper); err != nil {
		return nil, err
	}
	it := &iterator{store: s, reverse: reverse}
	from, to := s.bounds(lower, upper)
	if comparer.Compare(from, to) >= 0 {
		to = from // Pebble wants bounds in order
	}
	e := s.handle.engine
	err := e.read(&s.handle.id, s.name, "iterate", func() (err error) {
		it.it, err = e.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
		if err == nil {
			e.iters.Add(1)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return it, nil
}

// iterator walks a snapshot that Pebble keeps for it.
type iterator struct {
	store   *store
	it      *pebble.Iterator
	reverse bool
	started bool
	valid   bool
	closed  bool
	key     []byte // the current key
	buf     []byte
	value   []byte
	err     error
}

func (it *iterator) Next() bool {
	if it.closed || it.err != nil || it.started && !it.valid {
		return false
	}
	s := it.store
	it.err = s.handle.engine.read(&s.handle.id, s.name, "iterate", it.step)
	if it.err != nil {
		it.valid = false
	}
	return it.valid
}

func (it *iterator) step() (err error) {
	switch {
	case !it.started && it.reverse:
		it.valid = it.it.Last()
	case !it.started:
		it.valid = it.it.First()
	case it.reverse:
		it.valid = it.it.Prev()
	default:
		it.valid = it.it.Next()
	}
	it.started = true
	if !it.valid {
		return it.it.Error()
	}
	it.key = storeKey(&it.buf, it.store.suffix, it.it.Key())
	it.value, err = it.it.ValueAndErr()
	return err
}

func (it *iterator) Key() []byte {
	if !it.valid {
		return nil
	}
	return it.key
}

func (it *iterator) Value() []byte {
	if !it.valid {
		return nil
	}
	return it.value
}

func (it *iterator) Err() error { return it.err }

// Close releases the snapshot. On a failed engine it returns nil, as what failed has been said, and does not wait: Pebble may
// be frozen.
func (it *iterator) Close() error {
	if it.closed {
		return nil
	}
	it.closed, it.valid = true, false
	e := it.store.handle.engine
	defer e.iters.Add(-1)
	if err := e.gate.enter(); err != nil {
		return nil // the engine failed and was closed under the iterator, whose resources went with it
	}
	release := func() error {
		defer e.gate.leave()
		return guarded(it.it.Close)
	}
	if e.health.err.Load() != nil {
		go release()
		return nil
	}
	err := release()
	if err == nil || it.err != nil {
		return nil
	}
	return e.health.broke(&it.store.handle.id, it.store.name, "iterate", err)
}
