package state

import (
	"bytes"
	"hash/maphash"
)

// less is the order of two rows (B1).
func (b *buffer) less(i, j uint32) bool {
	x, y := &b.slots[i], &b.slots[j]
	if x.time != y.time {
		return x.time < y.time
	}
	k, l := b.mem.bytes(x.key), b.mem.bytes(y.key)
	head, tail := b.layout.head, b.layout.tail
	if c := bytes.Compare(k[head:len(k)-tail], l[head:len(l)-tail]); c != 0 || tail == 0 {
		return c < 0
	}
	return bytes.Compare(k[len(k)-tail:], l[len(l)-tail:]) < 0
}

// push adds a slot to the heap.
func (b *buffer) push(i uint32) {
	b.heap = append(b.heap, i)
	b.up(len(b.heap) - 1)
}

// pull takes the slot at a place of the heap out of it.
func (b *buffer) pull(at int) {
	n := len(b.heap) - 1
	b.slots[b.heap[at]].at = -1
	last := b.heap[n]
	b.heap = b.heap[:n]
	if at == n {
		return
	}
	b.heap[at] = last
	b.slots[last].at = int32(at)
	if at > 0 && b.less(last, b.heap[(at-1)/heapWays]) {
		b.up(at)
	} else {
		b.down(at)
	}
}

// heapWays is how many rows stand below each row of the heap: rows mostly arrive in order, and four neighbours are one line of
// memory.
const heapWays = 4

func (b *buffer) up(at int) {
	i := b.heap[at]
	for at > 0 {
		above := (at - 1) / heapWays
		if !b.less(i, b.heap[above]) {
			break
		}
		b.heap[at] = b.heap[above]
		b.slots[b.heap[at]].at = int32(at)
		at = above
	}
	b.heap[at] = i
	b.slots[i].at = int32(at)
}

func (b *buffer) down(at int) {
	i := b.heap[at]
	for {
		first := heapWays*at + 1
		if first >= len(b.heap) {
			break
		}
		least := first
		for n := first + 1; n < min(first+heapWays, len(b.heap)); n++ {
			if b.less(b.heap[n], b.heap[least]) {
				least = n
			}
		}
		if !b.less(b.heap[least], i) {
			break
		}
		b.heap[at] = b.heap[least]
		b.slots[b.heap[at]].at = int32(at)
		at = least
	}
	b.heap[at] = i
	b.slots[i].at = int32(at)
}

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
