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
	hash  uint32
	n     uint32 // entries
	at    span   // of the entries
	since int64  // rows from this time on are in the cache, if they are anywhere
	last  int64  // time of the last entry, if there is one
	slot  uint32 // its slot
	used  bool
	ref   bool // used since the last pass of eviction or expiry
}

// runs are the runs of a cache.
type runs struct {
	list   []run
	spare  []uint32
	index  []uint32 // hash table as of index, of numbers of runs
	count  int
	hand   uint32   // of the clock
	recent uint32   // the run claimed last: it often is the next one too
	of     []uint32 // by slot: its run
	at     []uint32 // by slot: its place in the dirty list
	busy   bool     // a run is being loaded: nothing is forgotten
	reap   bool     // a row was deleted since the last unit ended
	ahead  runsAhead
	due    dueRows // of a store that is asked by time
	places []place // scratch
	common []byte  // what the keys of all runs that ever were begin with
	any    bool    // there was one
}

// entryLen is the length of an entry of a run: the time of a row and the number of its slot.
const entryLen = 8 + 4

func newRuns() *runs { return &runs{index: make([]uint32, minIndex)} }

func (x *runs) footprint() int64 {
	return int64(cap(x.list))*int64(unsafe.Sizeof(run{})) + 4*int64(len(x.index)+cap(x.of)+cap(x.at)) + 16*int64(cap(x.due))
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
	if int(x.recent) < len(x.list) && c.isRun(x.recent, key) {
		return x.recent
	}
	n, ok := c.nextRun(key)
	if !ok {
		hash := uint32(maphash.Bytes(c.seed, key))
		x.ahead.resume(hash)
		if n, ok = c.lookupRun(hash, key); !ok {
			n = c.newRun(hash, key)
		}
	}
	x.recent = n
	return n
}

// isRun tells whether a run is that of a key, and if so, that it is used.
func (c *cache[X]) isRun(n uint32, key []byte) bool {
	r := &c.byKey.list[n]
	if !r.used || string(c.runKey(r)) != string(key) {
		return false
	}
	r.ref = true
	return true
}

func (c *cache[X]) lookupRun(hash uint32, key []byte) (n uint32, ok bool) {
	x := c.byKey
	mask := uint32(len(x.index) - 1)
	for p := hash & mask; x.index[p] != 0; p = (p + 1) & mask {
		if e := x.index[p]; (e^hash)&^mask == 0 && c.isRun(e&mask-1, key) {
			return e&mask - 1, true
		}
	}
	return 0, false
}

func (c *cache[X]) newRun(hash uint32, key []byte) (n uint32) {
	x := c.byKey
	if x.count++; 2*x.count > len(x.index) {
		x.rehash()
	}
	if k := len(x.spare); k > 0 {
		n, x.spare = x.spare[k-1], x.spare[:k-1]
	} else {
		n = uint32(len(x.list))
		x.list = append(x.list, run{})
	}
	if x.any {
		x.common = x.common[:prefixLen(x.common, key)]
	} else {
		x.common, x.any = bytes.Clone(key), true
	}
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
	x.enter(n)
	return n
}

// enter puts a run into the index.
func (x *runs) enter(n uint32) {
	mask, hash := uint32(len(x.index)-1), x.list[n].hash
	p := hash & mask
	for x.index[p] != 0 {
		p = (p + 1) & mask
	}
	x.index[p] = hash&^mask | (n + 1)
}

// rehash doubles the index.
func (x *runs) rehash() {
	x.index = make([]uint32, 2*len(x.index))
	for n := range x.list {
		if x.list[n].used {
			x.enter(uint32(n))
		}
	}
}

