package stream

import (
	"iter"
	"math"
	"slices"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/topology"
)

// Rules of window stores, as in Kafka Streams:
//
//	The stream time of a store is the latest start of a window that was put or deleted; of a session, the latest end. What is not
//	later than stream time minus retention is not there any more, and putting it does nothing.
//	All windows of one key are iterated by start; sessions by end, then by start. Those of all keys come by stretches of time, in
//	each by key.
//	The changelog topic has what is retained, and a day more.

// WindowRef is a store of windows, declared. It is opened in a processor's Init.
type WindowRef[K, V any] struct{ d *windowDecl[K, V] }

// SessionRef is a store of sessions, declared. It is opened in a processor's Init.
type SessionRef[K, V any] struct{ d *windowDecl[K, V] }

// windowDecl declares a store of windows, or of sessions if it has no size.
type windowDecl[K, V any] struct {
	name  string
	size  time.Duration
	key   serde.Serde[K]
	value serde.Serde[V]
	set   settings
}

// WindowStoreOf declares a store of windows of a size: name it in [Process], open it in Init. Without [Retention] it keeps
// windows as long as their size.
func WindowStoreOf[K, V any](name string, size time.Duration, k serde.Serde[K], v serde.Serde[V], opts ...StoreOption) WindowRef[K, V] {
	d := &windowDecl[K, V]{name: name, size: size, key: k, value: v, set: start("WindowStoreOf")}
	for _, o := range opts {
		o.store(&d.set)
	}
	return WindowRef[K, V]{d}
}

// SessionStoreOf declares a store of sessions, which it keeps for a time after their ends: name it in [Process], open it in Init.
func SessionStoreOf[K, V any](name string, retention time.Duration, k serde.Serde[K], v serde.Serde[V], opts ...StoreOption) SessionRef[K, V] {
	d := &windowDecl[K, V]{name: name, key: k, value: v, set: start("SessionStoreOf")}
	d.set.retention = Some(retention)
	for _, o := range opts {
		o.store(&d.set)
	}
	return SessionRef[K, V]{d}
}

// ready faults what is wrong with a declaration, and returns the retention in ms.
func (d *windowDecl[K, V]) ready(c *topology.Compiler, ref, with string) (retention int64, ok bool) {
	if d == nil {
		c.Fault("a store of its list is a zero %s: declare it with %s", ref, with)
		return 0, false
	}
	if d.key == nil || d.value == nil {
		c.Fault("store %q, declared at %s, has a nil serde", d.name, d.set.site)
		return 0, false
	}
	kept := d.set.retention.Or(d.size)
	if kept < max(d.size, time.Millisecond) || with == "WindowStoreOf" && d.size < time.Millisecond {
		c.Fault("store %q, declared at %s, keeps windows of %v for %v: both must be 1ms at least, and Retention not less than the size",
			d.name, d.set.site, d.size, kept)
		return 0, false
	}
	return kept.Milliseconds(), true
}

func (d *windowDecl[K, V]) store(c *topology.Compiler, n *topology.Node, spec state.Spec) {
	spec.InMemory, spec.Logged = d.set.inMemory, !d.set.noChangelog
	c.Store(n, &topology.Store{Name: d.name, Spec: spec, Identity: d})
}

func (r WindowRef[K, V]) add(c *topology.Compiler, n *topology.Node) {
	if kept, ok := r.d.ready(c, "WindowRef", "WindowStoreOf"); ok {
		cfg := state.WindowConfig{Size: r.d.size.Milliseconds(), Retention: kept}
		r.d.store(c, n, state.WindowSpec(r.d.name, r.d.key, r.d.value, cfg))
	}
}

func (r SessionRef[K, V]) add(c *topology.Compiler, n *topology.Node) {
	if kept, ok := r.d.ready(c, "SessionRef", "SessionStoreOf"); ok {
		r.d.store(c, n, state.SessionSpec(r.d.name, r.d.key, r.d.value, state.SessionConfig{Retention: kept}))
	}
}

// opened returns the store of a declaration in a task.
func (d *windowDecl[K, V]) opened(o *opener, ref, with string) (s state.Store) {
	if d == nil {
		o.misuse("a zero %s is opened: declare it with %s", ref, with)
		return nil
	}
	if s = o.in.Store(d.name); s == nil || !slices.Contains(o.names, d.name) {
		o.misuse("store %q is opened, but is not in the list that Process was given: %v", d.name, o.names)
		return nil
	}
	return s
}

// Open returns the store in the task of a processor that is being initialised.
func (r WindowRef[K, V]) Open(c initer) *WindowStore[K, V] {
	o := c.stores()
	w, ok := r.d.opened(o, "WindowRef", "WindowStoreOf").(*state.WindowTable[K, V])
	if !ok {
		o.misuse("a store of windows is opened that is another one")
	}
	return &WindowStore[K, V]{o, w}
}

// Open returns the store in the task of a processor that is being initialised.
func (r SessionRef[K, V]) Open(c initer) *SessionStore[K, V] {
	o := c.stores()
	w, ok := r.d.opened(o, "SessionRef", "SessionStoreOf").(*state.SessionTable[K, V])
	if !ok {
		o.misuse("a store of sessions is opened that is another one")
	}
	return &SessionStore[K, V]{o, w}
}

// WindowStore is a store of windows in a task. Its writes are undone with a record that fails.
type WindowStore[K, V any] struct {
	o *opener
	w *state.WindowTable[K, V]
}

