package state

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
)

// item is a slot and what it is sorted by first.
type item struct {
	key uint64
	i   uint32
}

// fewItems are sorted by comparison: below, counting costs more.
const fewItems = 128

// sortItems sorts by key and returns the sorted items, which may lie elsewhere than before. Of each key it looks only at the
// bytes in which the keys differ.
func sortItems(items []item) []item {
	sorted, diff := true, uint64(0)
	for n := 1; n < len(items); n++ {
		diff |= items[n].key ^ items[0].key
		sorted = sorted && items[n-1].key <= items[n].key
	}
	if sorted {
		return items
	}
	if len(items) < fewItems {
		slices.SortStableFunc(items, func(a, b item) int { return cmp.Compare(a.key, b.key) })
		return items
	}
	from, to := items, make([]item, len(items))
	for shift := 0; shift < 64; shift += 8 {
		if diff>>shift&0xff == 0 {
			continue
		}
		var at [256]uint32
		for n := range from {
			at[from[n].key>>shift&0xff]++
		}
		sum := uint32(0)
		for b := range at {
			at[b], sum = sum, sum+at[b]
		}
		for _, it := range from {
			b := it.key >> shift & 0xff
			to[at[b]] = it
			at[b]++
		}
		from, to = to, from
	}
	return from
}

// sortByKey sorts slots by the bytes of their keys.
func (c *cache[X]) sortByKey(ids []uint32) {
	if len(ids) < fewItems {
		slices.SortFunc(ids, c.compareKeys)
		return
	}
	skip := c.commonPrefix(ids)
	items := make([]item, len(ids))
	for n, i := range ids {
		items[n] = item{head(c.keyOf(c.slot(i))[skip:]), i}
	}
	items = sortItems(items)
	for n, it := range items {
		ids[n] = it.i
	}
	for n := 0; n < len(items); {
		m := n + 1
		for m < len(items) && items[m].key == items[n].key {
			m++
		}
		if m-n > 1 {
			slices.SortFunc(ids[n:m], c.compareKeys)
		}
		n = m
	}
}

func (c *cache[X]) compareKeys(a, b uint32) int {
	return bytes.Compare(c.keyOf(c.slot(a)), c.keyOf(c.slot(b)))
}

// commonPrefix is how many bytes all keys begin with.
func (c *cache[X]) commonPrefix(ids []uint32) int {
	first := c.keyOf(c.slot(ids[0]))
	n := len(first)
	for _, i := range ids[1:] {
		n = prefixLen(first[:n], c.keyOf(c.slot(i)))
		if n == 0 {
			return 0
		}
	}
	return n
}

func prefixLen(a, b []byte) int {
	n := min(len(a), len(b))
	if bytes.Equal(a[:n], b[:n]) {
		return n
	}
	for n = 0; a[n] == b[n]; n++ {
	}
	return n
}

// head returns the first 8 bytes of b as a number that compares like them; a shorter b is filled with zeroes.
func head(b []byte) uint64 {
	if len(b) >= 8 {
		return binary.BigEndian.Uint64(b)
	}
	var x [8]byte
	copy(x[:], b)
	return binary.BigEndian.Uint64(x[:])
}