// freeRun gives up a run without entries. All that it did not know any more is before what is known of all keys.
func (c *cache[X]) freeRun(n uint32) {
	x := c.byKey
	r := &x.list[n]
	mask := uint32(len(x.index) - 1)
	p := r.hash & mask
	for x.index[p]&mask != n+1 {
		p = (p + 1) & mask
	}
	for q := (p + 1) & mask; x.index[q] != 0; q = (q + 1) & mask {
		// As in leave: what the hole would hide moves into it.
		if home := x.list[x.index[q]&mask-1].hash & mask; (q-home)&mask >= (q-p)&mask {
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
	if n == 0 || r.last < time {
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

// findTimed is find in the cache of a window or session store, which has no index of rows but one of runs.
func (c *cache[X]) findTimed(key []byte) (uint32, error) {
	i := c.rowSlot(key)
	if c.slot(i).meta&slotUnknown == 0 {
		return i, nil
	}
	return i, c.fill(i, key)
}

// rowSlot returns the slot of a row, a new one if it is not cached.
func (c *cache[X]) rowSlot(key []byte) uint32 {
	n := c.claimRun(key[:len(key)-c.seg.suffix])
	time, tail := c.seg.timeOf(key), binary.BigEndian.Uint64(key[len(key)-8:])
	_, i, ok := c.entryOf(&c.byKey.list[n], time, tail)
	if !ok {
		return c.enroll(n, key, time, tail)
	}
	if s := c.slot(i); s.meta&slotRef == 0 {
		s.meta |= slotRef
	}
	return i
}

// tail is the last 8 bytes of a row's key. Of rows with one time they say the rest: the start of a session, or the number of a
// duplicate.
func (s *slot[X]) tail() uint64 {
	if s.klen == longKey {
		return binary.BigEndian.Uint64(s.key[8:])
	}
	return binary.BigEndian.Uint64(s.key[s.klen-8:])
}

// entryOf returns the place of a row in its run, and its slot if it is there.
func (c *cache[X]) entryOf(r *run, time int64, tail uint64) (k int, i uint32, ok bool) {
	if r.n == 0 || r.last < time {
		return int(r.n), 0, false
	}
	if r.last == time && c.slot(r.slot).tail() == tail {
		return int(r.n) - 1, r.slot, true
	}
	b := c.entries(r)
	for k = c.entryFrom(r, time); k < int(r.n) && entryTime(b, k) == time; k++ {
		i = entrySlot(b, k)
		if t := c.slot(i).tail(); t >= tail {
			return k, i, t == tail
		}
	}
	return k, 0, false
}

// enroll makes a slot for a row that its run lacks.
func (c *cache[X]) enroll(n uint32, key []byte, time int64, tail uint64) uint32 {
	x := c.byKey
	i := c.place() // it may forget rows of the run, but not the run
	s := c.begun(i, key)
	r := &x.list[n]
	k, _, _ := c.entryOf(r, time, tail)
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
	if k == int(r.n)-1 {
		r.last, r.slot = time, i
	}
	for int(i) >= len(x.of) {
		x.of = append(x.of, 0)
		x.at = append(x.at, 0)
	}
	x.of[i] = n
	if c.seg.byTime {
		x.due.push(dueRow{time, i})
	}
	if r.since <= time || time >= c.seg.known {
		s.meta &^= slotUnknown | slotInEngine
	}
	return i
}

// cutRun takes entries from to to out of a run.
func (c *cache[X]) cutRun(r *run, from, to int) {
	b := c.entries(r)
	copy(b[from*entryLen:], b[to*entryLen:])
	if r.n -= uint32(to - from); r.n > 0 {
		r.last, r.slot = entryTime(b, int(r.n)-1), entrySlot(b, int(r.n)-1)
	}
}

// leaveRun takes a slot out of its run. If it had, or may have had, a row that the engine has, the run no longer knows all.
func (c *cache[X]) leaveRun(i uint32, s *slot[X]) {
	r := &c.byKey.list[c.byKey.of[i]]
	time := r.last
	if r.slot == i {
		c.cutRun(r, int(r.n)-1, int(r.n))
	} else {
		time = c.seg.timeOf(c.keyOf(s))
		b, k := c.entries(r), c.entryFrom(r, time)
		for entrySlot(b, k) != i {
			k++
		}
		c.cutRun(r, k, k+1)
	}
	if s.meta&(slotPresent|slotInEngine) == 0 {
		return
	}
	c.seg.known = max(c.seg.known, min(time, c.seg.clock.frozen)+1)
	if r.since <= time {
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
