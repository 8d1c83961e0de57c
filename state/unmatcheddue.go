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
	s.due, s.gone, s.front = s.due[:0], s.gone[:0], s.front[:0]
	last, open := NoTime, [2]bool{}
	if len(s.heap) > 0 {
		s.front = append(s.front, 0)
	}
	for len(s.front) > 0 {
		i := s.heap[s.step()]
		key := s.mem.bytes(s.slots[i].key)
		last = s.slots[i].time
		if open[sideLeft] && open[sideRight] {
			break
		}
		if side := key[8]; last+s.wait[side] >= streamTime {
			open[side] = true
			if s.one {
				last = s.maxTime()
				break
			}
			continue
		}
		if err := s.noteDue(i, key); err != nil {
			return nil, err
		}
	}
	for _, i := range s.gone {
		s.remove(i)
	}
	s.least.set(last)
	return s.due, nil
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

// step takes the place of the next row off the front, a heap of places of the heap: a row's followers stand below it.
func (s *UnmatchedStore[K, L, R]) step() uint32 {
	f := s.front
	at := f[0]
	n := len(f) - 1
	f[0], s.front = f[n], f[:n]
	s.sink()
	first := heapWays*int(at) + 1
	for c := first; c < min(first+heapWays, len(s.heap)); c++ {
		s.front = append(s.front, uint32(c))
		s.swim()
	}
	return at
}

func (s *UnmatchedStore[K, L, R]) before(i, j int) bool {
	return s.less(s.heap[s.front[i]], s.heap[s.front[j]])
}

func (s *UnmatchedStore[K, L, R]) swim() {
	for at := len(s.front) - 1; at > 0; {
		above := (at - 1) / 2
		if !s.before(at, above) {
			return
		}
		s.front[at], s.front[above] = s.front[above], s.front[at]
		at = above
	}
}

func (s *UnmatchedStore[K, L, R]) sink() {
	for at := 0; ; {
		least := at
		for c := 2*at + 1; c < min(2*at+3, len(s.front)); c++ {
			if s.before(c, least) {
				least = c
			}
		}
		if least == at {
			return
		}
		s.front[at], s.front[least] = s.front[least], s.front[at]
		at = least
	}
}

// maxTime is the time of the last row.
func (s *UnmatchedStore[K, L, R]) maxTime() (t int64) {
	for _, i := range s.heap[(len(s.heap)+heapWays-2)/heapWays:] { // those with none below
		t = max(t, s.slots[i].time)
	}
	return t
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
