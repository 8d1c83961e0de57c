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

// sortByKey sorts numbers by the bytes of the keys that they stand for.
func sortByKey(ids []uint32, key func(i uint32) []byte) {
	compare := func(a, b uint32) int { return bytes.Compare(key(a), key(b)) }
	if len(ids) < fewItems {
		slices.SortFunc(ids, compare)
		return
	}
	skip := commonPrefix(ids, key)
	items := make([]item, len(ids))
	for n, i := range ids {
		items[n] = item{head(key(i)[skip:]), i}
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
			slices.SortFunc(ids[n:m], compare)
		}
		n = m
	}
}

// commonPrefix is how many bytes all keys begin with.
func commonPrefix(ids []uint32, key func(i uint32) []byte) int {
	first := key(ids[0])
	n := len(first)
	for _, i := range ids[1:] {
		if n = prefixLen(first[:n], key(i)); n == 0 {
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

// keyAt returns the key of slot i.
func (c *cache[X]) keyAt(i uint32) []byte { return c.keyOf(c.slot(i)) }
