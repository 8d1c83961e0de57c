package state

import (
	"math"

	"github.com/oxbow-streams/oxbow/internal/invariant"
)

// change is an entry of the undo log: a slot as it was. Changes of one slot that follow one another, with no mark between
// them, share an entry.
type change[X any] struct {
	i      uint32 // openedScan: an iterator was opened
	what   uint8
	meta   uint64
	ts     int64
	noteTs int64
	val    X
	hdr    span // if changedHeaders
}

const (
	changedValue   uint8 = 1 << iota // val is no longer in the slot: its span belongs to the log
	changedHeaders                   // the same of hdr

	openedScan = math.MaxUint32
)

// Mark returns the length of the undo log.
func (c *cache[X]) Mark() int {
	c.floor = len(c.log)
	return c.floor
}

// before returns the log entry that has slot i as it was, a new one unless the last one will do.
func (c *cache[X]) before(i uint32, s *slot[X]) *change[X] {
	n := len(c.log)
	if n > c.floor && c.log[n-1].i == i {
		return &c.log[n-1]
	}
	if n == 0 {
		c.units.Touch(c)
	}
	c.log = append(c.log, change[X]{i: i, meta: s.meta, ts: s.ts, noteTs: s.noteTs, val: s.val})
	return &c.log[n]
}

// write sets or deletes the value of a slot. x becomes the slot's.
func (c *cache[X]) write(i uint32, x X, present bool, ts int64) {
	s := c.slot(i)
	ch := c.before(i, s)
	if c.plain {
		if s.meta&slotDirty == 0 {
			c.addDirty(i)
			c.acct.addDirty(c.perSlot)
		}
	} else {
		c.countWrite(i, s, &x)
		if ch.what&changedValue != 0 {
			c.drop(s.meta&slotPresent != 0, s.val) // neither the log nor the slot has it any more
		}
	}
	ch.what |= changedValue
	s.meta = s.meta&^(slotUnknown|slotPresent) | slotDirty
	if present {
		s.meta |= slotPresent
	} else if c.seg != nil {
		c.byKey.reap = true
	}
	s.val, s.ts = x, ts
}

func (c *cache[X]) addDirty(i uint32) {
	if c.seg != nil {
		c.byKey.at[i] = uint32(len(c.dirty))
	}
	c.dirty = append(c.dirty, i)
}

// countWrite keeps the dirty set for values that have bytes beside the slot.
func (c *cache[X]) countWrite(i uint32, s *slot[X], x *X) {
	n := c.extra(x)
	if s.meta&slotDirty == 0 {
		c.addDirty(i)
		n += c.perSlot
	} else {
		n -= c.extra(&s.val)
	}
	c.acct.addDirty(n)
}

// Undo takes back every change since mark, newest first.
func (c *cache[X]) Undo(mark int) {
	for n := len(c.log) - 1; n >= mark; n-- {
		ch := &c.log[n]
		if ch.i == openedScan {
			c.endScan()
		} else {
			c.restore(ch)
		}
	}
	for _, sc := range c.scans {
		sc.undone(mark)
	}
	c.cut(mark)
}

// restore makes a slot what it was.
func (c *cache[X]) restore(ch *change[X]) {
	s := c.slot(ch.i)
	switch was, is := ch.meta&slotDirty != 0, s.meta&slotDirty != 0; {
	case is && !was:
		c.undirty(ch.i)
		c.acct.addDirty(-c.perSlot - c.extra(&s.val))
	case is:
		c.acct.addDirty(c.extra(&ch.val) - c.extra(&s.val))
	}
	if ch.what&changedValue != 0 {
		c.drop(s.meta&slotPresent != 0, s.val)
		s.val = ch.val
	}
	if ch.what&changedHeaders != 0 {
		c.acct.addBuffered(int64(ch.hdr.n) - int64(c.hdrs[ch.i].n))
		c.mem.release(c.hdrs[ch.i])
		c.hdrs[ch.i] = ch.hdr
	}
	if s.meta&slotNoted != 0 && ch.meta&slotNoted == 0 {
		c.unnote(ch.i, s)
	}
	s.meta, s.ts, s.noteTs = ch.meta, ch.ts, ch.noteTs
}

// undirty takes the last slot off the dirty list.
func (c *cache[X]) undirty(i uint32) {
	n := len(c.dirty) - 1
	if invariant.Enabled {
		invariant.Check(c.dirty[n] == i, "undo of slot %d, but %d was the last to become dirty", i, c.dirty[n])
	}
	c.dirty = c.dirty[:n]
	if c.inRuns > n {
		c.runs, c.inRuns = nil, 0
	}
}

// Release forgets the log: what the unit did stays.
func (c *cache[X]) Release() {
	if !c.plain || c.hdrs != nil || len(c.scans) > 0 {
		c.releaseSpans()
	}
	if c.seg != nil && c.byKey.reap {
		c.reap()
	}
	c.cut(0)
}

func (c *cache[X]) releaseSpans() {
	for n := range c.log {
		ch := &c.log[n]
		if ch.what&changedValue != 0 {
			c.drop(ch.meta&slotPresent != 0, ch.val)
		}
		if ch.what&changedHeaders != 0 {
			c.mem.release(ch.hdr)
		}
	}
	for len(c.scans) > 0 {
		c.endScan()
	}
}

// keepLog is the room that the undo log keeps from one unit to the next.
const keepLog = 16 << 10

func (c *cache[X]) cut(mark int) {
	if c.pointers {
		clear(c.log[mark:])
	}
	c.log = c.log[:mark]
	c.floor = mark
	if mark == 0 {
		c.epoch++
	}
	if mark == 0 && cap(c.log) > keepLog {
		c.log = nil
	}
}
