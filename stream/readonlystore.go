package stream

import (
	"fmt"

	"github.com/oxbow-streams/oxbow/topology"
)

// AddReadOnlyStore adds a store that is made of a topic, and has no changelog beside it: a processor of its own, made for each
// task by mk, keeps it up to date with the records of the topic, which are decoded by the serdes of the store. Other processors
// that have the store in their lists read it; what they read must have as many partitions as the topic. What the processor
// forwards goes nowhere.
//
// A restore takes each record of the topic into the store as it is, without the processor: one that keeps something other than
// the record's value under the record's key has that no more after a restore. Let it write to a store of its own for that.
//
// Named names the processor; its source has the name and "-source". Without it they are called by the store.
func AddReadOnlyStore[K, V, K2, V2 any, P Processor[K, V, K2, V2]](b *Builder, ref KVRef[K, V], topic string, mk func() P,
	opts ...SourceOption) {
	set := start("AddReadOnlyStore")
	for _, o := range opts {
		o.source(&set)
	}
	b.notNil(&set, mk)
	if set.offset != topology.OffsetDefault {
		faultf(b, &set, "Offset has no place here: the store is made of the whole topic")
	}
	d := ref.d
	if d == nil {
		faultf(b, &set, "its store is a zero KVRef: declare it with KeyValue")
		return
	}
	if d.reads != "" {
		faultf(b, &set, "store %q is made of topic %q already", d.name, d.reads)
		return
	}
	if d.set.noChangelog {
		faultf(b, &set, "store %q, declared at %s, has NoChangelog: its topic is its changelog; leave the option out", d.name, d.set.site)
	}
	name := set.name
	if name == "" {
		name = d.name + "-processor"
	}
	d.reads, d.owner = topic, name
	spec := &topology.SourceSpec{Topics: []string{topic}, Table: true}
	src := &sourceNode[K, V]{spec: spec, key: d.key, value: d.value}
	src.check(b, &set)
	spec.Offset = topology.OffsetEarliest
	sourceName := suffixed(set.name, "-source")
	if sourceName == "" {
		sourceName = d.name + "-source"
	}
	b.graph.Add(&topology.Op{Site: set.site, Source: spec, Name: name, Write: func(c *topology.Compiler) *topology.Node {
		n := writeKeeper(c, &set, src, sourceName, name, mk)
		ref.add(c, n)
		return n
	}})
}

// readOnlyStore is a store in a processor that does not keep it up to date.
type readOnlyStore[K, V any] struct {
	kvStore[K, V]
	d *kvDecl[K, V]
}

func (s *readOnlyStore[K, V]) refuse() error {
	err := fmt.Errorf("store %q is read only here: it is made of topic %q by %s", s.d.name, s.d.reads, s.d.owner)
	s.o.misuse("%v", err)
	return err
}

func (s *readOnlyStore[K, V]) Put(K, V) error { return s.refuse() }

func (s *readOnlyStore[K, V]) PutIfAbsent(K, V) (had V, ok bool, err error) {
	return had, false, s.refuse()
}

func (s *readOnlyStore[K, V]) Delete(K) error { return s.refuse() }
