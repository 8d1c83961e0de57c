package state

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/oxbow-streams/oxbow/internal/invariant"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// freezing is where a freeze writes to.
type freezing struct {
	store EngineStore
	batch Batch
	log   Changelog // nil: the store is not logged
	stamp bool      // engine values begin with their time
	buf   []byte
}

// freeze writes the dirty slots and makes them the frozen ones. After an error only reset may follow.
func (c *cache[X]) freeze(f *freezing) error {
	if invariant.Enabled {
		invariant.Check(len(c.log) == 0, "freeze inside a unit: %d changes", len(c.log))
	}
	if len(c.frozen) > 0 {
		return fmt.Errorf("freeze before the last one of %d keys was applied", len(c.frozen))
	}
	if c.seg != nil {
		if err := c.expire(f); err != nil {
			return err
		}
	}
	if len(c.dirty) == 0 {
		return nil
	}
	c.sortDirty()
	c.frozen, c.dirty = c.dirty, c.frozen[:0]
	c.runs, c.inRuns = nil, 0
	c.acct.frozen, c.acct.dirty = c.acct.dirty, 0
	for n, i := range c.frozen {
		if n%WarmMost == 0 {
			c.warmRows(c.frozen[n:])
		}
		s := c.slot(i)
		var err error
		if s.meta&slotPresent != 0 {
			err = c.freezeValue(f, s)
			s.meta |= slotInEngine
		} else if s.meta&slotInEngine != 0 {
			err = c.freezeDelete(f, s)
			s.meta &^= slotInEngine
		}
		if err != nil {
			return err
		}
		s.meta = s.meta&^slotDirty | slotPinned
		if c.seg != nil && c.seg.timeOf(c.keyOf(s)) < c.seg.over() {
			s.meta |= slotOver
		}
	}
	return nil
}

func (c *cache[X]) freezeValue(f *freezing, s *slot[X]) (err error) {
	key := c.keyOf(s)
	f.buf = f.buf[:0]
	at := 0
	if f.stamp {
		f.buf = binary.BigEndian.AppendUint64(f.buf, uint64(s.ts))
		at = 8
	}
	if f.buf, err = c.hooks.encode(f.buf, &s.val); err != nil {
		return err
	}
	if f.buf == nil {
		f.buf = empty // nil is null
	}
	if err = f.batch.Set(f.store, c.engineKey(key), f.buf); err != nil || f.log == nil {
		return err
	}
	return f.log.Append(s.ts, key, f.buf[at:], record.Headers{})
}

func (c *cache[X]) freezeDelete(f *freezing, s *slot[X]) error {
	key := c.keyOf(s)
	if err := f.batch.Delete(f.store, c.engineKey(key)); err != nil || f.log == nil {
		return err
	}
	return f.log.Append(s.ts, key, nil, record.Headers{})
}

// applied unpins what the last freeze wrote.
func (c *cache[X]) applied() {
	for n, i := range c.frozen {
		if n%WarmMost == 0 {
			c.warmRows(c.frozen[n:])
		}
		c.slot(i).meta &^= slotPinned
		if c.seg != nil {
			c.settle(i)
		}
	}
	c.frozen = c.frozen[:0]
	if c.seg != nil {
		c.seg.applied()
		c.clearSettled()
	}
	c.acct.frozen = 0
	c.acct.fold()
}

// reset forgets what is not in the engine, and the notes.
func (c *cache[X]) reset() {
	c.Undo(0)
	for len(c.scans) > 0 {
		c.endScan()
	}
	for {
		i, ok := c.nextNote()
		if !ok {
			break
		}
		c.takeNote(i)
	}
	c.mem.release(c.notes.hdr)
	c.notes = notes{}
	if len(c.frozen) > 0 || c.seg != nil {
		c.whole = notWhole // what became of the last batch is not known
	}
	if c.seg != nil {
		c.forgetAll()
	}
	for _, i := range slices.Concat(c.dirty, c.frozen) {
		if c.slot(i).meta&(slotDirty|slotPinned) != 0 {
			c.forget(i)
		}
	}
	c.dirty, c.frozen, c.runs, c.inRuns = nil, nil, nil, 0
	if c.seg != nil {
		c.seg.reset()
	}
	c.acct.dirty, c.acct.frozen = 0, 0
	c.acct.fold()
}

// close gives all memory back.
func (c *cache[X]) close() {
	c.reset()
	c.chunks, c.next, c.spare, c.hand, c.used = nil, 0, nil, 0, 0
	c.index, c.mem, c.hdrs = make(index, minIndex), arena{}, nil
	if c.seg != nil {
		c.byKey = newRuns()
	}
	c.acct.setTotal(0)
}

func (c *cache[X]) dirtyBytes() int64 { return c.acct.dirty }

func (c *cache[X]) noted() int { return len(c.notes.noted) + len(c.notes.queue) - c.notes.at }
