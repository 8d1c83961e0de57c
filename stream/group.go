package stream

import (
	"context"

	"github.com/oxbow-streams/oxbow/topology"
)

// Grouped is a stream whose records with equal keys are about to be folded together.
type Grouped[K, V any] struct {
	s   Stream[K, V]
	set settings
	rep *reuse // the repartition step that aggregations of a named group share
}

// GroupByKey groups the records by their keys. It needs a repartition topic only if a step may have changed the key.
func (s Stream[K, V]) GroupByKey(opts ...TopicOption) Grouped[K, V] {
	set := topicSettings("GroupByKey", opts)
	s.builder()
	return Grouped[K, V]{s, set, new(reuse)}
}

// GroupBy groups the records by what f makes of each, through a repartition topic.
func GroupBy[K, V, K2 any](s Stream[K, V], f func(k K, v V) K2, opts ...TopicOption) Grouped[K2, V] {
	set := topicSettings("GroupBy", opts)
	s.builder().notNil(&set, f)
	return Grouped[K2, V]{selectKey(s, set, plain(f)), set, new(reuse)}
}

// TryGroupBy is [GroupBy] for a function that can fail.
func TryGroupBy[K, V, K2 any](s Stream[K, V], f func(ctx context.Context, k K, v V) (K2, error),
	opts ...TopicOption) Grouped[K2, V] {
	set := topicSettings("TryGroupBy", opts)
	s.builder().notNil(&set, f)
	return Grouped[K2, V]{selectKey(s, set, trying(f)), set, new(reuse)}
}

// repartitioned returns the stream to fold, with equal keys in equal partitions. store names the repartition topic if the user
// does not.
func (g Grouped[K, V]) repartitioned(store string) Stream[K, V] {
	s := g.s
	if g.set.partitioner.value != nil {
		faultf(s.b, &g.set, "Partitioner has no place in a group: put it on a Repartition before it")
	}
	if g.set.partitions != nil {
		faultf(s.b, &g.set, "Partitions has no place in a group: put it on a Repartition before it")
	}
	if !s.rekeyed {
		return s
	}
	topic := store
	if g.set.name != "" {
		topic = g.set.name
	}
	names := topology.RepartitionNames(s.b.graph, topic)
	if g.rep.op == nil || g.set.name == "" {
		g.rep.op = s.b.graph.Add(repartitionOp(s, &g.set, names), s.op)
	} else {
		s.b.graph.Again(g.rep.op)
	}
	return repartitioned(s, g.rep.op, names.Source)
}
