package stream

import (
	"context"
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/topology"
)

// To writes the stream to a topic, which must exist. Timestamps and headers go along.
func (s Stream[K, V]) To(topic string, opts ...SinkOption) {
	set := start("To")
	for _, o := range opts {
		o.sink(&set)
	}
	b := s.builder()
	w := newWriter(s, &set)
	name := b.graph.NameOr(set.name, "KSTREAM-SINK-")
	b.graph.Add(&topology.Op{Site: set.site, Write: func(c *topology.Compiler) *topology.Node {
		k, v := keySerde(c, b, &set, s.key), valueSerde(c, b, &set, s.value)
		if topic == "" {
			c.Fault("To: the topic has no name")
			return nil
		}
		return c.Add(w.node(c, name, topic, k, v, nil), c.Out(s.op))
	}}, s.op)
}

// topicOf makes the function that chooses a topic, for one task.
type topicOf[K, V any] func(t *node.Task, at *node.Info) func(r *node.Rec[K, V]) (string, error)

// ToTopics writes each record to the topic that name gives it. The topics must exist.
func (s Stream[K, V]) ToTopics(name func(r Record[K, V]) string, opts ...SinkOption) {
	set := start("ToTopics")
	s.builder().notNil(&set, name)
	toTopics(s, set, opts, func(*node.Task, *node.Info) func(*node.Rec[K, V]) (string, error) {
		return func(r *node.Rec[K, V]) (string, error) { return name(fromRec(r)), nil }
	})
}

// TryToTopics is [Stream.ToTopics] for a function that can fail.
func (s Stream[K, V]) TryToTopics(name func(ctx context.Context, r Record[K, V]) (string, error), opts ...SinkOption) {
	set := start("TryToTopics")
	s.builder().notNil(&set, name)
	toTopics(s, set, opts, func(t *node.Task, at *node.Info) func(*node.Rec[K, V]) (string, error) {
		f := node.Try1(t, at, name)
		return func(r *node.Rec[K, V]) (string, error) { return f(fromRec(r)) }
	})
}

func toTopics[K, V any](s Stream[K, V], set settings, opts []SinkOption, choose topicOf[K, V]) {
	for _, o := range opts {
		o.sink(&set)
	}
	b := s.builder()
	w := newWriter(s, &set)
	name := b.graph.NameOr(set.name, "KSTREAM-SINK-")
	b.graph.Add(&topology.Op{Site: set.site, Write: func(c *topology.Compiler) *topology.Node {
		k, v := keySerde(c, b, &set, s.key), valueSerde(c, b, &set, s.value)
		return c.Add(w.node(c, name, "", k, v, choose), c.Out(s.op))
	}}, s.op)
}

// writer is a sink while it is described.
type writer[K, V any] struct {
	s         Stream[K, V]
	set       *settings
	partition func(Record[K, V], int) int
}

func newWriter[K, V any](s Stream[K, V], set *settings) writer[K, V] {
	return writer[K, V]{s, set, optionOf[func(Record[K, V], int) int](s.b, set, "Partitioner", set.partitioner)}
}

// node makes the sink's node. choose is nil for a fixed topic.
func (w writer[K, V]) node(c *topology.Compiler, name, topic string, k serde.Serde[K], v serde.Serde[V],
	choose topicOf[K, V]) *topology.Node {
	n := topology.NewSink(name, topic, wired(w.s, c, w.set,
		func(in *topology.Instance, self *topology.Node) (node.Proc[K, V], error) {
			if choose != nil {
				return node.SinkTo(in.Task, in.Info(self), choose(in.Task, in.Info(self)), topology.CheckName, k, v, w.chooser()), nil
			}
			d, err := in.Dest(self)
			return node.Sink(in.Task, in.Info(self), in.Topology.TopicName(topic), d, k, v, w.chooser()), err
		}))
	n.OnError = w.set.policy
	n.Plain = topic != "" && w.partition == nil && w.s.through == nil && serde.Raw(k) && serde.Raw(v)
	return n
}

func (w writer[K, V]) chooser() node.Partition[K, V] {
	if w.partition == nil {
		return nil
	}
	return func(r *node.Rec[K, V], n int32) (int32, error) {
		return inRange("Partitioner", w.partition(fromRec(r), int(n)), n)
	}
}

// inRange refuses a partition that a user's function says and that is none of n.
func inRange(option string, p int, n int32) (int32, error) {
	if p < 0 || p >= int(n) {
		return 0, fmt.Errorf("%s says partition %d: the topic has %d, from 0 to %d", option, p, n, n-1)
	}
	return int32(p), nil
}
