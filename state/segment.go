package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/oxbow-streams/oxbow/internal/invariant"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// A window or session store keeps its rows by segments, each a stretch of time, so that what has expired is a range of the
// engine. Its keys have three forms:
//
//	user's key            key
//	cache, changelog      key + 8 start + 4 sequence number, or key + 8 end + 8 start: Kafka Streams' bytes
//	engine, a row         8 segment + what the changelog has
//	engine, the clock     0 + as many zeroes as the suffix of the kind has; its value is the store's stream time
//
// The time of a row is that in its first 8 bytes of suffix: a window's start, a session's end. Times are not negative. A row
// is visible as long as its time is later than stream time - retention. Rows that are not visible are dropped by whole
// segments, in the batch of a commit.
type segments struct {
	kind      Kind
	suffix    int   // how many bytes of a key say its times
	size      int64 // of windows
	retention int64
	interval  int64 // length of a segment
	byTime    bool  // rows are asked for by time

	clock   observed
	hold    observed // byTime: rows from this time on are kept, visible or not
	known   int64    // of all keys: rows from this time on are in the cache, if they are anywhere
	dropped int64    // segments below this one are gone from cache and engine
	swept   int64    // rows before this time have left the cache, as far as they were not dirty or to be sent on
	settled int64    // rows before this are not expected to be written any more
	cleared int64    // what settled was when the runs were last cleared of such rows
	at      int64    // time of the row found last
	found   uint32   // its slot: kept only where invariants are checked
	void    uint32   // the slot that stands for rows that are not visible: in no index, never written
	ebuf    []byte
}

// minInterval is the shortest segment, ms; a longer retention is cut in half.
const minInterval = 60_000

func newSegments(kind Kind, size, retention int64, byTime bool) *segments {
	return &segments{kind: kind, suffix: kind.SuffixLen(), size: size, retention: retention, interval: max(retention/2, minInterval),
		byTime: byTime}
}

// timeOf returns the time of a row by its key in cache or engine.
func (g *segments) timeOf(key []byte) int64 {
	return int64(binary.BigEndian.Uint64(key[len(key)-g.suffix:]))
}

func (g *segments) segment(time int64) int64 { return max(time, 0) / g.interval }

// oldest is the least time of a visible row.
func (g *segments) oldest() int64 { return max(g.clock.now-g.retention+1, 0) }

// appendEngineKey appends the engine's key of a row.
func (g *segments) appendEngineKey(dst, key []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(g.segment(g.timeOf(key))))
	return append(dst, key...)
}

const segmentLen = 8

// storeKey returns a row's key in cache and changelog; ok is false if the engine's key is not that of a row.
func (g *segments) storeKey(key []byte) (k []byte, ok bool) {
	if len(key) < segmentLen+g.suffix {
		return nil, false
	}
	return key[segmentLen:], true
}

// segmentStart is a bound below all rows of a segment, and above those of the ones before.
func (g *segments) segmentStart(segment int64) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(segment))
	return append(b, make([]byte, g.suffix)...)
}

// clockKey is the engine's key of the store's stream time. It comes before all rows.
func (g *segments) clockKey() []byte { return make([]byte, g.suffix) }

// compare orders rows as the engine does, by their keys in the cache.
func (g *segments) compare(a, b []byte) int {
	sa, sb := g.segment(g.timeOf(a)), g.segment(g.timeOf(b))
	if sa != sb {
		if sa < sb {
			return -1
		}
		return 1
	}
	return g.kind.Compare(a, b)
}

// open makes the clocks of a store, at what its engine holds.
func (g *segments) open(env *Env) error {
	g.clock = observed{undoneTime{units: env.Units, now: -1}, -1, -1}
	g.hold = g.clock
	return g.load(env.Task, env.Engine)
}

// load reads the stream time that the engine holds.
func (g *segments) load(task record.TaskID, store EngineStore) error {
	now, err := g.stored(store)
	if err != nil {
		return fmt.Errorf("task %s: store %s: %w", task, store.Name(), err)
	}
	g.clock.now, g.clock.frozen, g.clock.stored = now, now, now
	g.known = now + 1
	return nil
}

