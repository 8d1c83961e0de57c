package state

// loadMost is how many rows of a run are loaded at once. What lies before them is read from the engine until it is asked for
// again.
var loadMost = 1024

// cover brings the rows of a key from a time on into the cache, as many as may be loaded at once, the latest first.
func (c *cache[X]) cover(n uint32, from int64, eng EngineStore) error {
	r := &c.byKey.list[n]
	if r.since <= from {
		return nil
	}
	to := min(r.since, c.seg.known) - 1
	if to < from {
		r.since = from
		return nil
	}
	c.loads++
	c.byKey.busy = true
	since, err := c.loadRun(n, timeRange{key: c.runKey(r), from: from, to: to, late: maxTime}, eng)
	c.byKey.busy = false
	if err != nil {
		return err
	}
	c.byKey.list[n].since = since
	c.acct.setTotal(c.footprint())
	return nil
}

// coverKey is cover of the run of a key.
func (c *cache[X]) coverKey(key []byte, from int64, eng EngineStore) error {
	return c.cover(c.claimRun(key), from, eng)
}

// loadRun loads the rows of a range and returns the time from which on the run is known.
func (c *cache[X]) loadRun(n uint32, rng timeRange, eng EngineStore) (since int64, err error) {
	it := c.seg.engineIter(eng, rng, true)
	defer it.Close()
	last := rng.to
	for rows := 0; it.Next(); rows++ {
		key := it.Key()
		time := c.seg.timeOf(key)
		if rows >= loadMost && time < last {
			return last, nil
		}
		last = time
		if err := c.take(key, it.Value()); err != nil {
			return 0, err
		}
	}
	return rng.from, it.Err()
}

// take keeps a row of the engine, unless the cache knows it better.
func (c *cache[X]) take(key, value []byte) error {
	i := c.rowSlot(key)
	if c.slot(i).meta&slotUnknown == 0 {
		return nil
	}
	x, ts, err := c.hooks.decode(value)
	if err != nil {
		return err
	}
	s := c.slot(i)
	s.val, s.ts = x, ts
	s.meta = s.meta&^slotUnknown | slotPresent | slotInEngine
	return nil
}

// collect appends the slots of a run that may have rows in a range. Those that the engine must be asked for are looked up where
// the run is known, and left out where the engine is read beside it.
func (c *cache[X]) collect(dst []uint32, n uint32, rng *timeRange) ([]uint32, error) {
	r := &c.byKey.list[n]
	b := c.entries(r)
	for k, end := c.entryFrom(r, rng.from), c.entryAfter(r, rng.to); k < end; k++ {
		i, time := entrySlot(b, k), entryTime(b, k)
		s := c.slot(i)
		if s.meta&slotUnknown != 0 {
			if time < r.since {
				continue
			}
			if err := c.fill(i, c.keyOf(s)); err != nil {
				return dst, err
			}
		}
		if s.meta&slotPresent == 0 && time >= r.since || c.seg.kind == KindSession && int64(s.tail()) > rng.late {
			continue
		}
		dst = append(dst, i)
	}
	return dst, nil
}

// vanish gives up a row that was set and deleted between two commits: it leaves no trace anywhere.
func (c *cache[X]) vanish(i uint32) {
	const trace = slotPresent | slotInEngine | slotUnknown | slotPinned | slotOld
	s := c.slot(i)
	if s.meta&(slotUsed|slotDirty|trace) != slotUsed|slotDirty {
		return
	}
	if s.meta&slotNoted != 0 {
		if int(i) < len(c.hdrs) {
			c.acct.addBuffered(-int64(c.hdrs[i].n))
		}
		c.clearOld(s)
	}
	k, last := c.byKey.at[i], c.dirty[len(c.dirty)-1]
	c.dirty[k] = last
	c.byKey.at[last] = k
	c.dirty = c.dirty[:len(c.dirty)-1]
	c.acct.addDirty(-c.perSlot - c.extra(&s.val))
	c.forget(i)
}

// reap gives up what the unit that has just succeeded has deleted.
func (c *cache[X]) reap() {
	c.byKey.reap = false
	for n := range c.log {
		if i := c.log[n].i; i != openedScan {
			c.vanish(i)
		}
	}
}
