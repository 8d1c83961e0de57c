package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math"

	"github.com/oxbow-streams/oxbow/internal/invariant"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// NoTime is the minimum time of an empty buffer.
const NoTime int64 = math.MaxInt64

// buffer is what the buffers have in common: rows that wait until their time has come, ordered by time, then by key. A hash index
// finds them by key; the least time is always at hand.
//
//	B1  The order is time, then unsigned key bytes; of a buffer that keeps duplicates then arrival.
//	B2  Order and keys are in memory, however many rows there are. Values of rows that are in the engine may leave memory when
//	    the budget is exceeded; they are read back when their time has come.
//	B3  Writes are undone with their unit, and reach the engine and the changelog by the next commit, each row once. A row that
//	    came and went between two commits is not written.
//	B4  A store is filled from the engine when it is first used after it was opened or reset.
type buffer struct {
	name   string
	task   record.TaskID
	engine EngineStore
	units  *record.Units
	time   *int64 // of the record in work
	layout bufferLayout
	limit  limit

	seed  maphash.Seed
	index index
	slots []bufferSlot
	spare []uint32 // slots to use again
	order bufferOrder
	mem   arena
	acct  account

	dirty, frozen []uint32
	log           []bufferChange
	loaded        bool
	seq           uint32 // of the next duplicate
	bytes         int64  // of all rows, see bufferSlot.size
	held          int64  // of the values in memory
}

// bufferLayout says what the keys of a buffer are made of: what stands before and behind the part by which rows of one time are
// ordered, and where their time is.
type bufferLayout struct {
	head, tail int
	time       func(key, value []byte) int64
	check      func(key, value []byte) error
	// other, if set, is asked first about what the engine holds: true for what is no row.
	other func(key, value []byte) bool
	bare  bool // values are not those of BufferValue: they have no context, and their changelog no version
}

// bufferSlot is a row, or what is left of one until the engine has lost it too.
type bufferSlot struct {
	time     int64
	key, val span
	size     uint32 // of the row, as Kafka Streams counts
	at       int32  // place in its lot if that is not sorted, −1: the row is gone
	flags    uint8
}

const (
	rowDirty  uint8 = 1 << iota // the next freeze writes it
	rowEngine                   // it is in the engine, or will be with the frozen batch
	rowPinned                   // the frozen batch has it
	rowAway                     // its value is in the engine only
	rowUsed                     // the slot is in use
)

// bufferChange is an entry of the undo log: a slot as it was.
type bufferChange struct {
	i     uint32
	was   bufferSlot
	fresh bool // there was no slot
	seq   uint32
}

func (b *buffer) open(env *Env, l bufferLayout) error {
	if env.Engine == nil || env.Units == nil {
		return fmt.Errorf("task %s: open store: engine and units must be given", env.Task)
	}
	*b = buffer{name: env.Engine.Name(), task: env.Task, engine: env.Engine, units: env.Units, time: env.Time, layout: l, limit: limit(env.RecordBytes),
		seed: maphash.MakeSeed(), index: make(index, minIndex), order: newBufferOrder(), acct: account{b: env.Budget}}
	if b.time == nil {
		b.time = new(int64)
	}
	return nil
}

// load fills the buffer from the engine (B4).
func (b *buffer) load() (err error) {
	if b.loaded {
		return nil
	}
	it, err := b.engine.Iter(nil, nil, false)
	if err != nil {
		return b.fail("load", err)
	}
	for it.Next() {
		key, val := it.Key(), it.Value()
		if b.layout.other != nil && b.layout.other(key, val) {
			continue
		}
		if err := b.layout.check(key, val); err != nil {
			it.Close()
			return b.fail("load", &CodecError{b.task, b.name, "decode value", bytes.Clone(key), err})
		}
		i := b.enter(key)
		s := &b.slots[i]
		s.time, s.size, s.flags = b.layout.time(key, val), b.layout.size(key, val), rowUsed|rowEngine
		if b.acct.room(int64(len(val))) {
			s.val = b.mem.put(val)
			b.held += int64(len(val))
		} else {
			s.flags |= rowAway
		}
		b.bytes += int64(s.size)
		b.enqueue(i)
		if b.layout.tail == 4 {
			b.seq = max(b.seq, binary.BigEndian.Uint32(key[len(key)-4:])+1)
		}
	}
	if err = it.Err(); err == nil {
		err = it.Close()
	} else {
		it.Close()
	}
	if err != nil {
		b.clear()
		return b.fail("load", err)
	}
	b.acct.setTotal(b.footprint())
	b.loaded = true
	return nil
}

