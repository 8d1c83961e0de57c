package state

import (
	"encoding/binary"
	"fmt"
	"maps"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// Subscriptions is the store of the right side of a foreign-key join: which rows of the left side wait for a key. Keys are
// Kafka Streams': the length of the foreign key in four bytes, the foreign key, the primary key, so that all subscriptions of a
// foreign key lie together, and none of another one between them.
type Subscriptions struct {
	core[[]byte, []byte]
	cbuf []byte
}

// OpenSubscriptions opens the store of a task.
func OpenSubscriptions(env *Env) (*Subscriptions, error) {
	s := new(Subscriptions)
	return s, s.open(env, serde.Bytes, serde.Bytes, true)
}

// SubscriptionSpec describes the store. Fields may be changed afterwards.
func SubscriptionSpec(name string) Spec {
	return Spec{
		Name: name, Kind: KindKeyValue, Logged: true, TopicConfig: maps.Clone(compacted), Timestamped: true,
		Open: func(env *Env) (Store, error) { return OpenSubscriptions(env) },
		FromChangelog: func(dst []byte, r record.Raw) (key, value []byte, err error) {
			if _, _, err := SplitCombinedKey(r.Key); err != nil {
				return nil, nil, err
			}
			return timestampedFromChangelog(dst, r)
		},
	}
}

// AppendCombinedKey appends the key of a subscription; without a primary key, the beginning of all keys of the foreign key.
func AppendCombinedKey(dst, foreign, primary []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(foreign)))
	return append(append(dst, foreign...), primary...)
}

// SplitCombinedKey takes a key apart. The parts alias it.
func SplitCombinedKey(key []byte) (foreign, primary []byte, err error) {
	if len(key) >= 4 {
		if n := binary.BigEndian.Uint32(key); uint64(n) <= uint64(len(key)-4) {
			return key[4 : 4+n : 4+n], key[4+n:], nil
		}
	}
	return nil, nil, fmt.Errorf("the key %x of a subscription is shorter than it says", key)
}

// Put remembers a subscription.
func (s *Subscriptions) Put(foreign, primary, value []byte, ts int64) error {
	s.cbuf = AppendCombinedKey(s.cbuf[:0], foreign, primary)
	return s.set(s.claim(s.cbuf), value, ts)
}

// Delete forgets a subscription. ts is the time of the tombstone.
func (s *Subscriptions) Delete(foreign, primary []byte, ts int64) error {
	s.cbuf = AppendCombinedKey(s.cbuf[:0], foreign, primary)
	s.remove(s.claim(s.cbuf), ts)
	return nil
}

// Of iterates over the subscriptions of a foreign key, in the order of their primary keys' bytes.
func (s *Subscriptions) Of(foreign []byte) (*SubscriptionCursor, error) {
	s.cbuf = AppendCombinedKey(s.cbuf[:0], foreign, nil)
	c, err := s.enc.openScan(s.engine, s.cbuf, PrefixEnd(s.cbuf), false)
	if err != nil {
		return nil, fmt.Errorf("task %s: store %s: iterate: %w", s.task, s.name, err)
	}
	return &SubscriptionCursor{s: s, c: c, head: len(s.cbuf)}, nil
}

// SubscriptionCursor iterates over subscriptions, as they were when it was opened. It ends with its unit. What it shows are views,
// valid until the next call of Next.
type SubscriptionCursor struct {
	s    *Subscriptions
	c    *scan[span]
	head int
	val  []byte
	ts   int64
	err  error
}

// Next goes to the next subscription. It returns false at the end and after an error.
func (c *SubscriptionCursor) Next() bool {
	if c.err != nil || !c.c.next() {
		return false
	}
	if c.c.raw == nil {
		c.val, c.ts = c.s.enc.mem.bytes(c.c.x), c.c.ts
		return true
	}
	c.val, c.ts, c.err = c.s.split(c.c.raw)
	return c.err == nil
}

// Primary returns the primary key.
func (c *SubscriptionCursor) Primary() []byte { return c.c.key[c.head:] }

// Value returns what was put.
func (c *SubscriptionCursor) Value() []byte { return c.val }

// Time returns the time of the subscription.
func (c *SubscriptionCursor) Time() int64 { return c.ts }

// Err returns what ended the iteration early, nil if nothing did.
func (c *SubscriptionCursor) Err() error {
	if c.err == nil && c.c.err != nil {
		return fmt.Errorf("task %s: store %s: iterate: %w", c.s.task, c.s.name, c.c.err)
	}
	return c.err
}

// Close ends the cursor.
func (c *SubscriptionCursor) Close() { c.c.stop() }
