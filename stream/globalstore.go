package stream

import (
	"errors"
	"fmt"
	"iter"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/topology"
)

// AddGlobalStore adds a store that every instance has whole: a processor of its own, made once by mk, keeps it up to date with all
// partitions of a topic. It is filled to the end of its topic before the application runs. There is no changelog: when the store
// is read again, the processor does it again. What the processor forwards goes nowhere.
//
// The store may be opened by every other processor, without being in its list, to be read there. It shows what is committed.
func AddGlobalStore[SK, SV, K, V, K2, V2 any, P Processor[K, V, K2, V2]](b *Builder, ref KVRef[SK, SV], topic string, k serde.Serde[K],
	v serde.Serde[V], mk func() P, opts ...SourceOption) {
	set := start("AddGlobalStore")
	for _, o := range opts {
		o.source(&set)
	}
	b.notNil(&set, mk)
	if set.offset != topology.OffsetDefault {
		faultf(b, &set, "Offset has no place here: a global store is read from the beginning of its topic")
	}
	sourceName := b.graph.NameOr(suffixed(set.name, "-source"), "KSTREAM-SOURCE-")
	name := b.graph.NameOr(set.name, "KTABLE-SOURCE-")
	spec := &topology.SourceSpec{Topics: []string{topic}, Table: true, Global: true}
	src := &sourceNode[K, V]{spec: spec, key: k, value: v}
	src.check(b, &set)
	b.graph.Add(&topology.Op{Site: set.site, Source: spec, Name: name, Write: func(c *topology.Compiler) *topology.Node {
		n := writeKeeper(c, &set, src, sourceName, name, mk)
		ref.addTo(c, n, true)
		return n
	}})
}

// openGlobal opens a global store to be read, if there is one of that name.
func openGlobal[K, V any](o *opener, d *kvDecl[K, V]) (KVStore[K, V], bool) {
	rows, ok := o.task.Globals[d.name].(globalRows)
	if !ok {
		return nil, false
	}
	spec := state.KeyValueSpec(d.name, d.key, d.value)
	return &globalStore[K, V]{o, d.name, rows, spec.View.(*state.View[K, V])}, true
}

// globalRows is what a global store is read by.
type globalRows interface {
	Get(dst, key []byte) (value []byte, ok bool, err error)
	Iter(lower, upper []byte, reverse bool) (state.Iterator, error)
}

// globalStore is a global store in a task that reads it.
type globalStore[K, V any] struct {
	o    *opener
	name string
	rows globalRows
	view *state.View[K, V]
}

// failed notes an error. What cannot be encoded or decoded is the fault of the data, as in any store.
func (g *globalStore[K, V]) failed(err error) error {
	if v := (*state.ViewError)(nil); errors.As(err, &v) {
		err = &state.CodecError{Task: g.o.task.ID, Store: v.Store, Op: v.Op, Key: v.Key, Err: v.Err}
	}
	return g.o.failed(err)
}

func (g *globalStore[K, V]) readOnly() error {
	err := fmt.Errorf("store %q is global and read only here: its own processor writes it", g.name)
	g.o.misuse("%v", err)
	return err
}

func (g *globalStore[K, V]) Get(k K) (v V, ok bool, err error) {
	key, err := g.view.Key(k)
	if err != nil {
		return v, false, g.failed(err)
	}
	b, ok, err := g.rows.Get(nil, key)
	if err != nil || !ok {
		return v, false, g.failed(err)
	}
	row, err := g.view.Row(key, b)
	return row.Value, err == nil, g.failed(err)
}

func (g *globalStore[K, V]) Put(K, V) error { return g.readOnly() }

func (g *globalStore[K, V]) PutIfAbsent(K, V) (had V, ok bool, err error) {
	return had, false, g.readOnly()
}

func (g *globalStore[K, V]) Delete(K) error { return g.readOnly() }

func (g *globalStore[K, V]) Range(from, to K) iter.Seq2[K, V] {
	return g.seq(Some(from), Some(to), false)
}

func (g *globalStore[K, V]) ReverseRange(from, to K) iter.Seq2[K, V] {
	return g.seq(Some(from), Some(to), true)
}

func (g *globalStore[K, V]) Prefix(prefix []byte) iter.Seq2[K, V] {
	return g.between(prefix, state.PrefixEnd(prefix), false)
}

func (g *globalStore[K, V]) All() iter.Seq2[K, V] { return g.between(nil, nil, false) }

func (g *globalStore[K, V]) ReverseAll() iter.Seq2[K, V] { return g.between(nil, nil, true) }

func (g *globalStore[K, V]) seq(from, to record.Opt[K], reverse bool) iter.Seq2[K, V] {
	lower, upper, err := g.view.Bounds(from, to)
	if g.failed(err) != nil {
		return nothing[K, V]
	}
	return g.between(lower, upper, reverse)
}

func (g *globalStore[K, V]) between(lower, upper []byte, reverse bool) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		it, err := g.rows.Iter(lower, upper, reverse)
		if g.failed(err) != nil {
			return
		}
		defer func() { g.failed(it.Close()) }()
		for it.Next() {
			row, err := g.view.Row(it.Key(), it.Value())
			if g.failed(err) != nil || !yield(row.Key, row.Value) {
				return
			}
		}
		g.failed(it.Err())
	}
}
