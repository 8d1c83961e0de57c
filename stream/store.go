package stream

import (
	"fmt"
	"iter"
	"slices"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/topology"
)

// StoreRef is a store that processors may use: what [KeyValue] declares. Processors that name the same one share it, and with it
// their sub-topology.
type StoreRef interface {
	add(c *topology.Compiler, n *topology.Node)
}

// KVRef is a key-value store, declared. It is opened in a processor's Init.
type KVRef[K, V any] struct{ d *kvDecl[K, V] }

type kvDecl[K, V any] struct {
	name  string
	key   serde.Serde[K]
	value serde.Serde[V]
	set   settings
	reads string // the topic of a read-only store
	owner string // the node that writes it
}

// KeyValue declares a key-value store: name it in [Process], open it in Init.
func KeyValue[K, V any](name string, k serde.Serde[K], v serde.Serde[V], opts ...StoreOption) KVRef[K, V] {
	d := &kvDecl[K, V]{name: name, key: k, value: v, set: start("KeyValue")}
	for _, o := range opts {
		o.store(&d.set)
	}
	return KVRef[K, V]{d}
}

func (r KVRef[K, V]) add(c *topology.Compiler, n *topology.Node) { r.addTo(c, n, false) }

// addTo adds the store. A global one is not logged: its topic has what it is made of.
func (r KVRef[K, V]) addTo(c *topology.Compiler, n *topology.Node, global bool) {
	d := r.d
	if d == nil {
		c.Fault("a store of its list is a zero KVRef: declare it with KeyValue")
		return
	}
	if d.key == nil || d.value == nil {
		c.Fault("store %q, declared at %s, has a nil serde", d.name, d.set.site)
		return
	}
	if d.set.retention.IsSome() {
		c.Fault("store %q, declared at %s, has a Retention: only stores of windows and sessions have one", d.name, d.set.site)
		return
	}
	spec := state.KeyValueSpec(d.name, d.key, d.value)
	spec.InMemory, spec.Logged = d.set.inMemory, !d.set.noChangelog && !global
	if d.reads != "" && spec.Logged {
		c.Store(n, &topology.Store{Name: d.name, Spec: spec, Identity: d, Reads: d.reads, ReadOnly: true})
		return
	}
	c.Store(n, &topology.Store{Name: d.name, Spec: spec, Identity: d})
}

// KVStore is a key-value store in a task. Its writes are undone with a record that fails. An error that is not the record's own
// (disk, corruption) stops the task even if the processor does not return it.
type KVStore[K, V any] interface {
	// Get returns the value of a key; ok is false if it has none.
	Get(k K) (v V, ok bool, err error)
	Put(k K, v V) error
	// PutIfAbsent sets the value of a key that has none; it returns the one it has.
	PutIfAbsent(k K, v V) (had V, ok bool, err error)
	Delete(k K) error

	// Range goes from from to to, both included, in the order of the encoded keys. What goes wrong ends the sequence and fails
	// the record in work.
	Range(from, to K) iter.Seq2[K, V]
	ReverseRange(from, to K) iter.Seq2[K, V]
	// Prefix goes through the keys whose encoding begins with these bytes.
	Prefix(prefix []byte) iter.Seq2[K, V]
	All() iter.Seq2[K, V]
	ReverseAll() iter.Seq2[K, V]
}

// initer is the context of an Init.
type initer interface{ stores() *opener }

// opener opens the stores of a processor, and remembers what goes wrong beneath it.
type opener struct {
	in    *topology.Instance
	task  *node.Task
	at    *node.Info
	names []string
	err   error // of a step that follows, of a store, of a wrong use
}

// misuse notes a call that cannot be served.
func (o *opener) misuse(format string, args ...any) {
	if o.err == nil {
		o.err = o.task.Fail(dlq.StageProcess, o.at, fmt.Errorf(format, args...))
	}
}

// trouble returns what went wrong beneath the user's function, and forgets it.
func (o *opener) trouble() error {
	err := o.err
	o.err = nil
	return err
}

// around calls Init or Close of a processor, nil for none.
func (o *opener) around(what string, f func() error) error {
	if f == nil {
		return nil
	}
	o.task.At, o.err = o.at, nil
	err := f()
	if trouble := o.trouble(); err == nil {
		err = trouble
	}
	if err != nil {
		return fmt.Errorf("task %s: %s: %s: %w", o.task.ID, o.at.Name, what, err)
	}
	return nil
}

