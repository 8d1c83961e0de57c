package state

import (
	"bytes"
	"errors"
	"slices"
	"sort"
)

var errEnded = errors.New("iterator used after its unit ended or after Close")

// scan merges the cache's own entries with the engine's, as they were when it was opened: entries that change afterwards are
// read from the undo log. It ends with its unit.
type scan[X any] struct {
	c       *cache[X]
	runs    [][]uint32 // slots not in the engine, each sorted, what is left in range; may share slots
	eng     Iterator
	head    bool // eng stands on a key
	given   bool // which is the current key
	reverse bool
	start   int            // length of the log at the opening
	seen    int            // log entries below are in was, or older than the scan
	was     map[uint32]int // slots changed since the opening → the first entry that has them as they were
	over    bool           // eng is closed
	ended   bool           // by the end of the unit
	err     error

	// of windows and sessions
	ids    []uint32 // what the cache has of the range
	at     int      // those before it have been passed
	direct bool     // these are all: eng is nil
	age    uint32   // how often it was recycled

	// the current key
	key []byte
	raw []byte // engine value; nil: x, ts are the value
	x   X
	ts  int64
}

// openScan begins a scan over [lower, upper), nil for no bound.
func (c *cache[X]) openScan(eng EngineStore, lower, upper []byte, reverse bool) (*scan[X], error) {
	it, err := eng.Iter(lower, upper, reverse)
	if err != nil {
		return nil, err
	}
	s := &scan[X]{c: c, eng: it, reverse: reverse}
	c.sortRuns()
	for _, run := range c.runs {
		s.addRun(run, lower, upper)
	}
	s.addRun(c.frozen, lower, upper)
	c.begin(s)
	return s, nil
}

// begin puts a scan into the list of those that see the store as it is now.
func (c *cache[X]) begin(s *scan[X]) {
	if len(c.log) == 0 {
		c.units.Touch(c)
	}
	c.log = append(c.log, change[X]{i: openedScan})
	s.start, s.seen = len(c.log), len(c.log)
	c.scans = append(c.scans, s)
	if !s.direct {
		s.step()
	}
}

// compare orders keys as the engine does.
func (c *cache[X]) compare(a, b []byte) int {
	if c.seg != nil {
		return c.seg.compare(a, b)
	}
	return bytes.Compare(a, b)
}

// sortRuns brings the dirty slots that no iterator has seen yet into sorted runs. Each run is more than twice as long as the
// next, so a slot is merged a logarithmic number of times.
func (c *cache[X]) sortRuns() {
	if c.inRuns == len(c.dirty) {
		return
	}
	run := slices.Clone(c.dirty[c.inRuns:])
	c.inRuns = len(c.dirty)
	sortByKey(run, c.keyAt)
	runs := slices.Clone(c.runs)
	for n := len(runs) - 1; n >= 0 && len(runs[n]) <= 2*len(run); n-- {
		run = c.mergeRuns(runs[n], run)
		runs = runs[:n]
	}
	c.runs = append(runs, run)
}

