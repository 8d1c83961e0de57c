package state

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"math"
)

// Cursor iterates over a store, as it was when the cursor was opened. It ends with its unit; who stops early may close it
// before, or leave that to the unit.
//
//	for c.Next() {
//		use(c.Key(), c.Value())
//	}
//	return c.Err()
type Cursor[K, V any] struct {
	core *core[K, V]
	dec  *scan[V]
	enc  *scan[span]

	// of windows and sessions
	age  uint32                 // of the scan when it was opened
	span func(k *K, key []byte) // not nil: all rows are of one key, and this sets the times of key
	byAt *byTime[K, V]          // not nil: rows come by time
	held []byte                 // the value, if it is shown as a view

	key   K
	value V
	time  int64
	err   error
}

func (c *core[K, V]) scan(lower, upper []byte, reverse bool) (cur *Cursor[K, V], err error) {
	if c.seg != nil && (lower != nil || upper != nil) {
		return nil, fmt.Errorf("task %s: store %s: iterate: rows of a %s store are asked for by time", c.task, c.name, c.seg.kind)
	}
	if c.seg != nil {
		return c.inRange(timeRange{to: math.MaxInt64}, reverse)
	}
	cur = &Cursor[K, V]{core: c}
	if lower != nil && upper != nil && bytes.Compare(lower, upper) >= 0 {
		return cur, nil
	}
	if c.dec != nil {
		cur.dec, err = c.dec.openScan(c.engine, lower, upper, reverse)
	} else {
		cur.enc, err = c.enc.openScan(c.engine, lower, upper, reverse)
	}
	if err != nil {
		return nil, fmt.Errorf("task %s: store %s: iterate: %w", c.task, c.name, err)
	}
	return cur, nil
}

// Next goes to the next key. It returns false at the end and after an error.
func (cur *Cursor[K, V]) Next() bool {
	c := cur.core
	var key, raw []byte
	switch {
	case cur.err != nil:
		return false
	case cur.byAt != nil:
		return cur.nextByTime()
	case cur.stale():
		return cur.stopped(errEnded)
	case cur.dec != nil:
		if !cur.dec.next() {
			return cur.stopped(cur.dec.err)
		}
		if key, raw = cur.dec.key, cur.dec.raw; raw == nil {
			cur.value, cur.time = cur.dec.x, cur.dec.ts
			if c.clone != nil {
				cur.value = c.clone(cur.value)
			}
		}
	case cur.enc != nil:
		if !cur.enc.next() {
			return cur.stopped(cur.enc.err)
		}
		if key, raw = cur.enc.key, cur.enc.raw; raw == nil {
			raw, cur.time = c.enc.mem.bytes(cur.enc.x), cur.enc.ts
			return cur.decode(key, raw)
		}
	default:
		return false // an empty range
	}
	if raw == nil {
		return cur.decode(key, nil)
	}
	b, ts, err := c.split(raw)
	if err != nil {
		cur.err = err
		return false
	}
	cur.time = ts
	return cur.decode(key, b)
}

// stale tells whether the scan of the cursor serves another one by now.
func (cur *Cursor[K, V]) stale() bool {
	return cur.dec != nil && cur.dec.age != cur.age || cur.enc != nil && cur.enc.age != cur.age
}

// bytes returns the encoded key of the current row.
func (cur *Cursor[K, V]) bytes() []byte {
	if cur.dec != nil {
		return cur.dec.key
	}
	return cur.enc.key
}

// decode decodes the key and, unless it is nil, the value.
func (cur *Cursor[K, V]) decode(key, value []byte) bool {
	c := cur.core
	var err error
	if cur.span != nil {
		cur.span(&cur.key, key)
	} else if cur.key, err = c.keys.Decode(key); err != nil {
		cur.err = c.fail("decode key", key, err)
		return false
	}
	if value == nil {
		return true
	}
	if c.view && cur.span != nil {
		cur.held = append(cur.held[:0], value...)
		cur.value, err = c.given.Decode(cur.held)
		return err == nil
	}
	if cur.value, err = c.vals.Decode(value); err != nil {
		cur.err = c.fail("decode value", key, err)
		return false
	}
	return true
}

func (cur *Cursor[K, V]) stopped(err error) bool {
	if err != nil {
		cur.err = fmt.Errorf("task %s: store %s: iterate: %w", cur.core.task, cur.core.name, err)
	}
	return false
}

// Key returns the current key.
func (cur *Cursor[K, V]) Key() K { return cur.key }

// Value returns the value of the current key.
func (cur *Cursor[K, V]) Value() V { return cur.value }

// Time returns the time of the current value, 0 if the store keeps none.
func (cur *Cursor[K, V]) Time() int64 { return cur.time }

// Err returns what ended the iteration early, nil if nothing did.
func (cur *Cursor[K, V]) Err() error { return cur.err }

// Skip goes past a row that cannot be read, so that Next goes on behind it. It returns false if that is not what ended the iteration.
func (cur *Cursor[K, V]) Skip() bool {
	if c := (*CodecError)(nil); !errors.As(cur.err, &c) {
		return false
	}
	cur.err = nil
	return true
}

// Raw returns the row that Next has come to as it is kept, for one that cannot be read. The bytes are valid until the next Next.
func (cur *Cursor[K, V]) Raw() (key, value []byte) {
	c := cur.core
	switch {
	case cur.byAt != nil:
		row := &cur.byAt.rows[cur.byAt.at-1]
		return row.bytes, row.raw
	case cur.stale():
		return nil, nil
	case cur.enc != nil && cur.enc.raw == nil:
		return cur.enc.key, c.enc.mem.bytes(cur.enc.x)
	case cur.enc != nil:
		key, value = cur.enc.key, cur.enc.raw
	case cur.dec != nil && cur.dec.raw == nil:
		value, _ = c.vals.Append([]byte{}, cur.dec.x) // what cannot be encoded is left null
		return cur.dec.key, value
	case cur.dec != nil:
		key, value = cur.dec.key, cur.dec.raw
	}
	if b, _, err := c.split(value); err == nil {
		value = b
	}
	return key, value
}

// Close ends the cursor. It may be called more than once, or not at all.
func (cur *Cursor[K, V]) Close() {
	switch {
	case cur.byAt != nil:
		cur.byAt.from.Close()
	case cur.stale():
	case cur.dec != nil:
		cur.dec.stop()
	case cur.enc != nil:
		cur.enc.stop()
	}
}

// Seq returns what is left as a sequence, and closes the cursor after it. Look at Err when it has ended.
func (cur *Cursor[K, V]) Seq() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		defer cur.Close()
		for cur.Next() {
			if !yield(cur.key, cur.value) {
				return
			}
		}
	}
}
