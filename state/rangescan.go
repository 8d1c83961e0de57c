package state

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
)

const maxTime = math.MaxInt64

// openRange begins a scan over the rows of a range. Where the cache knows all rows of a key the engine is not asked.
func (c *cache[X]) openRange(eng EngineStore, r timeRange, reverse bool) (*scan[X], error) {
	s := c.newScan(reverse)
	if r.key == nil {
		c.openAll(s, eng, r)
		c.begin(s)
		return s, nil
	}
	n := c.claimRun(r.key)
	err := c.cover(n, r.from, eng)
	if err == nil {
		s.ids, err = c.collect(s.ids[:0], n, &r)
	}
	if err != nil {
		c.pool = append(c.pool, s)
		return nil, err
	}
	if known := c.byKey.list[n].since; r.from >= known {
		s.direct = true
	} else {
		r.key, r.to = slices.Clone(r.key), min(r.to, known-1)
		s.eng = c.seg.engineIter(eng, r, reverse)
		if len(s.ids) > 0 {
			s.runs = append(s.runs, s.ids)
		}
	}
	c.begin(s)
	return s, nil
}

// openAll merges the engine's rows with those that it lacks.
func (c *cache[X]) openAll(s *scan[X], eng EngineStore, r timeRange) {
	s.eng, s.ids = c.seg.engineIter(eng, r, s.reverse), s.ids[:0]
	if c.seg.byTime && r.hidden {
		s.ids = slices.DeleteFunc(c.collectDue(s.ids, &r), func(i uint32) bool { return c.slot(i).meta&(slotDirty|slotPinned) == 0 })
	} else {
		for _, slots := range [][]uint32{c.dirty, c.frozen} {
			for _, i := range slots {
				if c.seg.has(&r, c.keyAt(i)) {
					s.ids = append(s.ids, i)
				}
			}
		}
	}
	slices.SortFunc(s.ids, func(a, b uint32) int { return c.seg.compare(c.keyAt(a), c.keyAt(b)) })
	if s.ids = slices.Compact(s.ids); len(s.ids) > 0 {
		s.runs = append(s.runs, s.ids)
	}
}

// keepScans is how many scans are kept for units to come.
const keepScans = 16

// newScan returns a scan that is not open yet.
func (c *cache[X]) newScan(reverse bool) *scan[X] {
	if n := len(c.pool) - 1; n >= 0 {
		s := c.pool[n]
		c.pool = c.pool[:n]
		s.reverse = reverse
		return s
	}
	return &scan[X]{c: c, reverse: reverse}
}

// recycle keeps a scan that has ended.
func (c *cache[X]) recycle(s *scan[X]) {
	if len(c.pool) >= keepScans || cap(s.ids) > 1<<12 {
		return
	}
	clear(s.runs[:cap(s.runs)])
	*s = scan[X]{c: c, ids: s.ids[:0], runs: s.runs[:0], age: s.age + 1}
	c.pool = append(c.pool, s)
}

// nextDirect is next where all that there is, is in the cache.
func (s *scan[X]) nextDirect() bool {
	for s.at < len(s.ids) {
		k := s.at
		if s.reverse {
			k = len(s.ids) - 1 - k
		}
		i := s.ids[k]
		s.at++
		meta, x, ts := s.opened(i)
		if meta&slotPresent != 0 {
			s.key, s.raw, s.x, s.ts = s.c.keyAt(i), nil, x, ts
			return true
		}
	}
	s.stop()
	return false
}

// ended tells how many units have ended that used the cache.
func (c *cache[X]) ended() uint64 { return c.epoch }

// nextSeq returns the number of the next duplicate of a key at a time.
func (c *cache[X]) nextSeq(key []byte, time int64, eng EngineStore) (seq uint32, err error) {
	n := c.claimRun(key)
	if err := c.cover(n, time, eng); err != nil {
		return 0, err
	}
	r := &c.byKey.list[n]
	b := c.entries(r)
	for k := c.entryAfter(r, time) - 1; k >= 0 && entryTime(b, k) == time; k-- {
		if s := c.slot(entrySlot(b, k)); s.meta&slotPresent != 0 {
			seq = nextAfter(c.keyOf(s))
			break
		}
	}
	if time >= r.since {
		return seq, nil
	}
	// There are more rows after that time than are kept in the cache at once: of those at it, it may have some.
	it := c.seg.engineIter(eng, timeRange{key: key, from: time, to: time}, true)
	if it.Next() {
		seq = max(seq, nextAfter(it.Key()))
	}
	return seq, errors.Join(it.Err(), it.Close())
}

func nextAfter(key []byte) uint32 { return binary.BigEndian.Uint32(key[len(key)-4:]) + 1 }
