package state

import (
	"hash/maphash"
	"unsafe"
)

// WarmMost is how many keys a call of Warm takes at most.
const WarmMost = 16

// expected is what [cache.warm] has found out about keys that come soon, in their order.
type expected struct {
	hashes [WarmMost]uint64
	slots  [WarmMost]uint32 // noSlot: the key was not cached
	at, n  int
}

// foresight is what has been announced. Keys are announced one group ahead, so that their slots are there when their turn comes.
type foresight struct {
	groups [2]expected
	now    int // the group whose turn it is; the other one comes next
}

const noSlot = ^uint32(0)

// lines are addresses that will be used soon.
type lines [WarmMost]unsafe.Pointer

// warm fetches the slots of keys that will be looked up after those that were announced before them, and the encoded values of
// these, whose turn it is now. What a look-up costs in a cache larger than the processor's own is a wait for memory, three times
// in a row: index, slot, value. Here the waits for many keys pass at the same time, and while others are worked on; and the
// look-ups begin where this has ended. It is a hint: it changes nothing, and a key that is not cached is left alone.
func (c *cache[X]) warm(keys [][]byte) {
	if c.seg != nil {
		c.warmRuns(keys)
		return
	}
	var want lines
	w, mask := &c.ahead.groups[c.ahead.now], c.index.mask()
	c.ahead.now ^= 1
	w.at, w.n = 0, min(len(keys), WarmMost)
	for j, k := range keys[:w.n] {
		h := maphash.Bytes(c.seed, k)
		w.hashes[j&(WarmMost-1)] = h
		want[j&(WarmMost-1)] = unsafe.Pointer(&c.index[uint32(h)&mask])
	}
	prefetch(&want, w.n)
	if c.hooks.span != nil {
		c.warmValues(&c.ahead.groups[c.ahead.now])
	}
	n := 0
	for j := range w.n {
		i, ok := c.probe(w.hashes[j&(WarmMost-1)])
		if !ok {
			i = noSlot
		} else {
			want[n&(WarmMost-1)] = unsafe.Pointer(c.slot(i))
			n++
		}
		w.slots[j&(WarmMost-1)] = i
	}
	prefetch(&want, n)
}

// warmValues fetches the values of the slots that warm has found.
func (c *cache[X]) warmValues(w *expected) {
	var want lines
	n := 0
	for _, i := range w.slots[:w.n] {
		if i == noSlot {
			continue
		}
		s := c.slot(i)
		if s.meta&slotPresent == 0 {
			continue
		}
		v := c.hooks.span(s.val)
		b := c.mem.bytes(v)
		// Of each line the first byte that belongs to the value: lines begin at multiples of their length, and so do chunks of the arena.
		in := int(v.off%(cacheLine/unit)) * unit
		for at := 0; at < min(len(b), touchMost); at, in = at+cacheLine-in, 0 {
			if n == len(want) {
				prefetch(&want, n)
				n = 0
			}
			want[n] = unsafe.Pointer(&b[at])
			n++
		}
	}
	prefetch(&want, n)
}

// foreseen returns the slot of a key that warm has announced, if its turn has come. A slot that has got another key since
// then is not it.
func (c *cache[X]) foreseen(key []byte) (uint32, bool) {
	w := &c.ahead.groups[c.ahead.now]
	if w.at >= w.n {
		c.ahead.now ^= 1
		if w = &c.ahead.groups[c.ahead.now]; w.at >= w.n {
			return 0, false
		}
	}
	i := w.slots[w.at&(WarmMost-1)]
	if i == noSlot {
		return 0, false
	}
	s := c.slot(i)
	if s.meta&slotUsed == 0 || s.klen == longKey || string(s.key[:s.klen]) != string(key) {
		return 0, false
	}
	w.at++
	if s.meta&slotRef == 0 {
		s.meta |= slotRef
	}
	return i, true
}

// skipTo is how many announced keys a look-up may find left out: records that were filtered away.
const skipTo = 4

// resume goes on behind an announced key that was looked up the long way: the first of its kind, or after some that were not
// looked up at all.
func (f *foresight) resume(hash uint64) {
	w := &f.groups[f.now]
	for j := w.at; j < min(w.n, w.at+skipTo); j++ {
		if w.hashes[j&(WarmMost-1)] == hash {
			w.at = j + 1
			return
		}
	}
}

// warmRows fetches the slots of the second group of these, and the long keys of the first, whose slots are there.
func (c *cache[X]) warmRows(ids []uint32) {
	var want lines
	now, next := ids[:min(len(ids), WarmMost)], ids[min(len(ids), WarmMost):min(len(ids), 2*WarmMost)]
	for n, i := range next {
		want[n&(WarmMost-1)] = unsafe.Pointer(c.slot(i))
	}
	prefetch(&want, len(next))
	n := 0
	for _, i := range now {
		if s := c.slot(i); s.klen == longKey {
			want[n&(WarmMost-1)] = unsafe.Pointer(&c.mem.bytes(s.longKey())[0])
			n++
		}
	}
	prefetch(&want, n)
}

func (c *cache[X]) warmItems(items []item) {
	var ids [2 * WarmMost]uint32
	items = items[:min(len(items), len(ids))]
	for n, it := range items {
		ids[n] = it.i
	}
	c.warmRows(ids[:len(items)])
}

// probe is lookup without a comparison of keys: it returns the slot that most likely has the key of a hash.
func (c *cache[X]) probe(hash uint64) (i uint32, ok bool) {
	mask := c.index.mask()
	tag := uint32(hash >> 32)
	for p := uint32(hash) & mask; ; p = (p + 1) & mask {
		e := c.index[p]
		if e == 0 {
			return 0, false
		}
		if (e^tag)&^mask == 0 {
			return e&mask - 1, e&mask != 0
		}
	}
}

const (
	cacheLine = 64
	touchMost = 4 * cacheLine // the processor sees a longer run by itself
)
