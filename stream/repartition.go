package stream

import (
	"reflect"
	"slices"
	"strconv"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/topology"
)

// Repartition sends the stream through a topic of the application, so that records with equal keys meet in one task, and one
// task's work is spread over others. Steps that need equal keys together do so by themselves.
func (s Stream[K, V]) Repartition(opts ...TopicOption) Stream[K, V] {
	set := topicSettings("Repartition", opts)
	b := s.builder()
	name := set.name
	if name == "" {
		name = b.graph.Name("KSTREAM-REPARTITION-")
	}
	r := repartition(s, &set, name)
	r.op.Movable = false // it stands where the program wants it
	return r
}

// repartition adds the three nodes of a repartition topic: a filter for null keys, a sink and a source.
func repartition[K, V any](s Stream[K, V], set *settings, topic string) Stream[K, V] {
	b := s.builder()
	names := topology.RepartitionNames(b.graph, topic)
	r := repartitionOp(s, set, names)
	b.graph.Add(r, s.op)
	return repartitioned(s, r, names.Source)
}

func repartitioned[K, V any](s Stream[K, V], op *topology.Op, name string) Stream[K, V] {
	return Stream[K, V]{b: s.b, op: op, name: name, key: s.key, value: s.value, sources: []*topology.Op{op}, again: new(reuse)}
}

func repartitionOp[K, V any](s Stream[K, V], set *settings, names topology.Repartition) *topology.Op {
	b := s.b
	w := newWriter(s, set)
	w.s.through = nil // the sink follows the filter, which takes the stream as it is
	op := &topology.Op{Site: set.site, Source: &topology.SourceSpec{Topics: []string{names.Topic}}, Repartition: true,
		Movable: true, Adapted: s.through != nil, Records: reflect.TypeFor[node.Rec[K, V]]()}
	op.Write = func(c *topology.Compiler) *topology.Node {
		k, v := keySerde(c, b, set, s.key), valueSerde(c, b, set, s.value)
		names := c.Repartition(names)
		if !c.Internal(names.Topic, set.partitions) {
			return nil
		}
		relaxed := c.Relaxed()
		filter := topology.NewProcessor(names.Filter, wired(s, c, set,
			func(in *topology.Instance, self *topology.Node) (node.Proc[K, V], error) {
				return node.DropNullKeys(in.Info(self), !relaxed, isNullKey(k), topology.After[K, V](in, self)), nil
			}))
		filter.OnError = set.policy
		c.Add(filter, c.Out(s.op))
		sink := topology.NewSink(names.Sink, names.Topic, func(in *topology.Instance, self *topology.Node) error {
			d, err := in.Dest(self)
			p := node.Sink(in.Task, in.Info(self), in.Topology.TopicName(names.Topic), d, k, v, w.chooser())
			in.Attach(filter, self, node.WithOrigin(in.Task, p))
			return err
		})
		sink.OnError = set.policy
		c.Add(sink, filter)
		source := topology.NewSource(names.Source, op.Source, func(in *topology.Instance, self *topology.Node) error {
			in.AddSource(self, node.NewRepartitionSource(in.Task, in.Info(self), k, v, topology.After[K, V](in, self)))
			return nil
		})
		return c.Add(source)
	}
	return op
}

// isNullKey tells null keys by their value, where the key's type holds null; nil where it does not.
func isNullKey[K any](k serde.Serde[K]) func(K) bool {
	if n, ok := k.(serde.Nullable[K]); ok {
		return n.IsNull
	}
	return nil
}

func union(a, b []*topology.Op) []*topology.Op {
	out := slices.Clone(a)
	for _, op := range b {
		if !slices.Contains(out, op) {
			out = append(out, op)
		}
	}
	return out
}

// sameValue tells whether two serdes are one, without a panic for those that cannot be compared.
func sameValue(a, b any) bool {
	if a == nil || b == nil || reflect.TypeOf(a) != reflect.TypeOf(b) || !reflect.TypeOf(a).Comparable() {
		return false
	}
	return reflect.ValueOf(a).Comparable() && a == b
}

func itoa(n int) string { return strconv.Itoa(n) }
