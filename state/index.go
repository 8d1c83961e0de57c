package state

import "hash/maphash"

// index finds the slot of a key: a hash table with linear probing, at most half full, whose length is a power of two. An
// entry has the slot's number + 1 in as many bits as the position has, and bits of the hash that the position has not in the
// others. 0 is empty. Four bytes an entry keep the index of a hundred thousand keys in the processor's own cache.
type index []uint32

const minIndex = 64

func (x index) mask() uint32 { return uint32(len(x) - 1) }

// enter adds a slot that is not there.
func (x index) enter(hash uint64, i uint32) {
	mask := x.mask()
	p := uint32(hash) & mask
	for x[p] != 0 {
		p = (p + 1) & mask
	}
	x[p] = uint32(hash>>32)&^mask | (i + 1)
}

// lookup returns the slot of a key; ok is false if it is not cached.
func (c *cache[X]) lookup(hash uint64, key []byte) (i uint32, ok bool) {
	mask := c.index.mask()
	tag := uint32(hash >> 32)
	for p := uint32(hash) & mask; ; p = (p + 1) & mask {
		e := c.index[p]
		if (e^tag)&^mask != 0 {
			if e == 0 {
				return 0, false
			}
			continue
		}
		i = e&mask - 1
		if i == ^uint32(0) {
			return 0, false // empty, and a tag of zeroes
		}
		s := c.slot(i)
		if s.klen != longKey {
			if string(s.key[:s.klen]) != string(key) {
				continue
			}
		} else if string(c.mem.bytes(s.longKey())) != string(key) {
			continue
		}
		if s.meta&slotRef == 0 {
			s.meta |= slotRef
		}
		return i, true
	}
}

// rehash doubles the index.
func (c *cache[X]) rehash() {
	c.index = make(index, 2*len(c.index))
	for i := range c.next {
		if s := c.slot(i); s.meta&slotUsed != 0 {
			c.index.enter(maphash.Bytes(c.seed, c.keyOf(s)), i)
		}
	}
	c.acct.setTotal(c.footprint())
}

// leave takes a slot out of the index and moves what the hole would hide.
func (c *cache[X]) leave(i uint32) {
	x, mask := c.index, c.index.mask()
	p := c.home(i)
	for x[p]&mask != i+1 {
		p = (p + 1) & mask
	}
	for q := (p + 1) & mask; x[q] != 0; q = (q + 1) & mask {
		// The entry at q may move back to the hole p unless its home lies between them.
		if (q-c.home(x[q]&mask-1))&mask >= (q-p)&mask {
			x[p] = x[q]
			p = q
		}
	}
	x[p] = 0
}

// home is where a slot stands in the index if nothing is in its way.
func (c *cache[X]) home(i uint32) uint32 {
	return uint32(maphash.Bytes(c.seed, c.keyOf(c.slot(i)))) & c.index.mask()
}
