package state

import "slices"

// engineKey returns the engine's key of a row. It is valid until the next call.
func (c *cache[X]) engineKey(key []byte) []byte {
	if c.seg == nil {
		return key
	}
	c.seg.ebuf = c.seg.appendEngineKey(c.seg.ebuf[:0], key)
	return c.seg.ebuf
}

// sortDirty brings the dirty slots into the order of the engine.
func (c *cache[X]) sortDirty() {
	if c.seg == nil {
		sortByKey(c.dirty, c.keyAt)
		return
	}
	slices.SortFunc(c.dirty, func(a, b uint32) int { return c.seg.compare(c.keyAt(a), c.keyAt(b)) })
}

// expire drops the segments that have expired, in the engine by the batch. Their rows write no tombstones: the retention of the
// changelog takes them. A row that downstream has yet to see stays until the next time.
func (c *cache[X]) expire(f *freezing) error {
	was := c.seg.dropped
	if err := c.seg.freeze(f); err != nil || c.seg.dropped == was {
		return err
	}
	gone := func(i uint32) bool {
		s := c.slot(i)
		return c.seg.segment(c.seg.timeOf(c.keyOf(s))) < c.seg.dropped
	}
	c.dirty = slices.DeleteFunc(c.dirty, func(i uint32) bool {
		if !gone(i) {
			return false
		}
		s := c.slot(i)
		s.meta &^= slotDirty
		c.acct.addDirty(-c.perSlot - c.extra(&s.val))
		return true
	})
	c.runs, c.inRuns = nil, 0
	whole := c.whole
	for i := range c.next {
		if s := c.slot(i); s.meta&slotUsed != 0 && s.meta&slotBusy == 0 && gone(i) {
			c.forget(i)
		}
	}
	c.whole = whole // the engine forgets them too, and until then nobody can see them
	return nil
}

// openRange begins a scan over the rows of a range.
func (c *cache[X]) openRange(eng EngineStore, r timeRange, reverse bool) *scan[X] {
	s := &scan[X]{c: c, reverse: reverse, eng: c.seg.engineIter(eng, r, reverse)}
	var run []uint32
	for _, slots := range [][]uint32{c.dirty, c.frozen} {
		for _, i := range slots {
			if c.seg.has(&r, c.keyAt(i)) {
				run = append(run, i)
			}
		}
	}
	slices.SortFunc(run, func(a, b uint32) int { return c.seg.compare(c.keyAt(a), c.keyAt(b)) })
	if run = slices.Compact(run); len(run) > 0 {
		s.runs = append(s.runs, run)
	}
	c.begin(s)
	return s
}

// divide makes the cache that of a window or session store. The slot that stands for rows that are not visible has no key and is
// in no index.
func (c *cache[X]) divide(g *segments) {
	load := c.hooks.load
	c.hooks.load = func(dst, key []byte) ([]byte, bool, error) { return load(dst, c.engineKey(key)) }
	c.seg = g
	g.void = c.place()
}

// forgetAll gives up all rows: stream time goes back, and rows that had expired may be visible again.
func (c *cache[X]) forgetAll() {
	for i := range c.next {
		if c.slot(i).meta&slotUsed != 0 {
			c.forget(i)
		}
	}
}
