package state

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/oxbow-streams/oxbow/stream/serde"
)

// LRU is a map that keeps the rows used last, a fixed number of them: to get or to put a row is to use it. A row that is given up
// writes a tombstone to the changelog, as Kafka Streams does. After a restart rows are in the order of their last writes.
type LRU[K, V any] struct {
	core  core[K, V]
	max   int
	order usage
	ready bool // order is that of the rows
}

// LRUSpec describes a map that keeps max rows, in memory. Fields may be changed afterwards.
func LRUSpec[K, V any](name string, max int, keys serde.Serde[K], vals serde.Serde[V]) Spec {
	return Spec{
		Name: name, Kind: KindKeyValue, InMemory: true, Logged: true, TopicConfig: maps.Clone(compacted), Timestamped: true,
		Open:          func(env *Env) (Store, error) { return OpenLRU(env, max, keys, vals) },
		FromChangelog: timestampedFromChangelog,
	}
}

// OpenLRU opens the map of a task.
func OpenLRU[K, V any](env *Env, max int, keys serde.Serde[K], vals serde.Serde[V]) (*LRU[K, V], error) {
	if max < 1 {
		return nil, fmt.Errorf("task %s: open store: a map of %d rows: there must be one at least", env.Task, max)
	}
	s := &LRU[K, V]{max: max}
	s.order.units = env.Units
	if err := s.core.open(env, keys, vals, true); err != nil {
		return nil, err
	}
	return s, nil
}

// load puts the rows of the engine into the order of their writes. Nothing else is in the store then.
func (s *LRU[K, V]) load() error {
	it, err := s.core.engine.Iter(nil, nil, false)
	if err != nil {
		return s.failed(err)
	}
	type row struct {
		key string
		ts  int64
	}
	var rows []row
	for it.Next() {
		_, ts, err := s.core.split(it.Value())
		if err != nil {
			it.Close()
			return err
		}
		rows = append(rows, row{string(it.Key()), ts})
	}
	err = it.Err()
	if cerr := it.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return s.failed(err)
	}
	slices.SortStableFunc(rows, func(a, b row) int { return int(max(min(a.ts-b.ts, 1), -1)) })
	s.order.clear()
	for _, r := range rows {
		s.order.append(r.key)
	}
	s.ready = true
	return nil
}

func (s *LRU[K, V]) failed(err error) error {
	return fmt.Errorf("task %s: store %s: iterate: %w", s.core.task, s.core.name, err)
}

// find returns the slot of a key.
func (s *LRU[K, V]) find(k K) (uint32, error) {
	if !s.ready {
		if err := s.load(); err != nil {
			return 0, err
		}
	}
	return s.core.find(k)
}

// Get returns the value of k, which is then the row used last; ok is false if there is none.
func (s *LRU[K, V]) Get(k K) (v V, ok bool, err error) {
	i, err := s.find(k)
	if err != nil {
		return v, false, err
	}
	if v, _, ok, err = s.core.value(i); ok {
		s.order.use(s.core.kbuf)
	}
	return v, ok, err
}

// Put sets the value of k, and gives up the row that was not used for the longest time if there are too many.
func (s *LRU[K, V]) Put(k K, v V) error {
	i, err := s.find(k)
	if err != nil {
		return err
	}
	key := bytes.Clone(s.core.kbuf)
	if err := s.core.set(i, v, *s.core.time); err != nil {
		return err
	}
	s.order.use(key)
	for s.order.len() > s.max {
		oldest := s.order.oldest()
		if i, err = s.core.findKey([]byte(oldest)); err != nil {
			return err
		}
		s.core.remove(i, *s.core.time)
		s.order.drop(oldest)
	}
	return nil
}

// PutIfAbsent sets the value of k if it has none. It returns the one it has.
func (s *LRU[K, V]) PutIfAbsent(k K, v V) (had V, ok bool, err error) {
	if had, ok, err = s.Get(k); ok || err != nil {
		return had, ok, err
	}
	return had, false, s.Put(k, v)
}

// Delete removes k, if it is there.
func (s *LRU[K, V]) Delete(k K) error {
	i, err := s.find(k)
	if err != nil {
		return err
	}
	s.order.drop(string(s.core.kbuf))
	s.core.remove(i, *s.core.time)
	return nil
}

// Len returns the number of rows.
func (s *LRU[K, V]) Len() (int, error) {
	if !s.ready {
		if err := s.load(); err != nil {
			return 0, err
		}
	}
	return s.order.len(), nil
}

// Name returns the name of the store.
func (s *LRU[K, V]) Name() string { return s.core.name }

// Mark is part of [record.Undoer].
func (s *LRU[K, V]) Mark() int { return s.core.Mark() }

// Undo is part of [record.Undoer].
func (s *LRU[K, V]) Undo(mark int) { s.core.Undo(mark) }

// Release is part of [record.Undoer].
func (s *LRU[K, V]) Release() { s.core.Release() }

// DirtyBytes is part of [Store].
func (s *LRU[K, V]) DirtyBytes() int { return s.core.DirtyBytes() }

// Freeze is part of [Store].
func (s *LRU[K, V]) Freeze(b Batch, log Changelog) error { return s.core.Freeze(b, log) }

// Applied is part of [Store].
func (s *LRU[K, V]) Applied() { s.core.Applied() }

// Reset is part of [Store].
func (s *LRU[K, V]) Reset() {
	s.core.Reset()
	s.order.clear()
	s.ready = false
}

// Close is part of [Store].
func (s *LRU[K, V]) Close() error {
	s.order.clear()
	s.ready = false
	return s.core.Close()
}

// Stats describes the cache. It belongs to the goroutine of the task.
func (s *LRU[K, V]) Stats() StoreStats { return s.core.Stats() }
