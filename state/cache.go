package state

import (
	"encoding/binary"
	"hash/maphash"
	"unsafe"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// cache is the write-back cache of a store: a hash index over slots, both flat. It knows encoded keys and values X; its hooks
// know how X and bytes become one another.
//
// A slot keeps its number as long as its key is cached, so undo log, dirty list and notes refer to it by number.
type cache[X any] struct {
	seed  maphash.Seed
	index index
	used  int // slots in use
	loads int64
	whole wholeness

	chunks []*chunk[X]
	next   uint32   // slots from here have never been used
	spare  []uint32 // slots to use again
	hand   uint32   // of the clock

	mem  arena  // long keys, encoded values, headers of notes
	hdrs []span // by slot: the headers of its note; nil until a note has some

	units *record.Units
	log   []change[X] // undo log
	floor int         // log entries below are not merged with: a mark was taken
	scans []*scan[X]  // open iterators, in the order of opening

	dirty    []uint32   // slots that the next Freeze writes, in the order of their first write
	frozen   []uint32   // slots that the last Freeze wrote, in key order, until Applied
	runs     [][]uint32 // what iterators merge: dirty[:inRuns] in sorted parts
	inRuns   int
	notes    notes
	acct     account
	sizes    []uintptr // where X holds strings
	hooks    hooks[X]
	seg      *segments // of a window or session store; else nil
	byKey    *runs     // of the same
	pool     []*scan[X]
	epoch    uint64 // how many units have ended
	perSlot  int64  // bytes that a dirty slot counts for, beside what it points to
	plain    bool   // X has no bytes beside the slot
	pointers bool   // X holds pointers: what is given up must be cleared
	scratch  []byte
	ahead    foresight
}

// hooks connect the cache with the types of its store and with its engine.
type hooks[X any] struct {
	load   func(dst, key []byte) (value []byte, ok bool, err error) // from the engine
	empty  func() (bool, error)                                     // tells whether the engine has no key of the store; nil: not asked
	decode func(b []byte) (x X, ts int64, err error)                // engine value → X; a span is a new one
	encode func(dst []byte, x *X) ([]byte, error)                   // X → changelog value
	span   func(x X) span                                           // the span that is x; nil if X is decoded
}

func newCache[X any](units *record.Units, b *Budget, h hooks[X]) *cache[X] {
	c := &cache[X]{seed: maphash.MakeSeed(), units: units, hooks: h, acct: account{b: b}}
	c.index = make(index, minIndex)
	c.perSlot = int64(unsafe.Sizeof(slot[X]{}))
	return c
}

func (c *cache[X]) slot(i uint32) *slot[X] { return &c.chunks[i/chunkLen][i%chunkLen] }

// keyOf returns the bytes of a slot's key. They are valid as long as the key is cached.
func (c *cache[X]) keyOf(s *slot[X]) []byte {
	if s.klen != longKey {
		return s.key[:s.klen:s.klen]
	}
	return c.mem.bytes(s.longKey())
}

func (s *slot[X]) longKey() span {
	return span{binary.LittleEndian.Uint32(s.key[0:]), binary.LittleEndian.Uint32(s.key[4:])}
}

// find returns the slot of a key and looks it up in the engine if need be. What was found, or that nothing was, stays.
func (c *cache[X]) find(key []byte) (uint32, error) {
	if c.seg != nil {
		return c.findTimed(key)
	}
	i, ok := c.foreseen(key)
	if ok {
		if c.slot(i).meta&slotUnknown == 0 {
			return i, nil
		}
		return i, c.fill(i, key)
	}
	hash := maphash.Bytes(c.seed, key)
	c.ahead.resume(hash)
	i, ok = c.lookup(hash, key)
	if ok && c.slot(i).meta&slotUnknown == 0 {
		return i, nil
	}
	if !ok {
		i = c.insert(hash, key)
	}
	return i, c.fill(i, key)
}

// claim returns the slot of a key that is about to be written, without a look at the engine.
func (c *cache[X]) claim(key []byte) uint32 {
	if c.seg != nil {
		return c.rowSlot(key)
	}
	i, ok := c.foreseen(key)
	if ok {
		return i
	}
	hash := maphash.Bytes(c.seed, key)
	c.ahead.resume(hash)
	i, ok = c.lookup(hash, key)
	if !ok {
		i = c.insert(hash, key)
	}
	return i
}

// loadRoom is the scratch for engine values; it is given up when one value has made it larger than this.
const loadRoom = 64 << 10

// fill loads the value of an unknown slot.
func (c *cache[X]) fill(i uint32, key []byte) error {
	if whole, err := c.isWhole(); whole || err != nil {
		if err == nil {
			c.slot(i).meta &^= slotUnknown | slotInEngine
		}
		return err
	}
	c.loads++
	b, ok, err := c.hooks.load(c.scratch[:0], key)
	if err != nil {
		return err
	}
	s := c.slot(i)
	if !ok {
		s.meta &^= slotUnknown | slotInEngine
		return nil
	}
	if cap(b) <= loadRoom {
		c.scratch = b
	}
	x, ts, err := c.hooks.decode(b)
	if err != nil {
		return err
	}
	s.val, s.ts = x, ts
	s.meta = s.meta&^slotUnknown | slotPresent | slotInEngine
	if c.hooks.span != nil {
		c.acct.setTotal(c.footprint())
	}
	return nil
}

// wholeness tells whether every key of the engine is cached, so that what is not cached is nowhere.
type wholeness uint8

const (
	notAsked wholeness = iota
	whole              // the engine was empty, and nothing that went there has been forgotten
	notWhole           // for good
)

// isWhole asks the engine once. A new store stays whole as long as it fits into the cache: that saves a look-up in the engine
// for each new key, which costs ten times what the rest of its record does.
func (c *cache[X]) isWhole() (bool, error) {
	if c.hooks.empty == nil || c.seg != nil {
		return false, nil // a store of windows or sessions knows more: see runs
	}
	if c.whole == notAsked {
		empty, err := c.hooks.empty()
		if err != nil {
			return false, err
		}
		if c.whole = notWhole; empty && len(c.frozen) == 0 {
			c.whole = whole
		}
	}
	return c.whole == whole, nil
}

// insert makes a slot for a key that is not cached. Its value is unknown.
func (c *cache[X]) insert(hash uint64, key []byte) uint32 {
	if 2*(c.used+1) > len(c.index) {
		c.rehash()
	}
	i := c.place()
	c.begun(i, key)
	c.index.enter(hash, i)
	return i
}

// begun makes a slot that of a key.
func (c *cache[X]) begun(i uint32, key []byte) *slot[X] {
	s := c.slot(i)
	if len(key) <= inlineKey {
		s.klen = uint8(len(key))
		copy(s.key[:], key)
	} else {
		k := c.mem.put(key)
		s.klen = longKey
		binary.LittleEndian.PutUint32(s.key[0:], k.off)
		binary.LittleEndian.PutUint32(s.key[4:], k.n)
		copy(s.key[8:16], key[len(key)-8:]) // see tail
	}
	s.meta = slotUsed | slotUnknown | slotInEngine | slotRef
	c.used++
	return s
}

// footprint is the memory that the cache holds.
func (c *cache[X]) footprint() int64 {
	if c.seg != nil {
		return c.slotBytes() + c.byKey.footprint()
	}
	return c.slotBytes()
}

func (c *cache[X]) slotBytes() int64 {
	return int64(len(c.chunks))*int64(unsafe.Sizeof(chunk[X]{})) + int64(len(c.index))*4 + int64(len(c.hdrs))*8 + c.mem.size
}

// extra is what a value takes beside its slot.
func (c *cache[X]) extra(x *X) int64 {
	if c.hooks.span != nil {
		return int64(c.hooks.span(*x).n)
	}
	if c.sizes != nil {
		return int64(stringBytes(x, c.sizes))
	}
	return 0
}
