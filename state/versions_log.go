package state

import (
	"encoding/binary"
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// putLog keeps the writes of a versioned store for its changelog, and how to take them back.
type putLog struct {
	puts    []logged
	mem     arena
	bytes   int64
	changes []timeBefore
}

// logged is a write: key and value in one span.
type logged struct {
	at   span
	klen uint32
	gone bool
	ts   int64
}

// timeBefore is an entry of the undo log: the store's time before a write.
type timeBefore struct{ time int64 }

// add notes a write that follows. The rows have an undo log of their own.
func (l *putLog) add(s *versions, key, value []byte, ts int64) {
	if len(l.changes) == 0 {
		s.units.Touch(s)
	}
	l.changes = append(l.changes, timeBefore{s.time})
	at := l.mem.reserve(uint32(len(key) + len(value)))
	b := l.mem.bytes(at)
	copy(b[copy(b, key):], value)
	l.puts = append(l.puts, logged{at, uint32(len(key)), value == nil, ts})
	l.count(s, int64(at.n)+loggedCost)
}

// count adds bytes to what waits for the next commit.
func (l *putLog) count(s *versions, n int64) {
	l.bytes += n
	s.rows.acct.addDirty(n)
}

const loggedCost = 32

// Mark is part of [record.Undoer].
func (s *versions) Mark() int { return len(s.log.changes) }

// Undo is part of [record.Undoer].
func (s *versions) Undo(mark int) {
	l := &s.log
	for n := len(l.changes) - 1; n >= mark; n-- {
		s.time = l.changes[n].time
		last := len(l.puts) - 1
		l.count(s, -int64(l.puts[last].at.n)-loggedCost)
		l.mem.release(l.puts[last].at)
		l.puts = l.puts[:last]
	}
	l.changes = l.changes[:mark]
}

// Release is part of [record.Undoer].
func (s *versions) Release() { s.log.changes = s.log.changes[:0] }

// Name returns the name of the store.
func (s *versions) Name() string { return s.name }

// Warm is [Table.Warm].
func (s *versions) Warm(keys [][]byte) { s.warm(keys) }

// DirtyBytes is part of [Store].
func (s *versions) DirtyBytes() int { return int(s.rows.dirtyBytes()) }

// Freeze is part of [Store].
func (s *versions) Freeze(b Batch, log Changelog) error {
	s.log.count(s, -s.log.bytes)
	err := s.rows.freeze(&freezing{store: s.engine, batch: b, buf: s.buf[:0]})
	if err == nil {
		err = s.freezeTime(b)
	}
	if err == nil && log != nil {
		err = s.log.write(log)
	}
	if err != nil {
		return fmt.Errorf("task %s: store %s: freeze: %w", s.task, s.name, err)
	}
	s.log.puts = s.log.puts[:0]
	s.log.mem.clear()
	return nil
}

// freezeTime stores the time of the store, and takes the segments out of the engine that it has left behind.
func (s *versions) freezeTime(b Batch) error {
	if !s.loaded || s.time == s.stored {
		return nil
	}
	if err := b.Set(s.engine, []byte{rowTime}, binary.BigEndian.AppendUint64(nil, uint64(s.time))); err != nil {
		return err
	}
	s.stored = s.time
	live, n := s.live(), 0
	for n < len(s.segments) && s.segments[n] < live {
		n++
	}
	if n == 0 || s.replays {
		return nil
	}
	if err := b.DeleteRange(s.engine, historyKey(nil, s.segments[0], nil), historyKey(nil, live, nil)); err != nil {
		return err
	}
	s.segments = append(s.segments[:0], s.segments[n:]...)
	return nil
}

func (l *putLog) write(log Changelog) error {
	for n := range l.puts {
		p := &l.puts[n]
		b := l.mem.bytes(p.at)
		key, value := b[:p.klen:p.klen], b[p.klen:]
		if p.gone {
			value = nil
		}
		if err := log.Append(p.ts, key, value, record.Headers{}); err != nil {
			return err
		}
	}
	return nil
}

// Applied is part of [Store].
func (s *versions) Applied() { s.rows.applied() }

// Reset is part of [Store].
func (s *versions) Reset() {
	s.Undo(0)
	s.rows.reset()
	s.log.count(s, -s.log.bytes)
	s.log, s.loaded = putLog{}, false
}

// Close is part of [Store].
func (s *versions) Close() error {
	s.Reset()
	s.rows.close()
	return nil
}

// Replay writes what a record of the changelog says, without logging it. It is called between units.
func (s *versions) Replay(r record.Raw) error {
	s.replays = true
	if len(r.Value) > maxVersion {
		return s.fail("decode value", r.Key, fmt.Errorf("%d bytes", len(r.Value)))
	}
	_, _, err := s.put(r.Key, r.Value, r.Time)
	s.units.Commit()
	s.log.count(s, -s.log.bytes)
	s.log.puts = s.log.puts[:0]
	s.log.mem.clear()
	return s.located("replay", err)
}
