package state

import (
	"bytes"
	"slices"
	"sort"
)

// bufferOrder is the order of the rows of a buffer (B1): the rows of one time together, and these lots in a heap. A lot is brought
// into order when its first row is asked for, all at once: most rows share their time with many, the end of a window, and what comes
// to a lot later finds its place by a search.
type bufferOrder struct {
	times  []*lot // a heap; some may be empty
	byTime map[int64]*lot
	recent *lot // used last
	spare  []*lot
	empty  int // lots without rows in times
	count  int // rows
}

// lot has the rows of one time, by slot.
type lot struct {
	time   int64
	rows   []uint32 // sorted: the first one last
	sorted bool
}

const (
	heapWays = 4
	// keepLots is how many lots are kept for times to come, each with the room that it has if that is not much.
	keepLots = 1 << 10
	keepRows = 64
)

func newBufferOrder() bufferOrder { return bufferOrder{byTime: map[int64]*lot{}} }

// footprint is about what the order takes.
func (o *bufferOrder) footprint() int64 { return 4*int64(o.count) + 96*int64(len(o.times)) }

// top is the lot of the least time that has rows; nil if there is none.
func (o *bufferOrder) top() *lot {
	for len(o.times) > 0 {
		if k := o.times[0]; len(k.rows) > 0 {
			return k
		}
		o.retire(o.pop())
	}
	return nil
}

// retire keeps an empty lot that is in times no more.
func (o *bufferOrder) retire(k *lot) {
	delete(o.byTime, k.time)
	if o.recent == k {
		o.recent = nil
	}
	o.empty--
	if len(o.spare) < keepLots {
		if k.rows = k.rows[:0]; cap(k.rows) > keepRows {
			k.rows = nil
		}
		o.spare = append(o.spare, k)
	}
}

// at returns the lot of a time, a new one if there is none.
func (o *bufferOrder) at(time int64) *lot {
	if k := o.recent; k != nil && k.time == time {
		return k
	}
	k := o.byTime[time]
	if k == nil {
		if n := len(o.spare); n > 0 {
			k, o.spare = o.spare[n-1], o.spare[:n-1]
		} else {
			k = new(lot)
		}
		k.time, k.sorted = time, false
		o.byTime[time] = k
		o.empty++
		o.push(k)
	}
	o.recent = k
	return k
}

// push puts a lot into the heap.
func (o *bufferOrder) push(k *lot) {
	o.times = append(o.times, k)
	at := len(o.times) - 1
	for at > 0 {
		above := (at - 1) / heapWays
		if o.times[above].time <= k.time {
			break
		}
		o.times[at] = o.times[above]
		at = above
	}
	o.times[at] = k
}

// pop takes the lot of the least time out of the heap.
func (o *bufferOrder) pop() *lot {
	first, n := o.times[0], len(o.times)-1
	last := o.times[n]
	o.times[n] = nil
	if o.times = o.times[:n]; n > 0 {
		o.sink(0, last)
	}
	return first
}

// sink puts a lot at a place of the heap, or below.
func (o *bufferOrder) sink(at int, k *lot) {
	for n := len(o.times); ; {
		least := heapWays*at + 1
		if least >= n {
			break
		}
		for c := least + 1; c < min(heapWays*at+1+heapWays, n); c++ {
			if o.times[c].time < o.times[least].time {
				least = c
			}
		}
		if o.times[least].time >= k.time {
			break
		}
		o.times[at] = o.times[least]
		at = least
	}
	o.times[at] = k
}

// sweep takes the empty lots out of the heap when they are most of it.
func (o *bufferOrder) sweep() {
	if o.empty < keepRows || 2*o.empty < len(o.times) {
		return
	}
	kept := o.times[:0]
	for _, k := range o.times {
		if len(k.rows) > 0 {
			kept = append(kept, k)
		} else {
			o.retire(k)
		}
	}
	clear(o.times[len(kept):])
	o.times = kept
	for at := len(kept)/heapWays + 1; at >= 0; at-- {
		if at < len(kept) {
			o.sink(at, kept[at])
		}
	}
}

// less is the order of two rows of one time.
func (b *buffer) less(i, j uint32) bool {
	k, l := b.mem.bytes(b.slots[i].key), b.mem.bytes(b.slots[j].key)
	head, tail := b.layout.head, b.layout.tail
	if c := bytes.Compare(k[head:len(k)-tail], l[head:len(l)-tail]); c != 0 || tail == 0 {
		return c < 0
	}
	return bytes.Compare(k[len(k)-tail:], l[len(l)-tail:]) < 0
}

// sort brings a lot into order.
func (b *buffer) sort(k *lot) {
	if k.sorted {
		return
	}
	k.sorted = true
	if b.layout.tail == 0 {
		sortByKey(k.rows, func(i uint32) []byte { return b.mem.bytes(b.slots[i].key) })
	} else {
		slices.SortFunc(k.rows, func(i, j uint32) int {
			switch {
			case b.less(i, j):
				return -1
			case i == j:
				return 0
			}
			return 1
		})
	}
	slices.Reverse(k.rows)
}

// place is where a row of a sorted lot stands, or would stand.
func (b *buffer) place(k *lot, i uint32) int {
	n := len(k.rows)
	if n == 0 || b.less(i, k.rows[n-1]) {
		return n
	}
	return sort.Search(n, func(at int) bool { return !b.less(i, k.rows[at]) })
}

// enqueue gives a row its place in the order.
func (b *buffer) enqueue(i uint32) {
	s := &b.slots[i]
	k := b.order.at(s.time)
	if len(k.rows) == 0 {
		b.order.empty--
		k.sorted = false
	}
	b.order.count++
	if k.sorted {
		s.at = 0
		k.rows = slices.Insert(k.rows, b.place(k, i), i)
		return
	}
	s.at = int32(len(k.rows))
	k.rows = append(k.rows, i)
}

// dequeue takes a row out of the order.
func (b *buffer) dequeue(i uint32) {
	s := &b.slots[i]
	k := b.order.at(s.time)
	n := len(k.rows) - 1
	switch {
	case k.sorted && k.rows[n] == i:
		k.rows = k.rows[:n]
	case k.sorted:
		at := b.place(k, i)
		k.rows = slices.Delete(k.rows, at, at+1)
	default:
		last := k.rows[n]
		k.rows[s.at] = last
		b.slots[last].at = s.at
		k.rows = k.rows[:n]
	}
	s.at = -1
	b.order.count--
	if n == 0 {
		b.order.empty++
		b.order.sweep()
	}
}

// firstSlot is that of the first row.
func (b *buffer) firstSlot() uint32 {
	k := b.order.top()
	b.sort(k)
	return k.rows[len(k.rows)-1]
}

// MinTime is the time of the first row, NoTime if there is none.
func (b *buffer) MinTime() int64 {
	if k := b.order.top(); k != nil {
		return k.time
	}
	return NoTime
}

// maxTime is the time of the last row.
func (b *buffer) maxTime() (t int64) {
	for _, k := range b.order.times {
		if len(k.rows) > 0 {
			t = max(t, k.time)
		}
	}
	return t
}
