package state

import (
	"encoding/binary"
	"slices"
)

// put writes a version; a nil value is a deletion.
//
// The versions of a key are searched from the newest on: the one that is valid at ts ends there from now on, and the new one
// takes its end. to is that end as far as it is known: the begin of the oldest version that is newer than ts.
func (s *versions) put(key, value []byte, ts int64) (to int64, written bool, err error) {
	late, err := s.late(ts)
	if err != nil || late {
		return 0, false, err
	}
	if err := s.limit.check(s.task, s.name, key, len(value)); err != nil {
		return 0, false, err
	}
	s.log.add(s, key, value, ts)
	s.time = max(s.time, ts)
	to, done, err := s.putLatest(key, value, ts)
	if err != nil || done {
		return to, err == nil, err
	}
	segments := s.since(ts)
	for n := len(segments) - 1; n >= 0; n-- {
		segment := segments[n]
		i, h, err := s.in(segment, key)
		if err != nil {
			return 0, false, err
		}
		if h == nil {
			continue
		}
		if h.end() <= ts {
			break
		}
		if h.begin() <= ts {
			to, err = s.putBetween(segment, i, h, key, value, ts)
			return to, err == nil, err
		}
		to = h.begin()
	}
	if to == StillValid {
		return to, true, s.putLast(key, value, ts)
	}
	return to, true, s.putBefore(key, value, ts, to)
}

// putLatest looks at the last version; done is false if it begins after ts, or if there is none.
func (s *versions) putLatest(key, value []byte, ts int64) (to int64, done bool, err error) {
	s.row = latestKey(s.row[:0], key)
	i, b, err := s.at(s.row)
	if err != nil || b == nil {
		return StillValid, false, err
	}
	was, from, err := s.splitLatest(b)
	if err != nil {
		return 0, false, err
	}
	if ts < from {
		return from, false, nil
	}
	s.held = append(s.held[:0], was...) // the next look-up may take the row's place
	s.setLatest(i, value, ts)
	if ts > from {
		err = s.end(key, s.held, from, ts)
	}
	return StillValid, true, err
}

func (s *versions) setLatest(i uint32, value []byte, ts int64) {
	if value == nil {
		s.rows.write(i, span{}, false, ts)
		return
	}
	s.buf = binary.BigEndian.AppendUint64(s.buf[:0], uint64(ts))
	s.buf = append(s.buf, value...)
	s.write(i, s.buf)
}

// end moves a version that ends at to into the segment of that time, as the newest there.
func (s *versions) end(key, value []byte, from, to int64) error {
	segment := s.segmentOf(to)
	i, h, err := s.in(segment, key)
	if err != nil {
		return err
	}
	if h == nil {
		s.add(segment)
		s.buf = newHistory(s.buf[:0], from, to, value)
	} else {
		s.buf = h.addNewest(s.buf[:0], from, to, value)
	}
	s.write(i, s.buf)
	return nil
}

// putBetween writes a version whose time lies between begin and end of a segment's row.
func (s *versions) putBetween(segment int64, i uint32, h history, key, value []byte, ts int64) (to int64, err error) {
	at, to := h.find(ts)
	from := h.from(at)
	switch {
	case from == ts:
		s.buf = h.splice(s.buf[:0], at, h.after(at), ts, value)
	case s.segmentOf(ts) != segment:
		// The version that ends now moves to the segment of its new end.
		var was []byte
		if v := h.value(at); v != nil {
			s.held = append(s.held[:0], v...)
			was = s.held
		}
		s.buf = h.splice(s.buf[:0], at, h.after(at), ts, value)
		s.write(i, s.buf)
		return to, s.end(key, was, from, ts)
	default:
		s.buf = h.splice(s.buf[:0], at, at, ts, value)
	}
	s.write(i, s.buf)
	return to, nil
}

// putLast writes a version after all others, where the last one was a deletion, or the first of its key.
func (s *versions) putLast(key, value []byte, ts int64) error {
	if value != nil {
		s.row = latestKey(s.row[:0], key)
		i, err := s.rows.find(s.row)
		if err != nil {
			return err
		}
		s.setLatest(i, value, ts)
		return nil
	}
	segment := s.segmentOf(ts)
	i, h, err := s.in(segment, key)
	switch {
	case err != nil:
		return err
	case h == nil:
		s.add(segment)
		s.buf = newHistory(s.buf[:0], ts, ts, nil)
	case h.end() == ts:
		return nil // it has been deleted then already
	default:
		s.buf = h.addNewest(s.buf[:0], h.end(), ts, nil)
	}
	s.write(i, s.buf)
	return nil
}

// putBefore writes a version that ends at to, where no segment's row reaches from before ts to after it.
func (s *versions) putBefore(key, value []byte, ts, to int64) error {
	segment := s.segmentOf(to)
	i, h, err := s.in(segment, key)
	switch {
	case err != nil:
		return err
	case h == nil:
		s.add(segment)
		s.buf = newHistory(s.buf[:0], ts, to, value)
	case h.end() <= ts:
		s.buf = h.addNewest(s.buf[:0], ts, to, value)
	default:
		s.buf = h.addOldest(s.buf[:0], ts, value)
	}
	s.write(i, s.buf)
	return nil
}

// add says that a segment has rows. It is not undone: a segment without rows does no harm.
func (s *versions) add(segment int64) {
	if n, ok := slices.BinarySearch(s.segments, segment); !ok {
		s.segments = slices.Insert(s.segments, n, segment)
	}
}
