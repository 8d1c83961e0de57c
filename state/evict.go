package state

import (
	"unsafe"
)

const (
	// sweep is how many slots a look-up that needs memory passes at most in search of one to forget. The dirty set may be
	// most of the cache; then it grows instead.
	sweep = 64
	// evictMost is how many slots one look-up forgets at most: more than it takes, so that memory beyond the limit goes down.
	evictMost = 4
)

// place returns a slot without a key. While the budget's limit is reached it forgets clean ones, in the order of a clock's
// hand, before it takes new memory. Entries of the undo log are dirty or noted, so they are never forgotten.
func (c *cache[X]) place() uint32 {
	fresh := int(c.next) < len(c.chunks)*chunkLen
	if !c.acct.room(0) || len(c.spare) == 0 && !fresh && !c.acct.room(int64(unsafe.Sizeof(chunk[X]{}))) {
		c.evict()
	}
	if n := len(c.spare); n > 0 {
		i := c.spare[n-1]
		c.spare = c.spare[:n-1]
		return i
	}
	if !fresh {
		c.chunks = append(c.chunks, new(chunk[X]))
		c.acct.setTotal(c.footprint())
	}
	c.next++
	return c.next - 1
}

func (c *cache[X]) evict() {
	if c.used <= c.acct.b.least || c.seg != nil && !c.canEvict() {
		return
	}
	evicted := 0
	for range min(sweep, int(c.next)) {
		if c.hand++; c.hand >= c.next {
			c.hand = 0
		}
		s := c.slot(c.hand)
		switch {
		case s.meta&slotUsed == 0 || s.meta&slotBusy != 0:
		case s.meta&slotRef != 0:
			s.meta &^= slotRef
		default:
			c.forget(c.hand)
			if evicted++; evicted == evictMost {
				return
			}
		}
	}
}

// forget gives a slot up. It is clean, or its write is given up too.
func (c *cache[X]) forget(i uint32) {
	s := c.slot(i)
	if s.meta&slotInEngine != 0 && s.meta&slotUnknown == 0 {
		c.whole = notWhole
	}
	if c.seg != nil {
		c.leaveRun(i, s)
	}
	c.vacate(i)
}

// vacate is forget for a row that nobody can see any more, or whose run goes too.
func (c *cache[X]) vacate(i uint32) {
	s := c.slot(i)
	if c.seg == nil {
		c.leave(i)
	}
	if s.klen == longKey {
		c.mem.release(s.longKey())
	}
	c.drop(s.meta&slotPresent != 0, s.val)
	c.drop(s.meta&slotOld != 0, s.old)
	if int(i) < len(c.hdrs) {
		c.mem.release(c.hdrs[i])
		c.hdrs[i] = span{}
	}
	*s = slot[X]{}
	c.spare = append(c.spare, i)
	c.used--
}

// drop releases the span of a value that is given up.
func (c *cache[X]) drop(has bool, x X) {
	if has && c.hooks.span != nil {
		c.mem.release(c.hooks.span(x))
	}
}
