package state

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math"
	"sort"
	"unsafe"
)

// A run is what the cache of a window or session store knows of the rows of one user's key: the slots that it has of it, in the
// order of their suffixes, and from which time on these are all. So rows are found by key and time without the engine, and that
// there is none is known too.
//
// Which slots a run has is no state of a unit: a slot whose write is undone stays, absent.
type run struct {
	key   [inlineKey]byte
	klen  uint8
	used  bool
	ref   bool // used since the last pass of eviction or expiry
	hash  uint32
	n     uint32 // entries
	at    span   // of the entries
	since int64  // rows from this time on are in the cache, if they are anywhere
}

// runs are the runs of a cache.
type runs struct {
	list   []run
	spare  []uint32
	index  []uint32 // hash table with linear probing, at most half full: number + 1
	count  int
	last   uint32   // the run claimed last: it often is the next one too
	hand   uint32   // of the clock
	of     []uint32 // by slot: its run
	at     []uint32 // by slot: its place in the dirty list
	busy   bool     // a run is being loaded: nothing is forgotten
	reap   bool     // a row was deleted since the last unit ended
	sorted []uint32 // scratch
}

// entryLen is the length of an entry of a run: the time of a row and the number of its slot.
const entryLen = 8 + 4

func newRuns() *runs { return &runs{index: make([]uint32, minIndex)} }

func (x *runs) footprint() int64 {
	return int64(cap(x.list))*int64(unsafe.Sizeof(run{})) + 4*int64(len(x.index)+cap(x.of)+cap(x.at))
}

func (c *cache[X]) runKey(r *run) []byte {
	if r.klen != longKey {
		return r.key[:r.klen:r.klen]
	}
	return c.mem.bytes(span{binary.LittleEndian.Uint32(r.key[0:]), binary.LittleEndian.Uint32(r.key[4:])})
}

// claimRun returns the number of a key's run. A new one knows that rows are not there which came after the store was opened, as long
// as the cache has forgotten none of that time.
func (c *cache[X]) claimRun(key []byte) uint32 {
	x := c.byKey
	if n := x.last; int(n) < len(x.list) {
		if r := &x.list[n]; r.used && string(c.runKey(r)) == string(key) {
			r.ref = true
			return n
		}
	}
	hash := uint32(maphash.Bytes(c.seed, key))
	mask := uint32(len(x.index) - 1)
	p := hash & mask
	for ; x.index[p] != 0; p = (p + 1) & mask {
		n := x.index[p] - 1
		if r := &x.list[n]; r.hash == hash && string(c.runKey(r)) == string(key) {
			r.ref, x.last = true, n
			return n
		}
	}
	if x.count++; 2*x.count > len(x.index) {
		x.rehash()
		mask = uint32(len(x.index) - 1)
		for p = hash & mask; x.index[p] != 0; p = (p + 1) & mask {
		}
	}
	var n uint32
	if k := len(x.spare); k > 0 {
		n, x.spare = x.spare[k-1], x.spare[:k-1]
	} else {
		n = uint32(len(x.list))
		x.list = append(x.list, run{})
	}
	x.index[p], x.last = n+1, n
	r := &x.list[n]
	*r = run{used: true, ref: true, hash: hash, since: c.seg.known}
	if len(key) <= inlineKey {
		r.klen = uint8(copy(r.key[:], key))
	} else {
		s := c.mem.put(key)
		r.klen = longKey
		binary.LittleEndian.PutUint32(r.key[0:], s.off)
		binary.LittleEndian.PutUint32(r.key[4:], s.n)
	}
	return n
}

func (x *runs) rehash() {
	x.index = make([]uint32, 2*len(x.index))
	mask := uint32(len(x.index) - 1)
	for n := range x.list {
		if r := &x.list[n]; r.used {
			p := r.hash & mask
			for x.index[p] != 0 {
				p = (p + 1) & mask
			}
			x.index[p] = uint32(n) + 1
		}
	}
}

