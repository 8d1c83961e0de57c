package state

// Rows of windows and sessions are written for as long as their windows are open. Once a window has closed, and a commit has brought
// its row to the engine, the cache has no use for the row: it makes room for those that are open, which then are few, and near to
// the processor.

// settle says that rows before a time are not expected to be written any more.
func (g *segments) settle(before int64) { g.settled = max(g.settled, before) }

// over is the time before which rows need not be kept. Those that are still to be asked for by time are needed.
func (g *segments) over() int64 {
	if g.byTime {
		return min(g.settled, g.hold.now)
	}
	return g.settled
}

// settle forgets a row that was frozen, and that nobody needs: one whose window was over, or one that was deleted; that it is not
// there is known by its run.
func (c *cache[X]) settle(i uint32) {
	s := c.slot(i)
	if s.meta&slotBusy != 0 {
		s.meta &^= slotOver
		return
	}
	if s.meta&slotOver != 0 || s.meta&(slotPresent|slotInEngine) == 0 {
		c.forget(i)
	}
}

// clearSettled forgets the rows of all runs that are over and were not in the last commit. It comes once in half a segment of time.
func (c *cache[X]) clearSettled() {
	over := c.seg.over()
	if over < c.seg.cleared+c.seg.interval/2 {
		return
	}
	c.seg.cleared = over
	for n := range c.byKey.list {
		for k := 0; ; {
			r := &c.byKey.list[n]
			if k >= int(r.n) {
				break
			}
			b := c.entries(r)
			if entryTime(b, k) >= over {
				break
			}
			if i := entrySlot(b, k); c.slot(i).meta&slotBusy == 0 {
				c.forget(i)
			} else {
				k++
			}
		}
	}
}
