package stream

import (
	"time"

	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/topology"
)

// VersionedRef is a versioned store, declared. It is opened in a processor's Init.
type VersionedRef[K, V any] struct{ d *windowDecl[K, V] }

// VersionedStoreOf declares a store that keeps the older values of a key for a time, its history: name it in [Process], open it in
// Init. What is put later than that is not written.
func VersionedStoreOf[K, V any](name string, history time.Duration, k serde.Serde[K], v serde.Serde[V], opts ...StoreOption) VersionedRef[K, V] {
	d := &windowDecl[K, V]{name: name, size: history, key: k, value: v, set: start("VersionedStoreOf")}
	for _, o := range opts {
		o.store(&d.set)
	}
	return VersionedRef[K, V]{d}
}

func (r VersionedRef[K, V]) add(c *topology.Compiler, n *topology.Node) {
	d := r.d
	switch {
	case d == nil:
		c.Fault("a store of its list is a zero VersionedRef: declare it with VersionedStoreOf")
	case d.key == nil || d.value == nil:
		c.Fault("store %q, declared at %s, has a nil serde", d.name, d.set.site)
	case d.size < 0:
		c.Fault("store %q, declared at %s, has a history of %v: it must not be negative", d.name, d.set.site, d.size)
	case d.set.retention.IsSome():
		c.Fault("store %q, declared at %s, has a Retention: how long it keeps values is its history", d.name, d.set.site)
	default:
		d.store(c, n, state.VersionedSpec(d.name, d.key, d.value, state.VersionedConfig{History: d.size.Milliseconds()}))
	}
}

// Open returns the store in the task of a processor that is being initialised.
func (r VersionedRef[K, V]) Open(c initer) *VersionedStore[K, V] {
	o := c.stores()
	s, ok := r.d.opened(o, "VersionedRef", "VersionedStoreOf").(*state.Versioned[K, V])
	if !ok {
		o.misuse("a versioned store is opened that is another one")
	}
	return &VersionedStore[K, V]{o, s}
}

// VersionedStore is a versioned store in a task, with Kafka Streams' rules (KIP-889). Its writes are undone with a record that fails.
type VersionedStore[K, V any] struct {
	o *opener
	s *state.Versioned[K, V]
}

// Put writes the value that a key has from a time on, until the next version. written is false if it came later than the history
// reaches back.
func (s *VersionedStore[K, V]) Put(k K, v V, at time.Time) (written bool, err error) {
	if s.s == nil {
		return false, s.o.err
	}
	_, written, err = s.s.Put(k, Some(v), at.UnixMilli())
	return written, s.o.failed(err)
}

// Delete says that a key has no value from a time on. It returns the version that it ends; ok is false if there is none.
func (s *VersionedStore[K, V]) Delete(k K, at time.Time) (ended Version[V], ok bool, err error) {
	if s.s == nil {
		return ended, false, s.o.err
	}
	was, _, err := s.s.Delete(k, at.UnixMilli())
	v, ok := was.Get()
	if ok {
		ended = versionOf(v.Value, v.From, v.To)
	}
	return ended, ok, s.o.failed(err)
}

// Get returns the last value of a key; ok is false if it has none.
func (s *VersionedStore[K, V]) Get(k K) (last Version[V], ok bool, err error) {
	if s.s == nil {
		return last, false, s.o.err
	}
	v, from, ok, err := s.s.Get(k)
	if ok {
		last = versionOf(v, from, state.StillValid)
	}
	return last, ok, s.o.failed(err)
}

// GetAsOf returns the value that a key had at a time. What is older than the history is not found, unless it is the last value.
func (s *VersionedStore[K, V]) GetAsOf(k K, at time.Time) (then Version[V], ok bool, err error) {
	if s.s == nil {
		return then, false, s.o.err
	}
	v, ok, err := s.s.GetAsOf(k, at.UnixMilli())
	if ok {
		then = versionOf(v.Value, v.From, v.To)
	}
	return then, ok, s.o.failed(err)
}

// Range returns the values of a key that were valid at a time from from to to, both included, the newest first.
func (s *VersionedStore[K, V]) Range(k K, from, to time.Time) (versions []Version[V], err error) {
	if s.s == nil {
		return nil, s.o.err
	}
	list, err := s.s.Range(k, from.UnixMilli(), to.UnixMilli())
	for _, v := range list {
		versions = append(versions, versionOf(v.Value, v.From, v.To))
	}
	return versions, s.o.failed(err)
}
