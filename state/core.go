package state

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"unsafe"

	"github.com/oxbow-streams/oxbow/internal/invariant"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// maxDecoded is the largest value that is kept decoded: slots and undo log have room for one each.
const maxDecoded = 256

// core is what plain and timestamped stores share. Values are kept decoded in dec or encoded in enc; the other is nil.
type core[K, V any] struct {
	name   string
	task   record.TaskID
	keys   serde.Serde[K]
	vals   serde.Serde[V]
	engine EngineStore
	seg    *segments // of a window or session store; else nil
	given  serde.Serde[V]
	curs   []*Cursor[K, V] // of windows and sessions, to use again in a later unit
	none   Cursor[K, V]    // without rows
	inUse  int             // those that the running unit has
	epoch  uint64          // which unit that is

	dec  *cache[V]
	enc  *cache[span]
	cold untyped // dec or enc, for what is not done per record

	clone func(V) V // of a serde.Cloner that dec keeps; else nil
	check bool      // encode a value that dec keeps when it is put: its serde may fail
	stamp bool      // engine values begin with their time
	view  bool      // the values' serde was serde.BytesView
	time  *int64
	limit limit

	kbuf, vbuf []byte
	pbuf       []byte // a key without its times
}

// untyped is what a cache does whatever it holds.
type untyped interface {
	record.Undoer
	freeze(*freezing) error
	applied()
	reset()
	close()
	dirtyBytes() int64
	noted() int
	stats() StoreStats
	warm(keys [][]byte)
	divide(g *segments)
	ended() uint64
	coverKey(key []byte, from int64, eng EngineStore) error
	cached(r *timeRange, eng EngineStore) (rows []place, all bool, err error)
	nextSeq(key []byte, time int64, eng EngineStore) (uint32, error)
}

func (c *core[K, V]) open(env *Env, keys serde.Serde[K], vals serde.Serde[V], stamp bool) error {
	if keys == nil || vals == nil || env.Engine == nil || env.Units == nil {
		return fmt.Errorf("task %s: open store: key serde, value serde, engine and units must be given", env.Task)
	}
	*c = core[K, V]{
		name: env.Engine.Name(), task: env.Task, engine: env.Engine, time: env.Time,
		keys: owned(keys), vals: owned(vals), given: vals, stamp: stamp, view: isView(vals),
		kbuf: make([]byte, 0, 64), vbuf: make([]byte, 0, 64), pbuf: make([]byte, 0, 64),
	}
	c.none.core = c
	if c.time == nil {
		c.time = new(int64)
	}
	c.limit = limit(env.RecordBytes)
	strs, flat := flatType(reflect.TypeFor[V]())
	cloner, clones := vals.(serde.Cloner[V])
	if (flat || clones) && unsafe.Sizeof(*new(V)) <= maxDecoded {
		c.dec = newCache(env.Units, env.Budget, hooks[V]{load: c.engine.Get, empty: c.isEmpty, decode: c.decodeValue, encode: c.encodeValue})
		c.cold = c.dec
		c.dec.plain = flat && len(strs) == 0
		c.dec.pointers = !c.dec.plain
		c.dec.sizes = strs
		_, infallible := vals.(serde.Infallible)
		c.check = !infallible
		if !flat {
			c.clone = cloner.Clone
		}
		return nil
	}
	c.enc = newCache(env.Units, env.Budget, hooks[span]{
		load: c.engine.Get, empty: c.isEmpty, decode: c.keepBytes, encode: c.copyBytes, span: func(s span) span { return s },
	})
	c.cold = c.enc
	return nil
}

// isEmpty tells whether the engine has no key of the store.
func (c *core[K, V]) isEmpty() (bool, error) {
	it, err := c.engine.Iter(nil, nil, false)
	if err != nil {
		return false, err
	}
	any := it.Next()
	err = it.Err()
	if cerr := it.Close(); err == nil {
		err = cerr
	}
	return !any, err
}

// split takes the time off an engine value.
func (c *core[K, V]) split(b []byte) (value []byte, ts int64, err error) {
	if !c.stamp {
		return b, 0, nil
	}
	if len(b) < 8 {
		return nil, 0, &CodecError{c.task, c.name, "decode value", c.kbuf, fmt.Errorf("%d bytes, too few for a timestamp", len(b))}
	}
	return b[8:], int64(binary.BigEndian.Uint64(b)), nil
}

func (c *core[K, V]) decodeValue(b []byte) (v V, ts int64, err error) {
	if b, ts, err = c.split(b); err != nil {
		return v, 0, err
	}
	if v, err = c.vals.Decode(b); err != nil {
		err = c.fail("decode value", c.kbuf, err)
	}
	return v, ts, err
}

func (c *core[K, V]) encodeValue(dst []byte, v *V) ([]byte, error) {
	b, err := c.vals.Append(dst, *v)
	if err != nil {
		return dst, c.fail("encode value", nil, err)
	}
	return b, nil
}

func (c *core[K, V]) keepBytes(b []byte) (s span, ts int64, err error) {
	if b, ts, err = c.split(b); err != nil {
		return span{}, 0, err
	}
	return c.enc.mem.put(b), ts, nil
}

func (c *core[K, V]) copyBytes(dst []byte, s *span) ([]byte, error) {
	return append(dst, c.enc.mem.bytes(*s)...), nil
}