func (c *cache[X]) mergeRuns(a, b []uint32) []uint32 {
	out := make([]uint32, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if bytes.Compare(c.keyAt(a[0]), c.keyAt(b[0])) <= 0 {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// addRun takes the part of a run that is in range.
func (s *scan[X]) addRun(run []uint32, lower, upper []byte) {
	at := func(bound []byte) int {
		return sort.Search(len(run), func(n int) bool {
			return bytes.Compare(s.c.keyAt(run[n]), bound) >= 0
		})
	}
	from, to := 0, len(run)
	if lower != nil {
		from = at(lower)
	}
	if upper != nil {
		to = at(upper)
	}
	if from < to {
		s.runs = append(s.runs, run[from:to])
	}
}

// next goes to the next key that had a value when the scan was opened.
func (s *scan[X]) next() bool {
	if s.over || s.err != nil {
		if s.ended && s.err == nil {
			s.err = errEnded
		}
		return false
	}
	if s.direct {
		return s.nextDirect()
	}
	if s.given {
		s.given = false
		s.step()
	}
	for s.err == nil {
		i, ok := s.minSlot()
		if !ok && !s.head {
			break
		}
		if !ok || s.head && s.order(s.eng.Key(), s.c.keyAt(i)) < 0 {
			s.key, s.raw, s.given = s.eng.Key(), s.eng.Value(), true
			if s.raw == nil {
				s.raw = empty
			}
			return true
		}
		if s.take(i) {
			return true
		}
	}
	s.stop()
	return false
}

// take makes slot i the current one, if it had a value, and passes it in all runs and in the engine.
func (s *scan[X]) take(i uint32) bool {
	key := s.c.keyAt(i)
	for n, run := range s.runs {
		if s.end(run) == i {
			s.pass(n)
		}
	}
	s.runs = slices.DeleteFunc(s.runs, func(run []uint32) bool { return len(run) == 0 })
	if s.head && bytes.Equal(s.eng.Key(), key) {
		s.step()
	}
	meta, x, ts := s.opened(i)
	if meta&slotPresent == 0 {
		return false
	}
	s.key, s.raw, s.x, s.ts = key, nil, x, ts
	return s.err == nil
}

// fewChanges are searched one by one.
const fewChanges = 16

// opened returns a slot as it was at the opening.
func (s *scan[X]) opened(i uint32) (meta uint64, x X, ts int64) {
	if s.was == nil && len(s.c.log)-s.start <= fewChanges {
		for n := s.start; n < len(s.c.log); n++ {
			if ch := &s.c.log[n]; ch.i == i {
				return ch.meta, ch.val, ch.ts
			}
		}
		sl := s.c.slot(i)
		return sl.meta, sl.val, sl.ts
	}
	for ; s.seen < len(s.c.log); s.seen++ {
		j := s.c.log[s.seen].i
		if _, ok := s.was[j]; ok || j == openedScan {
			continue
		}
		if s.was == nil {
			s.was = make(map[uint32]int)
		}
		s.was[j] = s.seen
	}
	if at, ok := s.was[i]; ok {
		ch := &s.c.log[at]
		return ch.meta, ch.val, ch.ts
	}
	sl := s.c.slot(i)
	return sl.meta, sl.val, sl.ts
}

// undone forgets the log entries from mark on: their slots are again what they were.
func (s *scan[X]) undone(mark int) {
	if s.seen <= mark {
		return
	}
	s.seen = mark
	for i, at := range s.was {
		if at >= mark {
			delete(s.was, i)
		}
	}
}

// minSlot returns the slot with the next key.
func (s *scan[X]) minSlot() (i uint32, ok bool) {
	for _, run := range s.runs {
		j := s.end(run)
		if !ok || j != i && s.order(s.c.keyAt(j), s.c.keyAt(i)) < 0 {
			i, ok = j, true
		}
	}
	return i, ok
}

// end is the slot of a run that comes next.
func (s *scan[X]) end(run []uint32) uint32 {
	if s.reverse {
		return run[len(run)-1]
	}
	return run[0]
}

func (s *scan[X]) pass(n int) {
	if s.reverse {
		s.runs[n] = s.runs[n][:len(s.runs[n])-1]
	} else {
		s.runs[n] = s.runs[n][1:]
	}
}

func (s *scan[X]) order(a, b []byte) int {
	if s.reverse {
		a, b = b, a
	}
	return s.c.compare(a, b)
}

// step moves the engine's iterator.
func (s *scan[X]) step() {
	if s.head = s.eng.Next(); !s.head {
		s.err = s.eng.Err()
	}
}

// stop closes the engine's iterator. The scan stays in the list until its unit ends.
func (s *scan[X]) stop() {
	if s.over {
		return
	}
	s.over, s.head, s.runs = true, false, s.runs[:0]
	if s.eng == nil {
		return
	}
	if err := s.eng.Close(); s.err == nil {
		s.err = err
	}
}

// endScan ends the scan that was opened last.
func (c *cache[X]) endScan() {
	n := len(c.scans) - 1
	s := c.scans[n]
	c.scans[n] = nil
	c.scans = c.scans[:n]
	s.ended = !s.over
	s.stop()
	if c.seg != nil {
		c.recycle(s)
	}
}
