package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/maphash"
)

// A digest is for a task that checks itself: it sums up what a store holds beside its engine, so that a unit that was undone can be
// held against what was there before. It reads everything, and is slow.

// digested is what of a slot's meta is state, and not the way there: the number of a note goes up also for units that are undone.
const digested = slotPresent | slotDirty | slotPinned | slotNoted | slotOld

var digestSeed = maphash.MakeSeed()

// Digest sums up what the store holds and its engine does not, and the stream time of one with windows. A row that counts as written
// must be the engine's.
func (c *core[K, V]) Digest() (uint64, error) {
	var sum uint64
	var err error
	kept := func([]byte) bool { return c.seg == nil } // of what has expired the engine may have less
	if c.dec != nil {
		sum, err = c.dec.digest(c.stamp, kept)
	} else {
		sum, err = c.enc.digest(c.stamp, kept)
	}
	if err != nil {
		return 0, fmt.Errorf("task %s: store %s: %w", c.task, c.name, err)
	}
	if c.seg != nil {
		sum += digestOf(nil, nil, c.seg.clock.now, c.seg.hold.now)
	}
	return sum, nil
}

// Digest is [core.Digest].
func (s *JoinStore[K, V]) Digest() (uint64, error) { return s.core.Digest() }

// Digest sums up the rows that wait, in which order, and those that the engine has to lose. A row that counts as written must be
// the engine's.
func (b *buffer) Digest() (sum uint64, err error) {
	if err = b.load(); err != nil {
		return 0, err
	}
	for i := range b.slots {
		s := &b.slots[i]
		if s.flags&(rowUsed|rowDirty) == 0 {
			continue
		}
		key, value := b.mem.bytes(s.key), []byte(nil)
		if s.at >= 0 {
			if value, err = b.value(uint32(i), nil); err != nil {
				return 0, err
			}
			if s.flags&rowEngine != 0 && s.flags&(rowDirty|rowPinned) == 0 {
				if err = b.isEngines(key, value); err != nil {
					return 0, err
				}
			}
		}
		sum += digestOf(key, value, s.time, int64(s.size), int64(s.flags&(rowDirty|rowEngine)), int64(min(s.at, 0)))
	}
	if b.Len() == 0 {
		return sum, nil // the next duplicate counts from 0
	}
	return sum + digestOf(b.mem.bytes(b.slots[b.firstSlot()].key), nil, int64(b.seq), b.bytes, int64(b.Len())), nil
}

func (b *buffer) isEngines(key, value []byte) error {
	got, ok, err := b.engine.Get(nil, key)
	if err == nil && (!ok || !bytes.Equal(got, value)) {
		err = fmt.Errorf("key %x counts as written, with %x, but the engine has %x (%t)", key, value, got, ok)
	}
	if err != nil {
		return b.fail("digest", err)
	}
	return nil
}

// Digest is [buffer.Digest], with the least time (B8).
func (s *UnmatchedStore[K, L, R]) Digest() (uint64, error) {
	if err := s.fill(); err != nil {
		return 0, err
	}
	sum, err := s.buffer.Digest()
	return sum + digestOf(nil, nil, s.least.now), err
}

// Digest sums up what the store holds and its engine does not: rows, its time, and the writes that its changelog lacks, in order.
func (s *versions) Digest() (uint64, error) {
	if err := s.load(); err != nil {
		return 0, s.located("digest", err)
	}
	live := s.live()
	sum, err := s.rows.digest(false, func(key []byte) bool {
		return key[0] != rowHistory || int64(binary.BigEndian.Uint64(key[1:])) >= live
	})
	if err != nil {
		return 0, s.located("digest", err)
	}
	sum += digestOf(nil, nil, s.time)
	for n := range s.log.puts {
		p := &s.log.puts[n]
		gone := int64(0)
		if p.gone {
			gone = 1
		}
		sum += digestOf(s.log.mem.bytes(p.at), nil, int64(n), int64(p.klen), gone, p.ts)
	}
	return sum, nil
}

// digestOf sums up one thing. Sums of many are added, in any order.
func digestOf(key, value []byte, numbers ...int64) uint64 {
	var h maphash.Hash
	h.SetSeed(digestSeed)
	var b [8]byte
	for _, v := range numbers {
		binary.BigEndian.PutUint64(b[:], uint64(v))
		h.Write(b[:])
	}
	binary.BigEndian.PutUint64(b[:], uint64(len(key)))
	h.Write(b[:])
	h.Write(key)
	h.Write(value)
	return h.Sum64()
}

// digest takes a row for the engine's if kept says so.
func (c *cache[X]) digest(stamp bool, kept func(key []byte) bool) (sum uint64, err error) {
	var buf []byte
	for i := range c.next {
		s := c.slot(i)
		if s.meta&slotUsed == 0 || s.meta&slotUnknown != 0 {
			continue
		}
		key := c.keyOf(s)
		value := buf[:0]
		if s.meta&slotPresent != 0 {
			if stamp {
				value = binary.BigEndian.AppendUint64(value, uint64(s.ts))
			}
			if value, err = c.hooks.encode(value, &s.val); err != nil {
				return 0, err
			}
		}
		if s.meta&(slotDirty|slotPinned|slotNoted) == 0 {
			if kept(key) {
				if err = c.isEngines(key, value, s.meta&slotPresent != 0); err != nil {
					return 0, err
				}
			}
			continue
		}
		n := len(value)
		if s.meta&slotOld != 0 {
			if value, err = c.hooks.encode(value, &s.old); err != nil {
				return 0, err
			}
		}
		if int(i) < len(c.hdrs) && s.meta&slotNoted != 0 {
			value = append(value, c.mem.bytes(c.hdrs[i])...)
		}
		buf = value
		sum += digestOf(key, value, int64(n), int64(s.meta&digested), s.ts, s.noteTs)
	}
	return sum, nil
}

// isEngines tells whether a row that was not changed since the last commit is what the engine has.
func (c *cache[X]) isEngines(key, value []byte, present bool) error {
	b, ok, err := c.hooks.load(nil, key)
	if err != nil {
		return err
	}
	if ok != present || ok && !bytes.Equal(b, value) {
		return fmt.Errorf("key %x counts as written, with %x (%t), but the engine has %x (%t)", key, value, present, b, ok)
	}
	return nil
}