func (c *core[K, V]) fail(op string, key []byte, err error) error {
	return &CodecError{c.task, c.name, op, append([]byte(nil), key...), err}
}

// key encodes k. The bytes are valid until the next call.
func (c *core[K, V]) key(k K) ([]byte, error) {
	b, err := c.keys.Append(c.kbuf[:0], k)
	if err != nil {
		return nil, c.fail("encode key", nil, err)
	}
	c.kbuf = b
	return b, nil
}

// find returns the slot of the key, loaded.
func (c *core[K, V]) find(k K) (uint32, error) {
	b, err := c.keys.Append(c.kbuf[:0], k)
	if err != nil {
		return 0, c.fail("encode key", nil, err)
	}
	c.kbuf = b
	return c.findKey(b)
}

// findKey returns the slot of an encoded key, loaded.
func (c *core[K, V]) findKey(b []byte) (i uint32, err error) {
	if c.seg != nil && !c.seg.visible(b) {
		return c.seg.void, nil
	}
	if c.dec != nil {
		i, err = c.dec.find(b)
	} else {
		i, err = c.enc.find(b)
	}
	if invariant.Enabled && c.seg != nil {
		c.seg.found = i
	}
	return i, err
}

// value returns what a loaded slot holds.
func (c *core[K, V]) value(i uint32) (v V, ts int64, ok bool, err error) {
	if c.dec != nil {
		s := c.dec.slot(i)
		if s.meta&slotPresent == 0 {
			return v, s.ts, false, nil
		}
		if c.clone != nil {
			return c.clone(s.val), s.ts, true, nil
		}
		return s.val, s.ts, true, nil
	}
	s := c.enc.slot(i)
	if s.meta&slotPresent == 0 {
		return v, s.ts, false, nil
	}
	if v, err = c.vals.Decode(c.enc.mem.bytes(s.val)); err != nil {
		return v, s.ts, false, c.fail("decode value", c.enc.keyOf(s), err)
	}
	return v, s.ts, true, nil
}

// set writes a slot.
func (c *core[K, V]) set(i uint32, v V, ts int64) error {
	if c.seg != nil && !c.seg.writes(i) {
		return nil
	}
	if c.dec != nil {
		size := -1
		if c.check {
			b, err := c.tryEncode(v)
			if err != nil {
				return err
			}
			size = len(b)
		}
		if c.limit != 0 {
			if err := c.checkDecoded(i, &v, size); err != nil {
				return err
			}
		}
		if c.clone != nil {
			v = c.clone(v)
		}
		c.dec.write(i, v, true, ts)
		return nil
	}
	b, err := c.tryEncode(v)
	if err != nil {
		return err
	}
	if c.limit != 0 {
		if err := c.limit.check(c.task, c.name, c.enc.keyOf(c.enc.slot(i)), len(b)); err != nil {
			return err
		}
	}
	c.enc.write(i, c.enc.mem.put(b), true, ts)
	c.enc.acct.setTotal(c.enc.footprint())
	return nil
}

// tryEncode encodes v. The bytes are valid until the next call.
func (c *core[K, V]) tryEncode(v V) ([]byte, error) {
	b, err := c.vals.Append(c.vbuf[:0], v)
	if err != nil {
		return nil, c.fail("encode value", c.kbuf, err)
	}
	if cap(b) <= loadRoom {
		c.vbuf = b
	}
	return b, nil
}

// remove deletes a slot's value.
func (c *core[K, V]) remove(i uint32, ts int64) {
	if c.seg != nil && !c.seg.writes(i) {
		return
	}
	if c.dec != nil {
		var zero V
		c.dec.write(i, zero, false, ts)
	} else {
		c.enc.write(i, span{}, false, ts)
	}
}

// Name returns the name of the store.
func (c *core[K, V]) Name() string { return c.name }

// Warm says that these encoded keys, at most WarmMost, will be looked up after those of the call before. It changes nothing but the
// time that takes.
func (c *core[K, V]) Warm(keys [][]byte) { c.cold.warm(keys) }

// Mark is part of [record.Undoer].
func (c *core[K, V]) Mark() int { return c.cold.Mark() }

// Undo is part of [record.Undoer].
func (c *core[K, V]) Undo(mark int) { c.cold.Undo(mark) }

// Release is part of [record.Undoer].
func (c *core[K, V]) Release() { c.cold.Release() }

// DirtyBytes is part of [Store].
func (c *core[K, V]) DirtyBytes() int { return int(c.cold.dirtyBytes()) }

// Freeze is part of [Store].
func (c *core[K, V]) Freeze(b Batch, log Changelog) error {
	err := c.cold.freeze(&freezing{store: c.engine, batch: b, log: log, stamp: c.stamp, buf: c.vbuf[:0]})
	if err != nil {
		return fmt.Errorf("task %s: store %s: freeze: %w", c.task, c.name, err)
	}
	return nil
}

// Applied is part of [Store].
func (c *core[K, V]) Applied() { c.cold.applied() }

// Reset is part of [Store].
func (c *core[K, V]) Reset() { c.cold.reset() }

// Close is part of [Store].
func (c *core[K, V]) Close() error {
	c.cold.close()
	return nil
}
