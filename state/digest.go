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

// Digest sums up what the store holds and its engine does not. A row that counts as written must be the engine's.
func (c *core[K, V]) Digest() (uint64, error) {
	var sum uint64
	var err error
	if c.dec != nil {
		sum, err = c.dec.digest(c.stamp)
	} else {
		sum, err = c.enc.digest(c.stamp)
	}
	if err != nil {
		return 0, fmt.Errorf("task %s: store %s: %w", c.task, c.name, err)
	}
	return sum, nil
}

func (c *cache[X]) digest(stamp bool) (sum uint64, err error) {
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
			if c.seg == nil {
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
		var h maphash.Hash
		h.SetSeed(digestSeed)
		h.Write(key)
		h.Write(value)
		for _, v := range [...]uint64{uint64(n), s.meta & digested, uint64(s.ts), uint64(s.noteTs)} {
			h.Write(binary.BigEndian.AppendUint64(nil, v))
		}
		sum += h.Sum64() // in any order
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
