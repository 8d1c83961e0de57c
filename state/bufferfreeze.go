package state

import (
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/invariant"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// Mark is part of [record.Undoer].
func (b *buffer) Mark() int { return len(b.log) }

// Undo is part of [record.Undoer].
func (b *buffer) Undo(mark int) {
	for n := len(b.log) - 1; n >= mark; n-- {
		b.restore(&b.log[n])
	}
	b.cut(mark)
}

// restore makes a slot what it was.
func (b *buffer) restore(ch *bufferChange) {
	s, was := &b.slots[ch.i], &ch.was
	b.drop(s)
	b.bytes += int64(was.size) - int64(s.size)
	if s.at >= 0 && was.at < 0 {
		b.dequeue(ch.i)
	}
	if was.flags&rowDirty == 0 {
		n := len(b.dirty) - 1
		if invariant.Enabled {
			invariant.Check(b.dirty[n] == ch.i, "undo of slot %d, but %d was the last to become dirty", ch.i, b.dirty[n])
		}
		b.dirty = b.dirty[:n]
		b.acct.addDirty(-slotCost - int64(s.size))
	} else {
		b.acct.addDirty(int64(was.size) - int64(s.size))
	}
	b.seq = ch.seq
	if ch.fresh {
		b.leave(ch.i)
		return
	}
	s.val, s.size, s.flags = was.val, was.size, was.flags
	if s.at < 0 && was.at >= 0 {
		s.time = was.time
		b.enqueue(ch.i)
	}
}

// drop releases the value of a slot.
func (b *buffer) drop(s *bufferSlot) {
	b.held -= int64(s.val.n)
	b.mem.release(s.val)
	s.val = span{}
}

// Release is part of [record.Undoer].
func (b *buffer) Release() {
	for n := range b.log {
		b.drop(&b.log[n].was)
	}
	b.cut(0)
}

func (b *buffer) cut(mark int) {
	b.log = b.log[:mark]
	if mark == 0 && cap(b.log) > keepLog {
		b.log = nil
	}
}

// Freeze is part of [Store].
func (b *buffer) Freeze(batch Batch, log Changelog) error {
	if invariant.Enabled {
		invariant.Check(len(b.log) == 0, "freeze inside a unit: %d changes", len(b.log))
	}
	if len(b.frozen) > 0 {
		return b.fail("freeze", fmt.Errorf("the last one of %d rows was not applied", len(b.frozen)))
	}
	sortByKey(b.dirty, func(i uint32) []byte { return b.mem.bytes(b.slots[i].key) })
	b.frozen, b.dirty = b.dirty, b.frozen[:0]
	b.acct.frozen, b.acct.dirty = b.acct.dirty, 0
	for _, i := range b.frozen {
		if err := b.freezeRow(&b.slots[i], batch, log); err != nil {
			return b.fail("freeze", err)
		}
	}
	return nil
}

func (b *buffer) freezeRow(s *bufferSlot, batch Batch, log Changelog) (err error) {
	key := b.mem.bytes(s.key)
	switch {
	case s.at >= 0:
		val := b.mem.bytes(s.val)
		if err = batch.Set(b.engine, key, val); err == nil && log != nil {
			err = log.Append(*b.time, key, val, b.layout.headers())
		}
		s.flags |= rowEngine
	case s.flags&rowEngine != 0:
		if err = batch.Delete(b.engine, key); err == nil && log != nil {
			err = log.Append(*b.time, key, nil, record.Headers{})
		}
		s.flags &^= rowEngine
	}
	s.flags = s.flags&^rowDirty | rowPinned
	return err
}

// Applied is part of [Store].
func (b *buffer) Applied() {
	for _, i := range b.frozen {
		s := &b.slots[i]
		s.flags &^= rowPinned
		if s.at < 0 && s.flags&rowDirty == 0 {
			b.leave(i)
		}
	}
	b.frozen = b.frozen[:0]
	b.acct.frozen = 0
	b.acct.fold()
	if !b.acct.room(0) && 2*b.held > b.mem.size {
		b.spill()
	}
}

// spill leaves the values of rows that are in the engine to it (B2), and moves what stays into as little memory as it needs.
func (b *buffer) spill() {
	old := b.mem
	b.mem, b.held = arena{}, 0
	for i := range b.slots {
		s := &b.slots[i]
		if s.flags&rowUsed == 0 {
			continue
		}
		s.key = b.mem.put(old.bytes(s.key))
		switch {
		case s.at < 0 || s.flags&rowAway != 0:
		case s.flags&(rowDirty|rowPinned) == 0:
			s.val, s.flags = span{}, s.flags|rowAway
		default:
			s.val = b.mem.put(old.bytes(s.val))
			b.held += int64(s.val.n)
		}
	}
	b.acct.setTotal(b.footprint())
}

// Reset is part of [Store].
func (b *buffer) Reset() {
	b.Undo(0)
	b.clear()
}

// clear forgets all rows. They are loaded again when they are needed.
func (b *buffer) clear() {
	b.index, b.slots, b.spare, b.order = make(index, minIndex), nil, nil, newBufferOrder()
	b.mem, b.dirty, b.frozen, b.log = arena{}, nil, nil, nil
	b.loaded, b.seq, b.bytes, b.held = false, 0, 0, 0
	b.acct.dirty, b.acct.frozen = 0, 0
	b.acct.total = 0
	b.acct.fold()
}

// Close is part of [Store].
func (b *buffer) Close() error {
	b.Reset()
	return nil
}
