package state

import (
	"bytes"
	"slices"
)

// keepCursors is how many cursors a store keeps for units to come.
const keepCursors = 16

// cursor returns a cursor. One that a unit has had is used again after it.
func (c *core[K, V]) cursor() *Cursor[K, V] {
	if n := c.cold.ended(); n != c.epoch {
		c.epoch, c.inUse = n, 0
	}
	if c.inUse < len(c.curs) {
		cur := c.curs[c.inUse]
		c.inUse++
		*cur = Cursor[K, V]{core: c, held: cur.held[:0]}
		return cur
	}
	cur := &Cursor[K, V]{core: c}
	if len(c.curs) < keepCursors {
		c.curs = append(c.curs, cur)
		c.inUse++
	}
	return cur
}

// inRange iterates over the rows of a range, in the order of the engine.
func (c *core[K, V]) inRange(r timeRange, reverse bool) (cur *Cursor[K, V], err error) {
	if !c.seg.clip(&r) {
		return &c.none, nil // no cursor of the unit: the unit may leave no trace in the cache
	}
	cur = c.cursor()
	if c.dec != nil {
		if cur.dec, err = c.dec.openRange(c.engine, r, reverse); err == nil {
			cur.age = cur.dec.age
		}
	} else if cur.enc, err = c.enc.openRange(c.engine, r, reverse); err == nil {
		cur.age = cur.enc.age
	}
	if err != nil {
		return nil, err
	}
	return cur, nil
}

// ofKey is inRange over one key, which need not be decoded. span sets the times of a key.
func (c *core[K, V]) ofKey(k K, span func(k *K, key []byte), r timeRange, reverse bool) (*Cursor[K, V], error) {
	cur, err := c.inRange(r, reverse)
	if err == nil && cur != &c.none {
		cur.key, cur.span = k, span
	}
	return cur, err
}

// byTime gives rows by the suffixes of their keys, then by the keys themselves. It holds those of one segment at a time, in
// which the rows of a scan are by key.
type byTime[K, V any] struct {
	from  *Cursor[K, V]
	row   timed[K, V] // read last
	ahead bool        // it is of the segment that comes next
	rows  []timed[K, V]
	at    int
}

type timed[K, V any] struct {
	bytes []byte
	key   K
	raw   []byte // the value as it is kept, if it cannot be read
	value V
	time  int64
	err   error // why key or value cannot be read
}

func (c *core[K, V]) byTime(from, to int64) (*Cursor[K, V], error) {
	r := timeRange{from: from, to: to, hidden: true}
	if !c.seg.clip(&r) {
		return &c.none, nil
	}
	if c.seg.byTime && r.from >= c.seg.known {
		return c.due(&r), nil
	}
	src, err := c.inRange(r, false)
	if err != nil || src == &c.none {
		return src, err
	}
	cur := c.cursor()
	cur.byAt = &byTime[K, V]{from: src}
	return cur, nil
}

// due is byTime where the cache has all rows.
func (c *core[K, V]) due(r *timeRange) *Cursor[K, V] {
	cur := Cursor[K, V]{core: c}
	if c.dec != nil {
		if cur.dec = c.dec.openDue(r); cur.dec == nil {
			return &c.none
		}
		cur.age = cur.dec.age
	} else {
		if cur.enc = c.enc.openDue(r); cur.enc == nil {
			return &c.none
		}
		cur.age = cur.enc.age
	}
	kept := c.cursor()
	cur.held = kept.held
	*kept = cur
	return kept
}

func (cur *Cursor[K, V]) nextByTime() bool {
	b := cur.byAt
	if b.at == len(b.rows) && !cur.nextSegment() {
		return false
	}
	row := &b.rows[b.at]
	b.at++
	cur.key, cur.value, cur.time, cur.err = row.key, row.value, row.time, row.err
	return row.err == nil
}

// nextSegment collects and sorts the rows of the next segment.
func (cur *Cursor[K, V]) nextSegment() bool {
	b, g := cur.byAt, cur.core.seg
	b.rows, b.at = b.rows[:0], 0
	segment := int64(-1)
	for b.ahead || b.read() {
		in := g.segment(g.timeOf(b.row.bytes))
		if b.ahead = segment >= 0 && in != segment; b.ahead {
			break
		}
		segment = in
		b.rows = append(b.rows, b.row)
	}
	if cur.err = b.from.err; cur.err != nil {
		return false
	}
	slices.SortFunc(b.rows, func(x, y timed[K, V]) int { return g.byTimes(x.bytes, y.bytes) })
	return len(b.rows) > 0
}

// read reads a row, or finds out that it cannot be read.
func (b *byTime[K, V]) read() bool {
	ok := b.from.Next()
	b.row = timed[K, V]{err: b.from.err}
	if !ok {
		if !b.from.Skip() {
			return false
		}
		_, raw := b.from.Raw()
		b.row.raw = bytes.Clone(raw)
	}
	b.row.bytes, b.row.key, b.row.value, b.row.time = bytes.Clone(b.from.bytes()), b.from.key, b.from.value, b.from.time
	return true
}