func (b *buffer) fail(op string, err error) error {
	return fmt.Errorf("task %s: store %s: %s: %w", b.task, b.name, op, err)
}

// size is that of a row as Kafka Streams counts it: key, time, context and values, without lengths.
func (l *bufferLayout) size(key, val []byte) uint32 {
	if l.bare {
		return uint32(len(key) + len(val))
	}
	return uint32(len(key) + len(val) - 20 - 8*headerCount(val))
}

// fits refuses a row that its changelog would not take.
func (b *buffer) fits(key, val []byte) error { return b.limit.check(b.task, b.name, key, len(val)) }

// put sets the row of a key. One that is there keeps its place.
func (b *buffer) put(key []byte, time int64, val []byte) {
	i, ok := b.lookup(key)
	if !ok {
		i = b.enter(key)
	}
	b.before(i, !ok)
	s := &b.slots[i]
	s.val, s.flags = b.mem.put(val), s.flags&^rowAway|rowUsed
	b.held += int64(len(val))
	if s.at < 0 {
		s.time = time
		b.enqueue(i)
		s = &b.slots[i]
	} else {
		b.bytes -= int64(s.size)
	}
	s.size = b.layout.size(key, val)
	b.bytes += int64(s.size)
	b.acct.addDirty(int64(s.size))
	b.acct.setTotal(b.footprint())
}

// remove removes a row.
func (b *buffer) remove(i uint32) {
	b.before(i, false)
	s := &b.slots[i]
	b.dequeue(i)
	s.val, s.flags = span{}, s.flags&^rowAway
	b.bytes -= int64(s.size)
	s.size = 0
}

// before notes a slot as it is, and that it is about to change. Its value belongs to the log then.
func (b *buffer) before(i uint32, fresh bool) {
	if len(b.log) == 0 {
		b.units.Touch(b)
	}
	s := &b.slots[i]
	b.log = append(b.log, bufferChange{i: i, was: *s, fresh: fresh, seq: b.seq})
	if s.flags&rowDirty == 0 {
		s.flags |= rowDirty
		b.dirty = append(b.dirty, i)
		b.acct.addDirty(slotCost)
	} else {
		b.acct.addDirty(-int64(s.size))
	}
}

// slotCost is about what a row takes beside its bytes.
const slotCost = 64

// value returns the bytes of a row, from the engine if it is away. They are valid until the unit ends, or the next call if away.
func (b *buffer) value(i uint32, room []byte) (val []byte, err error) {
	s := &b.slots[i]
	if s.flags&rowAway == 0 {
		return b.mem.bytes(s.val), nil
	}
	val, ok, err := b.engine.Get(room[:0], b.mem.bytes(s.key))
	if err == nil && !ok {
		err = fmt.Errorf("the engine has lost the row of key %.32q", b.mem.bytes(s.key))
	}
	if err != nil {
		return nil, b.fail("get", err)
	}
	return val, nil
}

// Len tells how many rows wait.
func (b *buffer) Len() int { return b.order.count }

// Bytes is the size of all rows as Kafka Streams counts it: keys, values, headers and coordinates.
func (b *buffer) Bytes() int64 { return b.bytes }

// RemoveFirst removes the first row. What was returned of it stays valid until its unit ends.
func (b *buffer) RemoveFirst() {
	if invariant.Enabled {
		invariant.Check(b.Len() > 0, "store %s: RemoveFirst of an empty buffer", b.name)
	}
	b.remove(b.firstSlot())
}

// Load fills the buffer from the engine, unless it has been. Other calls that may need it do it themselves, MinTime, Len and Bytes
// do not.
func (b *buffer) Load() error { return b.load() }

// Name is part of [Store].
func (b *buffer) Name() string { return b.name }

// DirtyBytes is part of [Store].
func (b *buffer) DirtyBytes() int { return int(b.acct.dirty) }

func (b *buffer) footprint() int64 {
	return b.mem.size + int64(cap(b.slots))*48 + int64(len(b.index))*4 + b.order.footprint()
}
