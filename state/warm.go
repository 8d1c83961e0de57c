package state

import "hash/maphash"

// WarmMost is how many keys a call of Warm takes at most.
const WarmMost = 16

// warm touches the slots of keys that will be looked up soon, and the encoded values behind them. What a look-up costs in a
// cache larger than the processor's own is a wait for memory, three times in a row: index, slot, value. Here the waits for
// many keys pass at the same time. It is a hint: it changes nothing, and a key that is not cached is left alone.
func (c *cache[X]) warm(keys [][]byte) {
	var hashes [WarmMost]uint64
	var slots [WarmMost]uint32
	keys = keys[:min(len(keys), WarmMost)]
	mask := c.index.mask()
	var sum uint64
	for j, k := range keys {
		h := maphash.Bytes(c.seed, k)
		hashes[j&(WarmMost-1)] = h
		sum += uint64(c.index[uint32(h)&mask])
	}
	n := 0
	for j := range keys {
		if i, ok := c.probe(hashes[j&(WarmMost-1)]); ok {
			sum += c.slot(i).meta
			slots[n&(WarmMost-1)] = i
			n++
		}
	}
	if c.hooks.span != nil {
		for _, i := range slots[:n] {
			if s := c.slot(i); s.meta&slotPresent != 0 {
				sum += touchBytes(c.mem.bytes(c.hooks.span(s.val)))
			}
		}
	}
	c.touched = sum
}

// warmSlots touches the first of these slots.
func (c *cache[X]) warmSlots(ids []uint32) {
	var sum uint64
	for _, i := range ids[:min(len(ids), WarmMost)] {
		sum += c.slot(i).meta
	}
	c.touched = sum
}

func (c *cache[X]) warmItems(items []item) {
	var sum uint64
	for _, it := range items[:min(len(items), WarmMost)] {
		sum += c.slot(it.i).meta
	}
	c.touched = sum
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

func touchBytes(b []byte) (sum uint64) {
	b = b[:min(len(b), touchMost)]
	for at := 0; at < len(b); at += cacheLine {
		sum += uint64(b[at])
	}
	if len(b) > 0 {
		sum += uint64(b[len(b)-1])
	}
	return sum
}
