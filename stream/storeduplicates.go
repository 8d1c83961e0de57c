package stream

import (
	"iter"
	"time"

	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/topology"
)

// DuplicatesRef is a store of values by key and time that keeps duplicates, declared. It is opened in a processor's Init.
type DuplicatesRef[K, V any] struct{ d *windowDecl[K, V] }

// DuplicatesStoreOf declares a store of values by key and time, in which no value takes the place of another: name it in [Process],
// open it in Init. It keeps values for a time, by its own stream time, the latest of a value that was put. It is Kafka Streams' window
// store that retains duplicates.
func DuplicatesStoreOf[K, V any](name string, retention time.Duration, k serde.Serde[K], v serde.Serde[V], opts ...StoreOption) DuplicatesRef[K, V] {
	d := &windowDecl[K, V]{name: name, key: k, value: v, set: start("DuplicatesStoreOf")}
	d.set.retention = Some(retention)
	for _, o := range opts {
		o.store(&d.set)
	}
	return DuplicatesRef[K, V]{d}
}

func (r DuplicatesRef[K, V]) add(c *topology.Compiler, n *topology.Node) {
	if kept, ok := r.d.ready(c, "DuplicatesRef", "DuplicatesStoreOf"); ok {
		r.d.store(c, n, state.JoinStoreSpec(r.d.name, r.d.key, r.d.value, state.WindowConfig{Retention: kept}))
	}
}

// Open returns the store in the task of a processor that is being initialised.
func (r DuplicatesRef[K, V]) Open(c initer) *DuplicatesStore[K, V] {
	o := c.stores()
	s, ok := r.d.opened(o, "DuplicatesRef", "DuplicatesStoreOf").(*state.JoinStore[K, V])
	if !ok {
		o.misuse("a store of duplicates is opened that is another one")
	}
	return &DuplicatesStore[K, V]{o, s}
}

// DuplicatesStore is a store of values by key and time in a task. Its writes are undone with a record that fails.
type DuplicatesStore[K, V any] struct {
	o *opener
	s *state.JoinStore[K, V]
}

// Put adds a value. One that is older than the retention is not kept.
func (s *DuplicatesStore[K, V]) Put(k K, at time.Time, v V) error {
	if s.s == nil {
		return s.o.err
	}
	return s.o.failed(s.s.Put(k, at.UnixMilli(), v))
}

// Fetch goes through the values of a key with times from from to to, both included, by time, then in the order in which they were put.
func (s *DuplicatesStore[K, V]) Fetch(k K, from, to time.Time) iter.Seq2[time.Time, V] {
	if s.s == nil {
		return nothing[time.Time, V]
	}
	return func(yield func(time.Time, V) bool) {
		c, err := s.s.Fetch(k, from.UnixMilli(), to.UnixMilli())
		if s.o.failed(err) != nil {
			return
		}
		defer c.Close()
		for c.Next() {
			if !yield(time.UnixMilli(c.Time()).UTC(), c.Value()) {
				return
			}
		}
		s.o.failed(c.Err())
	}
}
