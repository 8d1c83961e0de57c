package state

import (
	"math"
)

// SessionRow is a session of a key. Times are ms.
type SessionRow[V any] struct {
	Start, End int64
	Value      V
}

// Overlapping appends the sessions that FindOverlapping gives. Values are the caller's, views until the next call. Where the cache knows all of them, which is
// so for a key that is in use, it costs no iterator.
func (t *SessionTable[K, V]) Overlapping(dst []SessionRow[V], k K, earliestEnd, latestStart int64) ([]SessionRow[V], error) {
	b, err := t.inner.Append(t.pbuf[:0], k)
	if err != nil {
		return dst, t.fail("encode key", nil, err)
	}
	t.pbuf = b
	r := timeRange{key: b, from: earliestEnd, to: math.MaxInt64, late: latestStart}
	if !t.seg.clip(&r) {
		return dst, nil
	}
	ids, all, err := t.cold.cached(&r, t.engine)
	if err != nil {
		return dst, err
	}
	if !all {
		return t.overlappingRows(dst, k, earliestEnd, latestStart)
	}
	t.shown = t.shown[:0]
	for _, id := range ids {
		row := SessionRow[V]{Start: int64(id.tail), End: id.time}
		if t.view {
			at := len(t.shown)
			t.shown = append(t.shown, t.enc.mem.bytes(t.enc.slot(id.slot).val)...)
			row.Value, err = t.given.Decode(t.shown[at:len(t.shown):len(t.shown)])
		} else {
			row.Value, _, _, err = t.value(id.slot)
		}
		if err != nil {
			return dst, err
		}
		dst = append(dst, row)
	}
	return dst, nil
}

// overlappingRows does that with an iterator.
func (t *SessionTable[K, V]) overlappingRows(dst []SessionRow[V], k K, earliestEnd, latestStart int64) ([]SessionRow[V], error) {
	rows, err := t.FindOverlapping(k, earliestEnd, latestStart)
	if err != nil {
		return dst, err
	}
	defer rows.Close()
	for rows.Next() {
		w := rows.Key()
		dst = append(dst, SessionRow[V]{w.Start.UnixMilli(), w.End.UnixMilli(), rows.Value()})
	}
	return dst, rows.Err()
}

// place is where a row of a run is.
type place struct {
	time int64
	tail uint64
	slot uint32
}

// cached returns the rows of a key in a range, in their order; all is false if the engine must be read for them, too. They are valid
// until the next call.
func (c *cache[X]) cached(r *timeRange, eng EngineStore) (rows []place, all bool, err error) {
	n := c.claimRun(r.key)
	if err = c.cover(n, r.from, eng); err != nil || r.from < c.byKey.list[n].since {
		return nil, false, err
	}
	rows = c.byKey.places[:0]
	run := &c.byKey.list[n]
	b := c.entries(run)
	for k, end := c.entryFrom(run, r.from), c.entryAfter(run, r.to); k < end; k++ {
		p := place{time: entryTime(b, k), slot: entrySlot(b, k)}
		s := c.slot(p.slot)
		if p.tail = s.tail(); c.seg.kind == KindSession && int64(p.tail) > r.late {
			continue
		}
		if s.meta&slotUnknown != 0 {
			if err = c.fill(p.slot, c.keyOf(s)); err != nil {
				return nil, false, err
			}
		}
		if s.meta&slotPresent != 0 {
			rows = append(rows, p)
		}
	}
	c.byKey.places = rows
	return rows, true, nil
}
