package state

import (
	"encoding/binary"
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/invariant"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// JoinStore is the store of one side of a join of streams: values by key and time, duplicates kept in the order of their arrival.
//
// Its stream time is the latest time of a value that was put, as in Kafka Streams. A value whose time is not later than stream
// time - retention is not found, and putting it does nothing.
type JoinStore[K, V any] struct {
	core  core[record.Windowed[K], V]
	inner serde.Serde[K]
	span  func(k *record.Windowed[K], key []byte)
}

// JoinStoreSpec describes the store of one side of a join of streams. Fields may be changed afterwards.
func JoinStoreSpec[K, V any](name string, keys serde.Serde[K], vals serde.Serde[V], cfg WindowConfig) Spec {
	s := segmentedSpec(name, newSegments(KindWindow, cfg.Size, cfg.Retention, false), false)
	s.TopicConfig["cleanup.policy"] = "delete" // no value takes the place of another
	s.Open = func(env *Env) (Store, error) { return OpenJoinStore(env, keys, vals, cfg) }
	return s
}

// OpenJoinStore opens the store of a task.
func OpenJoinStore[K, V any](env *Env, keys serde.Serde[K], vals serde.Serde[V], cfg WindowConfig) (*JoinStore[K, V], error) {
	if keys == nil {
		return nil, fmt.Errorf("task %s: open store: key serde must be given", env.Task)
	}
	if cfg.Size < 0 || cfg.Retention < cfg.Size {
		return nil, fmt.Errorf("task %s: open store: retention of %d ms for windows of %d ms: values are kept as long at least",
			env.Task, cfg.Retention, cfg.Size)
	}
	s := &JoinStore[K, V]{inner: owned(keys), span: windowSpan[K](cfg.Size)}
	g := newSegments(KindWindow, cfg.Size, cfg.Retention, false)
	if err := s.core.openSegmented(env, windowKeys[K]{s.inner, cfg.Size}, vals, false, g); err != nil {
		return nil, err
	}
	return s, nil
}

// Put adds a value.
func (s *JoinStore[K, V]) Put(k K, time int64, v V) error {
	c := &s.core
	b, err := s.inner.Append(c.kbuf[:0], k)
	if err != nil {
		return c.fail("encode key", nil, err)
	}
	c.kbuf = appendWindow(b, time, 0)
	if !c.seg.visible(c.kbuf) {
		return nil
	}
	seq, err := c.cold.nextSeq(b, time, c.engine)
	if err != nil {
		return fmt.Errorf("task %s: store %s: put: %w", c.task, c.name, err)
	}
	binary.BigEndian.PutUint32(c.kbuf[len(b)+8:], seq)
	i := c.claim(c.kbuf)
	if invariant.Enabled {
		c.seg.found = i
	}
	return c.set(i, v, *c.time)
}

// JoinCursor iterates over values of a key. See [Cursor].
type JoinCursor[K, V any] struct {
	cur *Cursor[record.Windowed[K], V]
}

// Fetch iterates over the values of a key whose times are in [from, to], by time, then in the order of their arrival.
func (s *JoinStore[K, V]) Fetch(k K, from, to int64) (JoinCursor[K, V], error) {
	b, err := s.inner.Append(s.core.pbuf[:0], k)
	if err != nil {
		return JoinCursor[K, V]{}, s.core.fail("encode key", nil, err)
	}
	s.core.pbuf = b
	cur, err := s.core.ofKey(record.Windowed[K]{Key: k}, s.span, timeRange{key: b, from: from, to: to}, false)
	return JoinCursor[K, V]{cur}, err
}

// Next goes to the next value. It returns false at the end and after an error.
func (c JoinCursor[K, V]) Next() bool { return c.cur.Next() }

// Time returns the time of the current value.
func (c JoinCursor[K, V]) Time() int64 { return c.cur.key.Start.UnixMilli() }

// Value returns the current value.
func (c JoinCursor[K, V]) Value() V { return c.cur.value }

// Err returns what ended the iteration early, nil if nothing did.
func (c JoinCursor[K, V]) Err() error { return c.cur.err }

// Close ends the cursor. It may be called more than once, or not at all.
func (c JoinCursor[K, V]) Close() { c.cur.Close() }

// Advance tells the store a stream time that may be later than that of its values. It is undone with the unit.
func (s *JoinStore[K, V]) Advance(streamTime int64) { s.core.seg.clock.advance(streamTime) }

// Name returns the name of the store.
func (s *JoinStore[K, V]) Name() string { return s.core.name }

// Mark is part of [record.Undoer].
func (s *JoinStore[K, V]) Mark() int { return s.core.Mark() }

// Undo is part of [record.Undoer].
func (s *JoinStore[K, V]) Undo(mark int) { s.core.Undo(mark) }

// Release is part of [record.Undoer].
func (s *JoinStore[K, V]) Release() { s.core.Release() }

// DirtyBytes is part of [Store].
func (s *JoinStore[K, V]) DirtyBytes() int { return s.core.DirtyBytes() }

// Restored is [WindowTable.Restored].
func (s *JoinStore[K, V]) Restored() error { return s.core.Restored() }

// Freeze is part of [Store].
func (s *JoinStore[K, V]) Freeze(b Batch, log Changelog) error { return s.core.Freeze(b, log) }

// Applied is part of [Store].
func (s *JoinStore[K, V]) Applied() { s.core.Applied() }

// Reset is part of [Store].
func (s *JoinStore[K, V]) Reset() { s.core.Reset() }

// Close is part of [Store].
func (s *JoinStore[K, V]) Close() error { return s.core.Close() }

// Stats describes the cache. It belongs to the goroutine of the task.
func (s *JoinStore[K, V]) Stats() StoreStats { return s.core.Stats() }
