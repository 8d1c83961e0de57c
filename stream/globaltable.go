package stream

import (
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/topology"
)

// GlobalTable is the current value of every key of a topic, whole in every instance of the application, so that a stream can be
// joined with it by any key and without equal partition counts. It is read to the end of its topic before the application runs,
// and follows the topic afterwards on its own: in no order with the streams.
type GlobalTable[K, V any] struct{ t *globalTable[K, V] }

type globalTable[K, V any] struct {
	b     *Builder
	op    *topology.Op
	store string
	set   settings
	key   serde.Serde[K]
	value serde.Serde[V]
}

func (t GlobalTable[K, V]) table() *globalTable[K, V] {
	if t.t == nil {
		panic("stream: a GlobalTable that was not made by GlobalTableFrom cannot be used")
	}
	return t.t
}

// GlobalTableFrom reads a topic as a global table, always from its beginning. A record with a null key is dropped, a null value
// deletes the row. Its store has no changelog: the topic is one.
func GlobalTableFrom[K, V any](b *Builder, topic string, k serde.Serde[K], v serde.Serde[V],
	opts ...TableOption) GlobalTable[K, V] {
	set := start("GlobalTableFrom")
	for _, o := range opts {
		o.table(&set)
	}
	if set.offset != topology.OffsetDefault {
		faultf(b, &set, "Offset has no place here: a global table is read from the beginning of its topic")
	}
	t := &globalTable[K, V]{b: b, store: set.store, set: set, key: k, value: v}
	if t.store == "" {
		t.store = b.graph.StoreName(topic + "-")
	}
	sourceName := b.graph.NameOr(suffixed(set.name, "-source"), "KSTREAM-SOURCE-")
	name := b.graph.NameOr(set.name, "KTABLE-SOURCE-")
	spec := &topology.SourceSpec{Topics: []string{topic}, Table: true, Global: true}
	src := &sourceNode[K, V]{spec: spec, key: k, value: v}
	src.check(b, &t.set)
	t.op = b.graph.Add(&topology.Op{Site: set.site, Source: spec, Name: name, Write: func(c *topology.Compiler) *topology.Node {
		source := src.add(c, sourceName, &t.set)
		n := topology.NewProcessor(name, func(in *topology.Instance, self *topology.Node) error {
			store := in.Store(t.store).(*state.Table[K, V])
			out := node.NewEmitter(in.Task, in.Info(self), store, false, false, topology.After[K, node.Change[V]](in, self))
			in.Attach(source, self, node.TableSource(in.Task, in.Info(self), out.Describes(k, v)))
			return nil
		})
		n.OnError = set.policy
		c.Add(n, source)
		storable(c, set.call, k, v)
		store := state.TableSpec(t.store, k, v)
		store.InMemory, store.Logged = set.inMemory, false
		c.Store(n, &topology.Store{Name: t.store, Spec: store, Identity: t})
		return n
	}})
	return GlobalTable[K, V]{t}
}

// getter makes what reads the table's rows in a task.
func (t *globalTable[K, V]) getter(in *topology.Instance, at *node.Info) (node.Getter[K, V], error) {
	view := in.Task.Globals[t.store]
	if view == nil {
		return nil, fmt.Errorf("global table %s is not open", t.store)
	}
	return node.GlobalGetter(in.Task, at, t.store, view, t.key, t.value), nil
}