// Get returns the value of a key's window; ok is false if there is none.
func (s *WindowStore[K, V]) Get(k K, start time.Time) (v V, ok bool, err error) {
	if s.w == nil {
		return v, false, s.o.err
	}
	v, ok, err = s.w.Window(k, start.UnixMilli())
	return v, ok, s.o.failed(err)
}

// Put sets the value of a key's window.
func (s *WindowStore[K, V]) Put(k K, start time.Time, v V) error {
	if s.w == nil {
		return s.o.err
	}
	return s.o.failed(s.w.Put(k, start.UnixMilli(), v))
}

// Delete removes a key's window, if it is there.
func (s *WindowStore[K, V]) Delete(k K, start time.Time) error {
	if s.w == nil {
		return s.o.err
	}
	return s.o.failed(s.w.Remove(k, start.UnixMilli()))
}

// Fetch goes through the windows of a key that start between from and to, both included.
func (s *WindowStore[K, V]) Fetch(k K, from, to time.Time) iter.Seq2[Windowed[K], V] {
	return s.fetch(k, from, to, false)
}

// ReverseFetch is Fetch from the last window to the first.
func (s *WindowStore[K, V]) ReverseFetch(k K, from, to time.Time) iter.Seq2[Windowed[K], V] {
	return s.fetch(k, from, to, true)
}

func (s *WindowStore[K, V]) fetch(k K, from, to time.Time, reverse bool) iter.Seq2[Windowed[K], V] {
	return rowsOf(s.o, s.w != nil, func() (*state.Cursor[record.Windowed[K], V], error) {
		return s.w.Fetch(k, from.UnixMilli(), to.UnixMilli(), reverse)
	})
}

// FetchAll goes through the windows of all keys that start between from and to, both included.
func (s *WindowStore[K, V]) FetchAll(from, to time.Time) iter.Seq2[Windowed[K], V] {
	return rowsOf(s.o, s.w != nil, func() (*state.Cursor[record.Windowed[K], V], error) {
		return s.w.FetchAll(from.UnixMilli(), to.UnixMilli())
	})
}

// All goes through all windows.
func (s *WindowStore[K, V]) All() iter.Seq2[Windowed[K], V] {
	return s.FetchAll(time.UnixMilli(0), time.UnixMilli(math.MaxInt64))
}

// SessionStore is a store of sessions in a task. Its writes are undone with a record that fails.
type SessionStore[K, V any] struct {
	o *opener
	w *state.SessionTable[K, V]
}

// Get returns the value of a session; ok is false if there is none.
func (s *SessionStore[K, V]) Get(k Windowed[K]) (v V, ok bool, err error) {
	if s.w == nil {
		return v, false, s.o.err
	}
	v, ok, err = s.w.Session(k.Key, k.Start.UnixMilli(), k.End.UnixMilli())
	return v, ok, s.o.failed(err)
}

// Put sets the value of a session.
func (s *SessionStore[K, V]) Put(k Windowed[K], v V) error {
	if s.w == nil {
		return s.o.err
	}
	return s.o.failed(s.w.Put(k.Key, k.Start.UnixMilli(), k.End.UnixMilli(), v))
}

// Delete removes a session, if it is there.
func (s *SessionStore[K, V]) Delete(k Windowed[K]) error {
	if s.w == nil {
		return s.o.err
	}
	return s.o.failed(s.w.Remove(k.Key, k.Start.UnixMilli(), k.End.UnixMilli()))
}

// Find goes through the sessions of a key that end at earliestEnd or later and start at latestStart or earlier.
func (s *SessionStore[K, V]) Find(k K, earliestEnd, latestStart time.Time) iter.Seq2[Windowed[K], V] {
	return rowsOf(s.o, s.w != nil, func() (*state.Cursor[record.Windowed[K], V], error) {
		return s.w.FindOverlapping(k, earliestEnd.UnixMilli(), latestStart.UnixMilli())
	})
}

// ReverseFind is Find from the last session to the first.
func (s *SessionStore[K, V]) ReverseFind(k K, earliestEnd, latestStart time.Time) iter.Seq2[Windowed[K], V] {
	return rowsOf(s.o, s.w != nil, func() (*state.Cursor[record.Windowed[K], V], error) {
		return s.w.ReverseOverlapping(k, earliestEnd.UnixMilli(), latestStart.UnixMilli())
	})
}

// Fetch goes through all sessions of a key.
func (s *SessionStore[K, V]) Fetch(k K) iter.Seq2[Windowed[K], V] {
	return s.Find(k, time.UnixMilli(0), time.UnixMilli(math.MaxInt64))
}

// All goes through all sessions.
func (s *SessionStore[K, V]) All() iter.Seq2[Windowed[K], V] {
	return rowsOf(s.o, s.w != nil, func() (*state.Cursor[record.Windowed[K], V], error) {
		return s.w.FetchAll(0, math.MaxInt64)
	})
}

// rowsOf goes through the rows of a cursor, which it opens when it is begun. What goes wrong ends the sequence and fails the
// record in work.
func rowsOf[K, V any](o *opener, there bool, open func() (*state.Cursor[K, V], error)) iter.Seq2[K, V] {
	if !there {
		return nothing[K, V]
	}
	return func(yield func(K, V) bool) {
		c, err := open()
		if o.failed(err) != nil {
			return
		}
		defer c.Close()
		for c.Next() {
			if !yield(c.Key(), c.Value()) {
				return
			}
		}
		o.failed(c.Err())
	}
}
