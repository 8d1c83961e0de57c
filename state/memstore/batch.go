package memstore

import (
	"errors"
	"fmt"
	"slices"

	"github.com/oxbow-streams/oxbow/state"
)

type opKind uint8

const (
	opSet opKind = iota
	opDelete
	opDeleteRange
	opOffset
)

type op struct {
	kind       opKind
	store      *store
	key, value []byte // deleteRange: the bounds
	offset     state.StoredOffset
}

// batch collects writes; they are applied to the trees at Commit.
type batch struct {
	handle *handle
	ops    []op
	bytes  int
	spent  bool
}

// Batch implements [state.Space].
func (h *handle) Batch() state.Batch { return &batch{handle: h} }

func (b *batch) of(es state.EngineStore, what string) (*store, error) {
	if b.spent {
		return nil, fmt.Errorf("task %s: %s: batch %w", b.handle.id, what, state.ErrClosed)
	}
	s, ok := es.(*store)
	if !ok || s.space != b.handle.space {
		return nil, fmt.Errorf("task %s: %s: store %q is not of this space", b.handle.id, what, es.Name())
	}
	return s, nil
}

func (b *batch) Set(es state.EngineStore, key, value []byte) error {
	s, err := b.of(es, "set")
	if err != nil {
		return err
	}
	if err := s.kind.CheckKey(key); err != nil {
		return fmt.Errorf("task %s: store %q: set: %w", b.handle.id, s.name, err)
	}
	k, v := copyRow(key, value)
	b.ops = append(b.ops, op{kind: opSet, store: s, key: k, value: v})
	b.bytes += len(key) + len(value)
	return nil
}

func (b *batch) Delete(es state.EngineStore, key []byte) error {
	s, err := b.of(es, "delete")
	if err != nil {
		return err
	}
	if err := s.kind.CheckKey(key); err != nil {
		return fmt.Errorf("task %s: store %q: delete: %w", b.handle.id, s.name, err)
	}
	b.ops = append(b.ops, op{kind: opDelete, store: s, key: slices.Clone(key)})
	b.bytes += len(key)
	return nil
}

func (b *batch) DeleteRange(es state.EngineStore, lower, upper []byte) error {
	s, err := b.of(es, "delete range")
	if err != nil {
		return err
	}
	if err := s.check("delete range", lower, upper); err != nil {
		return err
	}
	b.ops = append(b.ops, op{kind: opDeleteRange, store: s, key: slices.Clone(lower), value: slices.Clone(upper)})
	b.bytes += len(lower) + len(upper)
	return nil
}

func (b *batch) SetOffset(name string, o state.StoredOffset) error {
	if b.spent {
		return fmt.Errorf("task %s: set offset: batch %w", b.handle.id, state.ErrClosed)
	}
	b.handle.mu.Lock()
	made, ok := b.handle.made[name]
	b.handle.mu.Unlock()
	if !ok {
		return fmt.Errorf("task %s: store %q: set offset: the space has no such store, make it first", b.handle.id, name)
	}
	o.Position = slices.Clone(o.Position)
	s := &store{space: b.handle.space, handle: b.handle, name: name, kind: made.kind}
	b.ops = append(b.ops, op{kind: opOffset, store: s, offset: o})
	b.bytes += 16 + len(o.Position)
	return nil
}

func (b *batch) Len() int { return b.bytes }

func (b *batch) Discard() { b.spent, b.ops, b.bytes = true, nil, 0 }

func (b *batch) Commit() error {
	if b.spent {
		return fmt.Errorf("task %s: commit: batch %w", b.handle.id, state.ErrClosed)
	}
	ops := b.ops
	b.Discard()
	if err := b.handle.check("commit"); err != nil {
		return err
	}
	if len(ops) == 0 {
		return nil
	}
	return b.handle.update(func(stores map[string]storeContent) { apply(stores, ops) })
}

// apply runs the writes of a batch on the content of a space.
func apply(stores map[string]storeContent, ops []op) {
	edits := map[string]*edit{}
	for _, o := range ops {
		name := o.store.name
		e := edits[name]
		if e == nil {
			e = stores[name].rows.edit(o.store.kind.Compare)
			edits[name] = e
			c := stores[name]
			c.kind = o.store.kind
			stores[name] = c
		}
		switch o.kind {
		case opSet:
			e.set(o.key, o.value)
		case opDelete:
			e.delete(o.key)
		case opDeleteRange:
			e.deleteRange(o.key, o.value)
		case opOffset:
			c := stores[name]
			c.offset, c.hasOffset = o.offset, true
			stores[name] = c
		}
	}
	for name, e := range edits {
		c := stores[name]
		c.rows = e.done()
		stores[name] = c
	}
}

// copyRow copies key and value into one allocation.
func copyRow(key, value []byte) (k, v []byte) {
	buf := make([]byte, len(key)+len(value))
	copy(buf, key)
	copy(buf[len(key):], value)
	return buf[:len(key):len(key)], buf[len(key):]
}

// ingester collects restored rows. Memory has no faster way than a batch.
type ingester struct {
	store *store
	batch *batch
	last  []byte
	any   bool
}

func (s *store) Ingester() (state.Ingester, error) {
	if err := s.check("ingest"); err != nil {
		return nil, err
	}
	return &ingester{store: s, batch: &batch{handle: s.handle}}, nil
}

func (in *ingester) Add(key, value []byte) error {
	if in.any && in.store.kind.Compare(in.last, key) >= 0 && in.store.kind.CheckKey(key) == nil {
		return fmt.Errorf("task %s: store %q: ingest: key %x does not come after key %x", in.store.space.id, in.store.name, key, in.last)
	}
	var err error
	if value == nil {
		err = in.batch.Delete(in.store, key)
	} else {
		err = in.batch.Set(in.store, key, value)
	}
	if err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	in.last, in.any = append(in.last[:0], key...), true
	return nil
}

func (in *ingester) Finish(o state.StoredOffset) error {
	err := in.batch.SetOffset(in.store.name, o)
	if err == nil {
		err = in.batch.Commit()
	}
	in.batch.Discard()
	if errors.Is(err, state.ErrClosed) {
		return fmt.Errorf("task %s: store %q: ingest: %w", in.store.space.id, in.store.name, err)
	}
	return err
}

func (in *ingester) Abort() { in.batch.Discard() }
