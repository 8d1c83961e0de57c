package state

import (
	"bytes"
	"cmp"
	"slices"
)

// Stores that are asked by time know in memory which rows they have at which time, so that a record which moves stream time on
// costs no scan: neither of what is dirty nor of the engine.

// dueRow says that a slot had a row at a time when it was put there. A slot that has another one by now is passed over.
type dueRow struct {
	time int64
	slot uint32
}

// dueRows is a heap: the earliest row comes first.
type dueRows []dueRow

func (h *dueRows) push(r dueRow) {
	q := append(*h, r)
	k := len(q) - 1
	for k > 0 {
		up := (k - 1) / 2
		if q[up].time <= q[k].time {
			break
		}
		q[up], q[k] = q[k], q[up]
		k = up
	}
	*h = q
}

func (h *dueRows) pop() {
	q := *h
	n := len(q) - 1
	q[0] = q[n]
	q = q[:n]
	for k := 0; ; {
		down := 2*k + 1
		if down >= n {
			break
		}
		if down+1 < n && q[down+1].time < q[down].time {
			down++
		}
		if q[k].time <= q[down].time {
			break
		}
		q[k], q[down] = q[down], q[k]
		k = down
	}
	*h = q
}

// collectDue appends the slots of the rows in a range of time, each once, in the order of slots. Rows before those that are held
// will not be asked for again: they are given up first, unless what holds the others may yet be undone.
func (c *cache[X]) collectDue(dst []uint32, r *timeRange) []uint32 {
	if hold := &c.seg.hold; len(hold.log) == 0 {
		for len(c.byKey.due) > 0 && c.byKey.due[0].time < hold.now {
			c.byKey.due.pop()
		}
	}
	dst = c.dueFrom(dst, 0, r)
	slices.Sort(dst)
	return slices.Compact(dst)
}

// dueFrom does that for a part of the heap.
func (c *cache[X]) dueFrom(dst []uint32, at int, r *timeRange) []uint32 {
	due := c.byKey.due
	if at >= len(due) || due[at].time > r.to {
		return dst
	}
	if d := due[at]; d.time >= r.from {
		if s := c.slot(d.slot); s.meta&slotUsed != 0 && c.seg.timeOf(c.keyOf(s)) == d.time {
			dst = append(dst, d.slot)
		}
	}
	return c.dueFrom(c.dueFrom(dst, 2*at+1, r), 2*at+2, r)
}

// openDue begins a scan over the rows in a range of time, all of which are cached: by their times, then by key. nil: there are none.
func (c *cache[X]) openDue(r *timeRange) *scan[X] {
	s := c.newScan(false)
	if s.ids = c.collectDue(s.ids[:0], r); len(s.ids) == 0 {
		c.pool = append(c.pool, s)
		return nil
	}
	slices.SortFunc(s.ids, func(a, b uint32) int { return c.seg.byTimes(c.keyAt(a), c.keyAt(b)) })
	s.direct = true
	c.begin(s)
	return s
}

// byTimes orders rows by their times, then by the user's keys.
func (g *segments) byTimes(a, b []byte) int {
	ka, kb := len(a)-g.suffix, len(b)-g.suffix
	return cmp.Or(bytes.Compare(a[ka:], b[kb:]), bytes.Compare(a[:ka], b[:kb]))
}
