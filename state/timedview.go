package state

import (
	"errors"
	"math"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// TimedView reads the rows of a window or session store from an engine, for queries. Rows that the store does not show any more
// are not shown here either. It may be used by any goroutine.
type TimedView[K, V any] struct {
	*View[record.Windowed[K], V]
	inner serde.Serde[K]
	shape segments // geometry only: each read fills in the stream time that its engine has
}

// newWindowView views the store of a windowed table.
func newWindowView[K, V any](name string, keys serde.Serde[K], vals serde.Serde[V], g *segments) *TimedView[K, V] {
	keys = owned(keys)
	return &TimedView[K, V]{newView[record.Windowed[K], V](name, windowKeys[K]{keys, g.size}, vals, true), keys, *g}
}

// newSessionView views the store of a table of sessions.
func newSessionView[K, V any](name string, keys serde.Serde[K], vals serde.Serde[V], g *segments) *TimedView[K, V] {
	keys = owned(keys)
	return &TimedView[K, V]{newView[record.Windowed[K], V](name, sessionKeys[K]{keys}, vals, true), keys, *g}
}

// InnerKey encodes the key inside of a windowed one.
func (v *TimedView[K, V]) InnerKey(k K) ([]byte, error) {
	b, err := v.inner.Append([]byte{}, k)
	if err != nil {
		return nil, v.fail("encode key", nil, err)
	}
	return b, nil
}

// now returns the geometry of the store with the stream time that an engine has.
func (v *TimedView[K, V]) now(es EngineStore) (*segments, error) {
	g := v.shape
	now, err := v.shape.stored(es)
	g.clock.now = now
	return &g, err
}

// Get returns a row by its windowed key.
func (v *TimedView[K, V]) Get(es EngineStore, k record.Windowed[K]) (row Seen[record.Windowed[K], V], ok bool, err error) {
	key, err := v.Key(k)
	if err != nil {
		return row, false, err
	}
	g, err := v.now(es)
	if err != nil || g.timeOf(key) < g.oldest() {
		return row, false, err
	}
	b, ok, err := es.Get(nil, g.appendEngineKey(nil, key))
	if !ok || err != nil {
		return row, false, err
	}
	row, err = v.Row(key, b)
	return row, err == nil, err
}

// Between is a range of rows: those of a key, or of all keys if it is nil, with times (window starts, session ends) in [From, To];
// of sessions of one key those that start at Late or before.
type Between struct {
	Key            []byte
	From, To, Late int64
}

// Everything is all rows of all keys.
func Everything() Between { return Between{To: math.MaxInt64, Late: math.MaxInt64} }

// Iter iterates over the rows of a range, in the order of the store, as they are now. Their keys are for [View.Row].
func (v *TimedView[K, V]) Iter(es EngineStore, r Between, reverse bool) (Iterator, error) {
	g, err := v.now(es)
	if err != nil {
		return nil, err
	}
	rng := timeRange{key: r.Key, from: r.From, to: r.To, late: r.Late}
	if !g.clip(&rng) {
		return &chain{}, nil
	}
	first, last := g.segment(rng.from), g.segment(rng.to)
	if rng.key == nil {
		it := &segmentIter{g: g, eng: es, rng: rng, reverse: reverse, first: first, last: last}
		it.open()
		return it, it.err
	}
	c := &chain{}
	for s := first; s <= last; s++ { // opened now, so that no later commit is seen
		at := s
		if reverse {
			at = last - (s - first)
		}
		it := &segmentIter{g: g, eng: es, rng: rng, reverse: reverse, first: at, last: at}
		c.of = append(c.of, it)
		if it.open(); it.err != nil {
			return nil, errors.Join(it.err, c.Close())
		}
	}
	return c, nil
}

// Compare orders rows of different tasks as [TimedView.Iter] orders those of one.
func (v *TimedView[K, V]) Compare(a, b []byte) int { return v.shape.compare(a, b) }

// chain walks several iterators, one after the other.
type chain struct {
	of []Iterator
	at int
}

func (c *chain) Next() bool {
	for ; c.at < len(c.of); c.at++ {
		if c.of[c.at].Next() {
			return true
		}
		if c.of[c.at].Err() != nil {
			return false
		}
	}
	return false
}

func (c *chain) Key() []byte   { return c.of[c.at].Key() }
func (c *chain) Value() []byte { return c.of[c.at].Value() }

func (c *chain) Err() error {
	if c.at < len(c.of) {
		return c.of[c.at].Err()
	}
	return nil
}

func (c *chain) Close() error {
	var errs []error
	for _, it := range c.of {
		errs = append(errs, it.Close())
	}
	return errors.Join(errs...)
}

// VersionedView reads a versioned store from an engine, for queries. It may be used by any goroutine.
type VersionedView[K, V any] struct {
	name string
	keys serde.Serde[K]
	vals serde.Serde[V]
	cfg  VersionedConfig
}

// Key encodes a key.
func (v *VersionedView[K, V]) Key(k K) ([]byte, error) {
	return newView(v.name, v.keys, v.vals, false).Key(k)
}

// Open opens the store as it is committed, to be read by one goroutine and then forgotten. A commit meanwhile may be seen in part:
// of a version that it ends, the end. Who needs one state reads again when the stored offset has changed.
func (v *VersionedView[K, V]) Open(es EngineStore, task record.TaskID) (*Versioned[K, V], error) {
	return OpenVersioned(&Env{Task: task, Units: new(record.Units), Engine: es}, v.keys, v.vals, v.cfg)
}
