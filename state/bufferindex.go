package state

import "hash/maphash"

// lookup returns the slot of a key; the row itself may be gone.
func (b *buffer) lookup(key []byte) (i uint32, ok bool) {
	hash := maphash.Bytes(b.seed, key)
	mask, tag := b.index.mask(), uint32(hash>>32)
	for p := uint32(hash) & mask; b.index[p] != 0; p = (p + 1) & mask {
		if e := b.index[p]; (e^tag)&^mask == 0 && string(b.mem.bytes(b.slots[e&mask-1].key)) == string(key) {
			return e&mask - 1, true
		}
	}
	return 0, false
}

// enter makes a slot for a key that has none. Its row is not there yet.
func (b *buffer) enter(key []byte) (i uint32) {
	if n := len(b.spare); n > 0 {
		i, b.spare = b.spare[n-1], b.spare[:n-1]
	} else {
		if 2*(len(b.slots)+1) > len(b.index) {
			b.rehash()
		}
		i = uint32(len(b.slots))
		b.slots = append(b.slots, bufferSlot{})
	}
	b.slots[i] = bufferSlot{key: b.mem.put(key), at: -1}
	b.index.enter(maphash.Bytes(b.seed, key), i)
	return i
}

func (b *buffer) rehash() {
	b.index = make(index, 2*len(b.index))
	for i := range b.slots {
		b.index.enter(b.hash(uint32(i)), uint32(i)) // all are in use: there was no spare one
	}
}

func (b *buffer) hash(i uint32) uint64 { return maphash.Bytes(b.seed, b.mem.bytes(b.slots[i].key)) }

// leave gives a slot back, and moves what the hole in the index would hide.
func (b *buffer) leave(i uint32) {
	x, mask := b.index, b.index.mask()
	p := uint32(b.hash(i)) & mask
	for x[p]&mask != i+1 {
		p = (p + 1) & mask
	}
	for q := (p + 1) & mask; x[q] != 0; q = (q + 1) & mask {
		if home := uint32(b.hash(x[q]&mask - 1)); (q-home)&mask >= (q-p)&mask {
			x[p] = x[q]
			p = q
		}
	}
	x[p] = 0
	b.mem.release(b.slots[i].key)
	b.slots[i] = bufferSlot{at: -1}
	b.spare = append(b.spare, i)
}
