package stream

import (
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/topology"
)

// LRURef is a map that keeps the rows used last, declared. It is opened in a processor's Init.
type LRURef[K, V any] struct{ d *lruDecl[K, V] }

type lruDecl[K, V any] struct {
	windowDecl[K, V]
	rows int
}

// LRUMap declares a map that keeps a number of rows in memory, those that were used last, whether by Get or by Put: name it in
// [Process], open it in Init. A row that is given up is deleted from the changelog too. After a restart the rows written last
// count as used last.
func LRUMap[K, V any](name string, rows int, k serde.Serde[K], v serde.Serde[V], opts ...StoreOption) LRURef[K, V] {
	d := &lruDecl[K, V]{rows: rows}
	d.name, d.key, d.value, d.set = name, k, v, start("LRUMap")
	for _, o := range opts {
		o.store(&d.set)
	}
	return LRURef[K, V]{d}
}

func (r LRURef[K, V]) add(c *topology.Compiler, n *topology.Node) {
	d := r.d
	switch {
	case d == nil:
		c.Fault("a store of its list is a zero LRURef: declare it with LRUMap")
	case d.key == nil || d.value == nil:
		c.Fault("store %q, declared at %s, has a nil serde", d.name, d.set.site)
	case d.rows < 1:
		c.Fault("store %q, declared at %s, keeps %d rows: it must keep one at least", d.name, d.set.site, d.rows)
	case d.set.retention.IsSome():
		c.Fault("store %q, declared at %s, has a Retention: only stores of windows and sessions have one", d.name, d.set.site)
	default:
		spec := state.LRUSpec(d.name, d.rows, d.key, d.value)
		spec.Logged = !d.set.noChangelog
		c.Store(n, &topology.Store{Name: d.name, Spec: spec, Identity: d})
	}
}

// Open returns the store in the task of a processor that is being initialised.
func (r LRURef[K, V]) Open(c initer) *LRUStore[K, V] {
	o := c.stores()
	var d *windowDecl[K, V]
	if r.d != nil {
		d = &r.d.windowDecl
	}
	s, ok := d.opened(o, "LRURef", "LRUMap").(*state.LRU[K, V])
	if !ok {
		o.misuse("an LRUMap is opened that is another store")
	}
	return &LRUStore[K, V]{o, s}
}

// LRUStore is a map that keeps the rows used last, in a task. What a record does to it, and to the order of its rows, is undone
// if the record fails.
type LRUStore[K, V any] struct {
	o *opener
	s *state.LRU[K, V]
}

// Get returns the value of a key and uses it; ok is false if there is none.
func (l *LRUStore[K, V]) Get(k K) (v V, ok bool, err error) {
	if l.s == nil {
		return v, false, l.o.err
	}
	v, ok, err = l.s.Get(k)
	return v, ok, l.o.failed(err)
}

// Put sets the value of a key and uses it. If there are too many rows, the one that was not used for the longest time goes.
func (l *LRUStore[K, V]) Put(k K, v V) error {
	if l.s == nil {
		return l.o.err
	}
	return l.o.failed(l.s.Put(k, v))
}

// PutIfAbsent sets the value of a key that has none; it returns the one it has.
func (l *LRUStore[K, V]) PutIfAbsent(k K, v V) (had V, ok bool, err error) {
	if l.s == nil {
		return had, false, l.o.err
	}
	had, ok, err = l.s.PutIfAbsent(k, v)
	return had, ok, l.o.failed(err)
}

// Delete removes a key, if it is there.
func (l *LRUStore[K, V]) Delete(k K) error {
	if l.s == nil {
		return l.o.err
	}
	return l.o.failed(l.s.Delete(k))
}

// Len returns the number of rows.
func (l *LRUStore[K, V]) Len() (int, error) {
	if l.s == nil {
		return 0, l.o.err
	}
	n, err := l.s.Len()
	return n, l.o.failed(err)
}
