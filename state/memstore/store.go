package memstore

import (
	"bytes"
	"fmt"

	"github.com/oxbow-streams/oxbow/state"
)

// store reads one store of a space. It stays valid over a wipe, after which it is empty.
type store struct {
	space  *space
	handle *handle
	name   string
	kind   state.Kind
}

func (s *store) Name() string     { return s.name }
func (s *store) Kind() state.Kind { return s.kind }

func (s *store) check(op string, keys ...[]byte) error {
	if err := s.handle.check(op); err != nil {
		return err
	}
	for _, k := range keys {
		if k == nil {
			continue
		}
		if err := s.kind.CheckKey(k); err != nil {
			return fmt.Errorf("task %s: store %q: %s: %w", s.space.id, s.name, op, err)
		}
	}
	return nil
}

// rows returns what is committed now.
func (s *store) rows() tree {
	c := s.space.now.Load().stores[s.name]
	if c.kind != s.kind {
		return tree{} // wiped, and made anew with another kind
	}
	return c.rows
}

func (s *store) Get(dst, key []byte) ([]byte, bool, error) {
	if err := s.check("get"); err != nil {
		return dst, false, err
	}
	if err := s.kind.CheckKey(key); err != nil {
		return dst, false, fmt.Errorf("task %s: store %q: get: %w", s.space.id, s.name, err)
	}
	v, ok := s.rows().get(s.kind.Compare, key)
	return append(dst, v...), ok, nil
}

func (s *store) Iter(lower, upper []byte, reverse bool) (state.Iterator, error) {
	if err := s.check("iterate", lower, upper); err != nil {
		return nil, err
	}
	s.space.engine.iters.Add(1)
	return &iterator{
		engine: s.space.engine,
		cursor: newCursor(s.rows(), s.kind.Compare, bytes.Clone(lower), bytes.Clone(upper), reverse),
	}, nil
}

type iterator struct {
	engine *Engine
	cursor *cursor
	valid  bool
	closed bool
}

func (it *iterator) Next() bool {
	it.valid = !it.closed && it.cursor.next()
	return it.valid
}

func (it *iterator) Key() []byte {
	if !it.valid {
		return nil
	}
	return it.cursor.key()
}

func (it *iterator) Value() []byte {
	if !it.valid {
		return nil
	}
	return it.cursor.value()
}

func (it *iterator) Err() error { return nil }

func (it *iterator) Close() error {
	if !it.closed {
		it.closed, it.valid = true, false
		it.engine.iters.Add(-1)
	}
	return nil
}