// failed notes an error of a store.
func (o *opener) failed(err error) error {
	if err != nil && o.err == nil {
		o.err = o.task.StateError(o.at, err)
	}
	return err
}

// Open returns the store in the task of a processor that is being initialised.
func (r KVRef[K, V]) Open(c initer) KVStore[K, V] {
	o := c.stores()
	if r.d == nil {
		return missing[K, V](o, "a zero KVRef is opened: declare it with KeyValue")
	}
	if slices.Contains(o.names, r.d.name) {
		if s, ok := o.in.Store(r.d.name).(*state.KeyValue[K, V]); ok {
			if r.d.reads != "" && o.at.Name != r.d.owner {
				return &readOnlyStore[K, V]{kvStore[K, V]{o, s}, r.d}
			}
			return &kvStore[K, V]{o, s}
		}
	}
	if s, ok := openGlobal(o, r.d); ok {
		return s
	}
	return missing[K, V](o, "store %q is opened, but is not in the list that Process was given: %v", r.d.name, o.names)
}

// missing notes a store that cannot be opened, and returns one in its place whose every call says so.
func missing[K, V any](o *opener, format string, args ...any) KVStore[K, V] {
	o.misuse(format, args...)
	return &noStore[K, V]{fmt.Errorf(format, args...)}
}

type kvStore[K, V any] struct {
	o *opener
	s *state.KeyValue[K, V]
}

func (kv *kvStore[K, V]) Get(k K) (v V, ok bool, err error) {
	v, ok, err = kv.s.Get(k)
	return v, ok, kv.o.failed(err)
}

func (kv *kvStore[K, V]) Put(k K, v V) error { return kv.o.failed(kv.s.Put(k, v)) }

func (kv *kvStore[K, V]) PutIfAbsent(k K, v V) (had V, ok bool, err error) {
	had, ok, err = kv.s.PutIfAbsent(k, v)
	return had, ok, kv.o.failed(err)
}

func (kv *kvStore[K, V]) Delete(k K) error { return kv.o.failed(kv.s.Delete(k)) }

func (kv *kvStore[K, V]) Range(from, to K) iter.Seq2[K, V] {
	return kv.seq(kv.s.Range(Some(from), Some(to)))
}

func (kv *kvStore[K, V]) ReverseRange(from, to K) iter.Seq2[K, V] {
	return kv.seq(kv.s.ReverseRange(Some(from), Some(to)))
}

func (kv *kvStore[K, V]) Prefix(prefix []byte) iter.Seq2[K, V] { return kv.seq(kv.s.Prefix(prefix)) }
func (kv *kvStore[K, V]) All() iter.Seq2[K, V]                 { return kv.seq(kv.s.All()) }
func (kv *kvStore[K, V]) ReverseAll() iter.Seq2[K, V]          { return kv.seq(kv.s.ReverseAll()) }

func (kv *kvStore[K, V]) seq(c *state.Cursor[K, V], err error) iter.Seq2[K, V] {
	if kv.o.failed(err) != nil {
		return nothing[K, V]
	}
	return func(yield func(K, V) bool) {
		for k, v := range c.Seq() {
			if !yield(k, v) {
				break
			}
		}
		kv.o.failed(c.Err())
	}
}

// noStore stands for a store that is not there. Its processor's Init fails.
type noStore[K, V any] struct{ err error }

func (n *noStore[K, V]) Get(K) (v V, ok bool, err error)            { return v, false, n.err }
func (n *noStore[K, V]) Put(K, V) error                             { return n.err }
func (n *noStore[K, V]) PutIfAbsent(K, V) (v V, ok bool, err error) { return v, false, n.err }
func (n *noStore[K, V]) Delete(K) error                             { return n.err }
func (n *noStore[K, V]) Range(_, _ K) iter.Seq2[K, V]               { return nothing[K, V] }
func (n *noStore[K, V]) ReverseRange(_, _ K) iter.Seq2[K, V]        { return nothing[K, V] }
func (n *noStore[K, V]) Prefix([]byte) iter.Seq2[K, V]              { return nothing[K, V] }
func (n *noStore[K, V]) All() iter.Seq2[K, V]                       { return nothing[K, V] }
func (n *noStore[K, V]) ReverseAll() iter.Seq2[K, V]                { return nothing[K, V] }

func nothing[K, V any](func(K, V) bool) {}
