package state

import "encoding/binary"

// Due tells whether rows may be due: the least time (B8) and a wait are past the stream time.
func (s *UnmatchedStore[K, L, R]) Due(wait, streamTime int64) (bool, error) {
	if err := s.fill(); err != nil {
		return false, err
	}
	return s.least.now != NoTime && s.least.now+wait < streamTime, nil
}

// TakeDue takes the rows off the store whose time and wait are past the stream time, in order. The list is valid until the next
// call.
//
// As Kafka Streams does, it walks through the rows until it has passed a row of each side that is not due.
func (s *UnmatchedStore[K, L, R]) TakeDue(streamTime int64) ([]Unmatched, error) {
	if err := s.fill(); err != nil {
		return nil, err
	}
	s.due, s.gone = s.due[:0], s.gone[:0]
	last, toEnd, err := s.walk(streamTime)
	for _, k := range s.passed {
		s.order.push(k)
	}
	clear(s.passed)
	if s.passed = s.passed[:0]; err != nil {
		return nil, err
	}
	if toEnd {
		last = s.maxTime()
	}
	for _, i := range s.gone {
		s.remove(i)
	}
	s.least.set(last)
	return s.due, nil
}

// walk notes what is due. It returns the time of the row that it came to last, or toEnd where that counts as the last of all. Lots
// that it has passed are out of the heap then.
func (s *UnmatchedStore[K, L, R]) walk(streamTime int64) (last int64, toEnd bool, err error) {
	last = NoTime
	open := [2]bool{}
	for k := s.order.top(); k != nil; k = s.order.top() {
		s.sort(k)
		for n := len(k.rows) - 1; n >= 0; n-- {
			i := k.rows[n]
			key := s.mem.bytes(s.slots[i].key)
			last = k.time
			if open[sideLeft] && open[sideRight] {
				return last, false, nil
			}
			if side := key[8]; last+s.wait[side] >= streamTime {
				open[side] = true
				if s.one {
					return last, true, nil
				}
				continue
			}
			if err := s.noteDue(i, key); err != nil {
				return last, false, err
			}
		}
		s.passed = append(s.passed, s.order.pop())
	}
	return last, false, nil
}

// noteDue adds a row to the list.
func (s *UnmatchedStore[K, L, R]) noteDue(i uint32, key []byte) error {
	val, err := s.value(i, nil)
	if err != nil {
		return err
	}
	u, err := splitUnmatched(key, val)
	if err != nil {
		return s.codec("decode value", key[unmatchedHead:], err)
	}
	s.due, s.gone = append(s.due, u), append(s.gone, i)
	return nil
}

// fill loads the rows and the least time, unless they are there.
func (s *UnmatchedStore[K, L, R]) fill() error {
	if s.loaded {
		return nil
	}
	s.least.now, s.least.stored = NoTime, NoTime
	if err := s.load(); err != nil {
		return err
	}
	if s.least.stored == NoTime {
		s.least.now = s.MinTime()
	}
	return nil
}

// Load fills the store from the engine, unless it has been.
func (s *UnmatchedStore[K, L, R]) Load() error { return s.fill() }

// Freeze is part of [Store].
func (s *UnmatchedStore[K, L, R]) Freeze(b Batch, log Changelog) error {
	if err := s.buffer.Freeze(b, log); err != nil || !s.loaded || s.least.now == s.least.stored {
		return err
	}
	s.least.stored = s.least.now
	return b.Set(s.engine, leastKey, binary.BigEndian.AppendUint64(nil, uint64(s.least.now)))
}

// Reset is part of [Store].
func (s *UnmatchedStore[K, L, R]) Reset() {
	s.least.Undo(0)
	s.buffer.Reset()
}

// Close is part of [Store].
func (s *UnmatchedStore[K, L, R]) Close() error {
	s.Reset()
	return nil
}

// least is the least time of an UnmatchedStore. It is kept in the engine beside the rows.
type least struct {
	undoneTime
	stored int64 // in the engine or the batch of the last freeze; NoTime if there is none
}

// leastKey is where the engine keeps it: too short for the key of a row.
var leastKey = []byte{0}

// row takes the least time from what the engine holds.
func (l *least) row(key, value []byte) bool {
	if string(key) != string(leastKey) || len(value) != 8 {
		return false
	}
	l.now = int64(binary.BigEndian.Uint64(value))
	l.stored = l.now
	return true
}

func (l *least) lower(to int64) { l.set(min(l.now, to)) }