// stored returns the stream time that the engine holds, -1 if it holds none.
func (g *segments) stored(store EngineStore) (int64, error) {
	b, ok, err := store.Get(nil, g.clockKey())
	if err != nil || !ok {
		return -1, err
	}
	if len(b) != 8 {
		return -1, fmt.Errorf("the stream time that it keeps has %d bytes, not 8", len(b))
	}
	return int64(binary.BigEndian.Uint64(b)), nil
}

// live is the first segment that must be kept.
func (g *segments) live() int64 {
	least := g.clock.now - g.retention
	if g.byTime {
		least = min(least, g.hold.now)
	}
	return g.segment(least)
}

// freeze writes the stream time to the batch and drops from the engine what has expired.
func (g *segments) freeze(f *freezing) error {
	if g.clock.now != g.clock.stored {
		if err := f.batch.Set(f.store, g.clockKey(), binary.BigEndian.AppendUint64(nil, uint64(g.clock.now))); err != nil {
			return err
		}
	}
	g.clock.frozen = g.clock.now
	if live := g.live(); live > g.dropped {
		g.dropped = live
		return f.batch.DeleteRange(f.store, g.segmentStart(0), g.segmentStart(live))
	}
	return nil
}

// sweep tells from which time on the cache must keep rows, by the stream time of the last freeze: a step back takes the whole cache
// with it. It is due when a good part of what is kept has expired since it was due last.
func (g *segments) sweep() (least int64, due bool) {
	least = g.clock.frozen - g.retention + 1
	if g.byTime {
		least = min(least, g.hold.now)
	}
	if due = least-g.swept >= max(g.retention/4, 1); due {
		g.swept = least
	}
	return least, due
}

func (g *segments) applied() { g.clock.stored = g.clock.frozen }

// reset makes the clock what the engine has.
func (g *segments) reset() {
	g.clock.Undo(0)
	g.hold.Undo(0)
	g.known = max(g.known, g.clock.frozen+1) // what became of the last batch is not known
	g.settled, g.cleared, g.swept = 0, 0, 0
	g.clock.now, g.clock.frozen, g.dropped, g.hold.now = g.clock.stored, g.clock.stored, 0, -1
}

// writes tells whether the row that was found last may be written; a row that is not visible may not. It advances stream time.
func (g *segments) writes(i uint32) bool {
	if i == g.void {
		return false
	}
	if invariant.Enabled {
		invariant.Check(g.found == i, "slot %d is written, but the row found last is that of slot %d", i, g.found)
	}
	g.clock.advance(g.at)
	return true
}

// visible notes the time of a row that is looked for.
func (g *segments) visible(key []byte) bool {
	g.at = g.timeOf(key)
	return g.at >= g.oldest()
}

// changelogRow returns a function that turns a changelog record into a row of the engine.
func (g *segments) changelogRow(timestamped bool) func(dst []byte, r record.Raw) (key, value []byte, err error) {
	n := g.suffix
	return func(dst []byte, r record.Raw) (key, value []byte, err error) {
		if len(r.Key) < n {
			return nil, nil, fmt.Errorf("the key %x has %d bytes: keys of %s stores end in a suffix of %d bytes", r.Key, len(r.Key),
				g.kind, n)
		}
		if g.timeOf(r.Key) < 0 {
			return nil, nil, fmt.Errorf("the key %x has a time before 1970", r.Key)
		}
		dst = g.appendEngineKey(dst[:0], r.Key)
		if r.Value == nil {
			return dst, nil, nil
		}
		at := len(dst)
		if timestamped {
			dst = binary.BigEndian.AppendUint64(dst, uint64(r.Time))
		}
		dst = append(dst, r.Value...)
		return dst[:at:at], dst[at:], nil
	}
}

// timeRange is a range of rows by time, of one key or of all.
type timeRange struct {
	key      []byte // of the user; nil: all
	from, to int64  // times, inclusive
	late     int64  // sessions of one key: those that start later are left out
	hidden   bool   // also rows that are not visible any more
}

// clip takes what is not there off a range. ok is false if nothing is left.
func (g *segments) clip(r *timeRange) (ok bool) {
	if r.from = max(r.from, 0); !r.hidden {
		r.from = max(r.from, g.oldest())
	}
	r.to = min(r.to, g.clock.now)
	return r.from <= r.to
}