// freeRun gives up a run without entries. What it did not know any more, nobody knows of now.
func (c *cache[X]) freeRun(n uint32) {
	x := c.byKey
	r := &x.list[n]
	c.seg.known = max(c.seg.known, r.since)
	mask := uint32(len(x.index) - 1)
	p := r.hash & mask
	for x.index[p] != n+1 {
		p = (p + 1) & mask
	}
	for q := (p + 1) & mask; x.index[q] != 0; q = (q + 1) & mask {
		// As in leave: what the hole would hide moves into it.
		if home := x.list[x.index[q]-1].hash & mask; (q-home)&mask >= (q-p)&mask {
			x.index[p] = x.index[q]
			p = q
		}
	}
	x.index[p] = 0
	if r.klen == longKey {
		c.mem.release(span{binary.LittleEndian.Uint32(r.key[0:]), binary.LittleEndian.Uint32(r.key[4:])})
	}
	c.mem.release(r.at)
	*r = run{}
	x.spare = append(x.spare, n)
	x.count--
}

// entry returns the time and the slot of an entry.
func (c *cache[X]) entries(r *run) []byte { return c.mem.bytes(r.at)[:r.n*entryLen] }

func entryTime(b []byte, k int) int64 { return int64(binary.LittleEndian.Uint64(b[k*entryLen:])) }

func entrySlot(b []byte, k int) uint32 { return binary.LittleEndian.Uint32(b[k*entryLen+8:]) }

// from returns the first entry of a run whose time is not earlier.
func (c *cache[X]) entryFrom(r *run, time int64) int {
	b, n := c.entries(r), int(r.n)
	if n == 0 || entryTime(b, n-1) < time {
		return n
	}
	return sort.Search(n, func(k int) bool { return entryTime(b, k) >= time })
}

// entryAfter returns the first entry of a run whose time is later.
func (c *cache[X]) entryAfter(r *run, time int64) int {
	if time == math.MaxInt64 {
		return int(r.n)
	}
	return c.entryFrom(r, time+1)
}

// enroll puts a slot into the run of its key and returns the run.
func (c *cache[X]) enroll(i uint32, key []byte) *run {
	x, suffix := c.byKey, c.seg.kind.SuffixLen()
	at := len(key) - suffix
	n := c.claimRun(key[:at])
	r := &x.list[n]
	time := c.seg.timeOf(key)
	k := c.entryFrom(r, time)
	for b := c.entries(r); k < int(r.n) && entryTime(b, k) == time; k++ {
		if other := c.keyAt(entrySlot(b, k)); bytes.Compare(other[len(other)-suffix:], key[at:]) > 0 {
			break
		}
	}
	if (r.n+1)*entryLen > r.at.n {
		grown := c.mem.reserve(max(2*entryLen, 2*r.at.n))
		copy(c.mem.bytes(grown), c.entries(r))
		c.mem.release(r.at)
		r.at = grown
	}
	r.n++
	b := c.entries(r)
	copy(b[(k+1)*entryLen:], b[k*entryLen:])
	binary.LittleEndian.PutUint64(b[k*entryLen:], uint64(time))
	binary.LittleEndian.PutUint32(b[k*entryLen+8:], i)
	for int(i) >= len(x.of) {
		x.of = append(x.of, 0)
		x.at = append(x.at, 0)
	}
	x.of[i] = n
	return r
}

// leaveRun takes a slot out of its run. If it had, or may have had, a row that the engine has, the run no longer knows all.
func (c *cache[X]) leaveRun(i uint32, s *slot[X]) {
	r := &c.byKey.list[c.byKey.of[i]]
	time := c.seg.timeOf(c.keyOf(s))
	b := c.entries(r)
	for k := c.entryFrom(r, time); k < int(r.n); k++ {
		if entrySlot(b, k) == i {
			copy(b[k*entryLen:], b[(k+1)*entryLen:])
			break
		}
	}
	r.n--
	if s.meta&(slotPresent|slotInEngine) != 0 && r.since <= time {
		r.since = min(time, math.MaxInt64-1) + 1
	}
}

// evictRuns gives up runs that have no entries and were not used since the last pass.
func (c *cache[X]) evictRuns() {
	x := c.byKey
	for range min(sweep, len(x.list)) {
		if x.hand++; int(x.hand) >= len(x.list) {
			x.hand = 0
		}
		c.ageRun(x.hand)
	}
}

func (c *cache[X]) ageRun(n uint32) {
	if r := &c.byKey.list[n]; r.used && r.n == 0 && !r.ref {
		c.freeRun(n)
	} else {
		r.ref = false
	}
}
