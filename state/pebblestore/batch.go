package pebblestore

import (
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/oxbow-streams/oxbow/state"
)

// batch is a Pebble batch. Besides the caller's writes it carries the records of the stores that it is the first to touch.
type batch struct {
	handle  *handle
	b       *pebble.Batch // nil: spent
	last    *store        // the store of the last write
	touched []*madeStore
	offsets []*madeStore // stores whose record is in the batch
}

// maxBatch keeps a batch well below the 4 GiB at which Pebble panics.
const maxBatch = 2 << 30

// maxFirst bounds the room that a batch begins with: as much as the one before it had, since commits of a task are alike. A batch that
// grows from nothing is copied more often than what is put into it.
const maxFirst = 4 * mib

// Batch implements [state.Space].
func (h *handle) Batch() state.Batch {
	b := &batch{handle: h}
	if h.engine.gate.enter() == nil {
		b.b = h.engine.db.NewBatch(pebble.WithInitialSizeBytes(int(h.lastBatch.Load())))
		h.engine.gate.leave()
	}
	return b
}

// of checks that a write may go into the batch.
func (b *batch) of(es state.EngineStore, op string, size int) (*store, error) {
	if b.b == nil {
		return nil, fmt.Errorf("task %s: %s: batch %w", b.handle.id, op, state.ErrClosed)
	}
	if b.b.Len()+size > maxBatch {
		return nil, fmt.Errorf("task %s: %s: the batch would have %d bytes, more than %d: commit earlier", b.handle.id, op, b.b.Len()+size, maxBatch)
	}
	s, ok := es.(*store)
	if ok && s == b.last {
		return s, nil
	}
	if !ok || s.handle.space != b.handle.space {
		return nil, fmt.Errorf("task %s: %s: store %q is not of this space", b.handle.id, op, es.Name())
	}
	return s, nil
}

// touch notes a store that is written to.
func (b *batch) touch(s *store) {
	if s == b.last {
		return
	}
	b.last = s
	if !slices.Contains(b.touched, s.made) {
		b.touched = append(b.touched, s.made)
	}
}

func (b *batch) Set(es state.EngineStore, key, value []byte) error {
	s, err := b.of(es, "set", len(key)+len(value))
	if err != nil {
		return err
	}
	if err := s.checkKey("set", key); err != nil {
		return err
	}
	b.touch(s)
	op := b.b.SetDeferred(encodedLen(s.suffix, key), len(value))
	putKey(op.Key, &s.prefix, s.suffix, key)
	copy(op.Value, value)
	return op.Finish()
}

func (b *batch) Delete(es state.EngineStore, key []byte) error {
	s, err := b.of(es, "delete", len(key))
	if err != nil {
		return err
	}
	if err := s.checkKey("delete", key); err != nil {
		return err
	}
	b.touch(s)
	op := b.b.DeleteDeferred(encodedLen(s.suffix, key))
	putKey(op.Key, &s.prefix, s.suffix, key)
	return op.Finish()
}

func (b *batch) DeleteRange(es state.EngineStore, lower, upper []byte) error {
	s, err := b.of(es, "delete range", len(lower)+len(upper))
	if err != nil {
		return err
	}
	if err := s.check("delete range", lower, upper); err != nil {
		return err
	}
	b.touch(s)
	from, to := s.bounds(lower, upper)
	if comparer.Compare(from, to) >= 0 {
		return nil
	}
	return b.b.DeleteRange(from, to, nil)
}

func (b *batch) SetOffset(name string, o state.StoredOffset) error {
	if b.b == nil {
		return fmt.Errorf("task %s: set offset: batch %w", b.handle.id, state.ErrClosed)
	}
	b.handle.mu.Lock()
	m := b.handle.made[name]
	b.handle.mu.Unlock()
	if m == nil {
		return fmt.Errorf("task %s: store %q: set offset: the space has no such store, make it first", b.handle.id, name)
	}
	if !slices.Contains(b.touched, m) {
		b.touched = append(b.touched, m)
	}
	if !slices.Contains(b.offsets, m) {
		b.offsets = append(b.offsets, m)
	}
	return b.put(m, storeRecord{format: storeFormat, kind: m.kind, hasOffset: true, offset: o})
}

func (b *batch) put(m *madeStore, r storeRecord) error {
	op := b.b.SetDeferred(prefixLen, r.len())
	p := makePrefix(b.handle.id, m.number, kindRecord)
	copy(op.Key, p[:])
	r.put(op.Value)
	return op.Finish()
}

func (b *batch) Len() int {
	if b.b == nil || b.b.Empty() {
		return 0
	}
	return b.b.Len()
}

func (b *batch) Discard() {
	if b.b != nil {
		_ = b.b.Close() // a batch without an index has nothing to close that could fail
		b.b = nil
	}
}

func (b *batch) Commit() error {
	if b.b == nil {
		return fmt.Errorf("task %s: commit: batch %w", b.handle.id, state.ErrClosed)
	}
	pb, h := b.b, b.handle
	b.b = nil
	h.lastBatch.Store(int64(min(pb.Len(), maxFirst)))
	if err := h.check("", "commit"); err != nil {
		_ = pb.Close()
		return err
	}
	if len(b.touched) == 0 {
		_ = pb.Close()
		return h.engine.open(&h.id, "", "commit")
	}
	if err := b.register(pb); err != nil {
		return err
	}
	h.engine.dirty.Store(true)
	err := h.engine.bounded(&h.id, "", "commit", func() error {
		// The batch belongs to this call: the caller may be gone when it ends.
		if err := h.engine.db.Apply(pb, pebble.NoSync); err != nil {
			return err
		}
		return pb.Close()
	})
	if err != nil {
		return err
	}
	h.engine.dirty.Store(true) // a flush may have begun before the batch was applied
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range b.touched {
		m.recorded, m.wiped = true, false
	}
	return nil
}

// register adds the records of stores that have none yet.
func (b *batch) register(pb *pebble.Batch) error {
	b.handle.mu.Lock()
	defer b.handle.mu.Unlock()
	for _, m := range b.touched {
		if m.recorded || slices.Contains(b.offsets, m) {
			continue
		}
		b.b = pb
		err := b.put(m, storeRecord{format: storeFormat, kind: m.kind})
		b.b = nil
		if err != nil {
			return fmt.Errorf("task %s: commit: %w", b.handle.id, err)
		}
	}
	return nil
}
