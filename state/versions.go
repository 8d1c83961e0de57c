package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// versions is a versioned store of bytes. nil is a deletion, or no value.
type versions struct {
	name   string
	task   record.TaskID
	engine EngineStore
	rows   *cache[span]
	units  *record.Units

	history, segment int64

	loaded   bool
	time     int64   // largest time of a write, −1 before the first
	stored   int64   // what the engine has of it
	segments []int64 // that may have rows, ascending
	log      putLog

	row, buf, held []byte
	limit          limit
	replays        bool // no batch: segments stay in the engine until the next store
}

func (s *versions) open(env *Env, cfg VersionedConfig) {
	*s = versions{name: env.Engine.Name(), task: env.Task, engine: env.Engine, units: env.Units,
		limit: limit(env.RecordBytes), history: cfg.History, segment: cfg.segment(), held: make([]byte, 0, 64)}
	s.rows = newCache(env.Units, env.Budget, hooks[span]{
		load:   s.engine.Get,
		decode: func(b []byte) (span, int64, error) { return s.rows.mem.put(b), 0, nil },
		encode: func(dst []byte, x *span) ([]byte, error) { return append(dst, s.rows.mem.bytes(*x)...), nil },
		span:   func(x span) span { return x },
	})
}

// load finds out what the engine holds: it may have been restored since the store was opened.
func (s *versions) load() error {
	if s.loaded {
		return nil
	}
	s.time, s.segments = -1, s.segments[:0]
	b, ok, err := s.engine.Get(nil, []byte{rowTime})
	if err != nil {
		return err
	}
	if ok {
		if len(b) != 8 {
			return s.fail("decode value", []byte{rowTime}, fmt.Errorf("%d bytes, want the 8 of a time", len(b)))
		}
		s.time = int64(binary.BigEndian.Uint64(b))
	}
	for from := historyKey(nil, 0, nil); ; {
		it, err := s.engine.Iter(from, []byte{rowHistory + 1}, false)
		if err != nil {
			return err
		}
		segment, ok := int64(0), it.Next()
		if ok && len(it.Key()) >= 9 {
			segment = int64(binary.BigEndian.Uint64(it.Key()[1:]))
		}
		if err := errors.Join(it.Err(), it.Close()); err != nil {
			return err
		}
		if !ok {
			break
		}
		s.segments = append(s.segments, segment)
		from = historyKey(from[:0], segment+1, nil)
	}
	s.stored, s.loaded = s.time, true
	return nil
}

// at returns the row of a key, nil if there is none, and its slot.
func (s *versions) at(row []byte) (i uint32, value []byte, err error) {
	if i, err = s.rows.find(row); err != nil {
		return 0, nil, err
	}
	if sl := s.rows.slot(i); sl.meta&slotPresent != 0 {
		return i, s.rows.mem.bytes(sl.val), nil
	}
	return i, nil, nil
}

func (s *versions) write(i uint32, value []byte) {
	s.rows.write(i, s.rows.mem.put(value), true, 0)
	s.rows.acct.setTotal(s.rows.footprint())
}

// latest returns the last version of a key.
func (s *versions) latest(key []byte) (value []byte, from int64, err error) {
	s.row = latestKey(s.row[:0], key)
	_, value, err = s.at(s.row)
	if err != nil || value == nil {
		return nil, 0, err
	}
	return s.splitLatest(value)
}

func (s *versions) splitLatest(b []byte) (value []byte, from int64, err error) {
	if len(b) < 8 {
		return nil, 0, s.fail("decode value", s.row, fmt.Errorf("%d bytes, too few for a time", len(b)))
	}
	return b[8:], int64(binary.BigEndian.Uint64(b)), nil
}

// in returns the row of a key in a segment.
func (s *versions) in(segment int64, key []byte) (i uint32, h history, err error) {
	s.row = historyKey(s.row[:0], segment, key)
	i, b, err := s.at(s.row)
	if err != nil || b == nil {
		return i, nil, err
	}
	if err := history(b).check(); err != nil {
		return i, nil, s.fail("decode value", s.row, err)
	}
	return i, b, nil
}

func (s *versions) segmentOf(ts int64) int64 { return ts / s.segment }

// live is the first segment that is not forgotten.
func (s *versions) live() int64 { return max(0, s.segmentOf(s.time-s.history)) }

// since returns the segments that may hold versions which ended at ts or later, ascending.
func (s *versions) since(ts int64) []int64 {
	n, _ := slices.BinarySearch(s.segments, max(s.live(), s.segmentOf(ts)))
	return s.segments[n:]
}

// late tells whether a write at ts would come too late (V1).
func (s *versions) late(ts int64) (bool, error) {
	err := s.load()
	return ts < s.time-s.history, err
}

// asOf returns the version that a key had at ts.
func (s *versions) asOf(key []byte, ts int64) (value []byte, from, to int64, err error) {
	late, err := s.late(ts)
	if err != nil {
		return nil, 0, 0, err
	}
	value, from, err = s.latest(key)
	if err != nil || value != nil && from <= ts {
		return value, from, StillValid, err
	}
	if late {
		return nil, 0, 0, nil
	}
	segments := s.since(ts)
	for n := len(segments) - 1; n >= 0; n-- {
		_, h, err := s.in(segments[n], key)
		switch {
		case err != nil:
			return nil, 0, 0, err
		case h == nil || h.begin() > ts:
		case h.end() <= ts:
			return nil, 0, 0, nil
		default:
			at, end := h.find(ts)
			return h.value(at), h.from(at), end, nil
		}
	}
	return nil, 0, 0, nil
}

// between calls f for the versions of a key that were valid at a time from from to to, the newest first.
func (s *versions) between(key []byte, from, to int64, f func(value []byte, begin, end int64) error) error {
	late, err := s.late(to)
	if err != nil {
		return err
	}
	value, begin, err := s.latest(key)
	if err != nil {
		return err
	}
	if value != nil && begin <= to {
		if err := f(value, begin, StillValid); err != nil {
			return err
		}
	}
	if late {
		return nil
	}
	segments := s.since(max(from, 0))
	for n := len(segments) - 1; n >= 0; n-- {
		_, h, err := s.in(segments[n], key)
		if err != nil {
			return err
		}
		if h == nil {
			continue
		}
		end := h.end()
		for at := historyHead; at < len(h); at = h.after(at) {
			begin := h.from(at)
			if v := h.value(at); v != nil && begin <= to && end > from {
				if err := f(v, begin, end); err != nil {
					return err
				}
			}
			end = begin
		}
	}
	return nil
}

// warm says that versions of these keys will be looked up soon.
func (s *versions) warm(keys [][]byte) {
	s.buf = s.buf[:0]
	var rows [WarmMost][]byte
	n := min(len(keys), WarmMost)
	size := 0
	for _, k := range keys[:n] {
		size += len(k) + 1
	}
	s.buf = slices.Grow(s.buf, size)
	for i, k := range keys[:n] {
		at := len(s.buf)
		s.buf = latestKey(s.buf, k)
		rows[i] = s.buf[at:]
	}
	s.rows.warm(rows[:n])
}

func (s *versions) fail(op string, key []byte, err error) error {
	return &CodecError{s.task, s.name, op, append([]byte(nil), key...), err}
}

// located says in which store an error of the engine came up.
func (s *versions) located(op string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := err.(*CodecError); ok {
		return err
	}
	return fmt.Errorf("task %s: store %s: %s: %w", s.task, s.name, op, err)
}