// has tells whether a row of the cache is in range.
func (g *segments) has(r *timeRange, key []byte) bool {
	if !g.inTime(r, key) {
		return false
	}
	return r.key == nil || bytes.Equal(key[:len(key)-g.suffix], r.key)
}

// inTime tells whether the times of a row, by its key in cache or engine, are in range.
func (g *segments) inTime(r *timeRange, key []byte) bool {
	if t := g.timeOf(key); t < r.from || t > r.to {
		return false
	}
	return g.kind != KindSession || r.key == nil || int64(binary.BigEndian.Uint64(key[len(key)-8:])) <= r.late
}

// engineIter iterates over the engine's rows in a range. Keys are those of the cache.
func (g *segments) engineIter(eng EngineStore, r timeRange, reverse bool) Iterator {
	return &segmentIter{g: g, eng: eng, rng: r, reverse: reverse, first: g.segment(r.from), last: g.segment(r.to)}
}

// segmentIter goes through the segments of a range, with an iterator of the engine for each if it is of one key, and with one
// for all of them if it is of all keys. They are opened when they are needed: nothing is committed within a unit.
type segmentIter struct {
	g           *segments
	eng         EngineStore
	rng         timeRange
	reverse     bool
	first, last int64 // segments that are left
	it          Iterator
	err         error
	closed      bool
}

// open opens the iterator of the next segment; ok is false if none is left.
func (s *segmentIter) open() (ok bool) {
	if s.first > s.last {
		return false
	}
	var lower, upper []byte
	if s.rng.key == nil {
		lower, upper = s.g.segmentStart(s.first), s.g.segmentStart(s.last+1)
		s.first = s.last + 1
	} else {
		seg := s.first
		if s.reverse {
			seg = s.last
			s.last--
		} else {
			s.first++
		}
		lower, upper = s.bound(seg, s.rng.from, 0), s.bound(seg, s.rng.to, 0xff)
	}
	s.it, s.err = s.eng.Iter(lower, upper, s.reverse)
	return s.err == nil
}

// bound is a bound within a segment for the range's key. Suffixes that begin with a time end in fill.
func (s *segmentIter) bound(segment, time int64, fill byte) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(segment))
	b = append(b, s.rng.key...)
	b = binary.BigEndian.AppendUint64(b, uint64(time))
	return append(b, bytes.Repeat([]byte{fill}, s.g.suffix-8)...)
}

func (s *segmentIter) Next() bool {
	for !s.closed && s.err == nil {
		if s.it == nil && !s.open() {
			return false
		}
		for s.it.Next() {
			if s.g.inTime(&s.rng, s.it.Key()) {
				return true
			}
		}
		s.err = s.end()
	}
	return false
}

// end closes the iterator of a segment.
func (s *segmentIter) end() error {
	if s.it == nil {
		return nil
	}
	err := s.it.Err()
	if cerr := s.it.Close(); err == nil {
		err = cerr
	}
	s.it = nil
	return err
}

func (s *segmentIter) Key() []byte   { return s.it.Key()[segmentLen:] }
func (s *segmentIter) Value() []byte { return s.it.Value() }
func (s *segmentIter) Err() error    { return s.err }

func (s *segmentIter) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	return s.end()
}

// changelogConfig is the configuration of a window or session store's changelog, as Kafka Streams makes it: rows are deleted by
// the broker a day after they have expired.
func changelogConfig(retention int64) map[string]string {
	const additional = 24 * 60 * 60 * 1000
	if retention > math.MaxInt64-additional {
		retention = math.MaxInt64 - additional
	}
	return map[string]string{"cleanup.policy": "compact,delete", "retention.ms": fmt.Sprint(retention + additional)}
}

// restoredClock is the stream time of a store that is restored: the latest time of its rows, and of what the engine has.
type restoredClock struct {
	g      *segments
	now    int64
	loaded bool
}

// add gives the stream time to the engine, ahead of all rows.
func (c *restoredClock) add(store EngineStore, in Ingester) error {
	if !c.loaded {
		now, err := c.g.stored(store)
		if err != nil {
			return err
		}
		c.now, c.loaded = max(c.now, now), true
	}
	if c.now < 0 {
		return nil
	}
	return in.Add(c.g.clockKey(), binary.BigEndian.AppendUint64(nil, uint64(c.now)))
}
