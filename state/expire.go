package state

import (
	"bytes"
	"slices"
)

// engineKey returns the engine's key of a row. It is valid until the next call.
func (c *cache[X]) engineKey(key []byte) []byte {
	if c.seg == nil {
		return key
	}
	c.seg.ebuf = c.seg.appendEngineKey(c.seg.ebuf[:0], key)
	return c.seg.ebuf
}

// sortDirty brings the dirty slots into the order of the engine, or nearly so where one key is the beginning of another: a batch
// need not be in order.
func (c *cache[X]) sortDirty() {
	if c.seg == nil {
		sortByKey(c.dirty, c.keyAt)
		return
	}
	// Each key is looked at once, on the way from memory: by what follows the beginning of all.
	heads, skip := make([]item, len(c.dirty)), len(c.byKey.common)
	order := make([]item, len(c.dirty)) // heads by segment
	for n, i := range c.dirty {
		if n%WarmMost == 0 {
			c.warmRows(c.dirty[n:])
		}
		key := c.keyAt(i)
		heads[n] = item{head(key[skip:]), i}
		order[n] = item{uint64(c.seg.segment(c.seg.timeOf(key))), uint32(n)}
	}
	order = sortItems(order)
	part := make([]item, 0, len(order))
	for n := 0; n < len(order); {
		part = part[:0]
		m := n
		for ; m < len(order) && order[m].key == order[n].key; m++ {
			part = append(part, heads[order[m].i])
		}
		c.sortSegment(c.dirty[n:m], part)
		n = m
	}
}

// sortSegment sorts slots of one segment, given by the beginnings of their keys, into dst.
func (c *cache[X]) sortSegment(dst []uint32, items []item) {
	items = sortItems(items)
	for n, it := range items {
		dst[n] = it.i
	}
	for n := 0; n < len(items); {
		m := n + 1
		for m < len(items) && items[m].key == items[n].key {
			m++
		}
		if m-n > 1 {
			slices.SortFunc(dst[n:m], func(a, b uint32) int { return bytes.Compare(c.keyAt(a), c.keyAt(b)) })
		}
		n = m
	}
}

// expire drops the segments that have expired, in the engine by the batch. Their rows write no tombstones: the retention of the
// changelog takes them. A row that downstream has yet to see stays until the next time.
//
// The cache gives up rows as soon as nobody can see them any more, not by whole segments: a join needs no more than its windows.
func (c *cache[X]) expire(f *freezing) error {
	was := c.seg.dropped
	if err := c.seg.freeze(f); err != nil {
		return err
	}
	if c.seg.dropped != was {
		c.dropDirty()
	}
	if least, due := c.seg.sweep(); due || c.seg.dropped != was {
		for n := range c.byKey.list {
			if c.byKey.list[n].used {
				c.expireRun(uint32(n), least)
			}
		}
	}
	return nil
}

// dropDirty takes the rows of segments that have been dropped off the dirty list.
func (c *cache[X]) dropDirty() {
	keep := c.dirty[:0]
	for _, i := range c.dirty {
		s := c.slot(i)
		if c.seg.segment(c.seg.timeOf(c.keyOf(s))) >= c.seg.dropped {
			c.byKey.at[i] = uint32(len(keep))
			keep = append(keep, i)
			continue
		}
		s.meta &^= slotDirty
		c.acct.addDirty(-c.perSlot - c.extra(&s.val))
	}
	c.dirty = keep
}

// expireRun gives up the rows of a run that are earlier than a time, and the run if it has no others and was not used of late.
func (c *cache[X]) expireRun(n uint32, least int64) {
	r := &c.byKey.list[n]
	b := c.entries(r)
	kept, k := 0, 0
	for ; k < int(r.n) && entryTime(b, k) < least; k++ {
		i := entrySlot(b, k)
		if c.slot(i).meta&slotBusy != 0 {
			copy(b[kept*entryLen:(kept+1)*entryLen], b[k*entryLen:])
			kept++
			continue
		}
		c.vacate(i)
	}
	if kept < k {
		c.cutRun(r, kept, k)
	}
	c.ageRun(n)
}

// divide makes the cache that of a window or session store. The slot that stands for rows that are not visible has no key and is
// in no index.
func (c *cache[X]) divide(g *segments) {
	load := c.hooks.load
	c.hooks.load = func(dst, key []byte) ([]byte, bool, error) { return load(dst, c.engineKey(key)) }
	c.seg, c.byKey = g, newRuns()
	g.void = c.place()
}

// forgetAll gives up all rows: stream time goes back, and rows that had expired may be visible again.
func (c *cache[X]) forgetAll() {
	c.byKey.due = nil
	for i := range c.next {
		if c.slot(i).meta&slotUsed != 0 {
			c.vacate(i)
		}
	}
	for n := range c.byKey.list {
		if r := &c.byKey.list[n]; r.used {
			r.n = 0
			c.freeRun(uint32(n))
		}
	}
}

// canEvict tells whether rows may be forgotten now: an open iterator may have them, and so may a run that is being loaded.
func (c *cache[X]) canEvict() bool {
	if c.byKey.busy || len(c.scans) > 0 {
		return false
	}
	c.evictRuns()
	return true
}
