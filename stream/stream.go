package stream

import (
	"reflect"
	"regexp"
	"time"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/topology"
)

// Stream is a flow of records, each a fact of its own. What keeps its types is a method, what changes them a function.
type Stream[K, V any] struct {
	b       *Builder
	op      *topology.Op
	name    string // of the node it comes from
	key     serde.Serde[K]
	value   serde.Serde[V]
	rekeyed bool // a step may have changed the key since the last topic
	sources []*topology.Op
	through attach[K, V]
	again   *reuse
}

// attach puts a Proc behind a parent whose output types are others than the stream's; nil if they are the same.
type attach[K, V any] func(in *topology.Instance, parent, self *topology.Node, p node.Proc[K, V])

// reuse remembers the repartition step that joins of one stream share.
type reuse struct{ op *topology.Op }

func (s Stream[K, V]) put(in *topology.Instance, parent, self *topology.Node, p node.Proc[K, V]) {
	if s.through != nil {
		s.through(in, parent, self, p)
		return
	}
	in.Attach(parent, self, p)
}

// builder is where the stream belongs.
func (s Stream[K, V]) builder() *Builder {
	if s.b == nil {
		panic("stream: a Stream that was not made by From or a step cannot be used")
	}
	return s.b
}

// From reads a topic. Records with null keys and null values are part of the stream.
func From[K, V any](b *Builder, topic string, k serde.Serde[K], v serde.Serde[V], opts ...SourceOption) Stream[K, V] {
	return from(b, "From", &topology.SourceSpec{Topics: []string{topic}}, k, v, opts)
}

// FromAll reads several topics as one stream. Between topics there is no order but that of timestamps.
func FromAll[K, V any](b *Builder, topics []string, k serde.Serde[K], v serde.Serde[V], opts ...SourceOption) Stream[K, V] {
	s := from(b, "FromAll", &topology.SourceSpec{Topics: append([]string(nil), topics...)}, k, v, opts)
	if len(topics) == 0 {
		b.graph.Fault(s.op.Site, "FromAll: no topics: name one or more")
	}
	return s
}

// FromPattern reads every topic whose whole name matches. One that is created while the application runs is read from when it
// is noticed (Config.MetadataMaxAge); one that is deleted is dropped.
func FromPattern[K, V any](b *Builder, pattern *regexp.Regexp, k serde.Serde[K], v serde.Serde[V],
	opts ...SourceOption) Stream[K, V] {
	if pattern == nil {
		b.graph.Fault("", "FromPattern: the pattern is nil")
		pattern = regexp.MustCompile(`\z.`)
	}
	return from(b, "FromPattern", &topology.SourceSpec{Pattern: pattern}, k, v, opts)
}

func from[K, V any](b *Builder, call string, spec *topology.SourceSpec, k serde.Serde[K], v serde.Serde[V],
	opts []SourceOption) Stream[K, V] {
	set := start(call)
	for _, o := range opts {
		o.source(&set)
	}
	name := b.graph.NameOr(set.name, "KSTREAM-SOURCE-")
	src := &sourceNode[K, V]{spec: spec, key: k, value: v}
	src.check(b, &set)
	op := b.graph.Add(&topology.Op{Site: set.site, Source: spec, Write: func(c *topology.Compiler) *topology.Node {
		return src.add(c, name, &set)
	}})
	return Stream[K, V]{b: b, op: op, name: name, key: k, value: v, sources: []*topology.Op{op}, again: new(reuse)}
}

// sourceNode is a node that reads topics of the user.
type sourceNode[K, V any] struct {
	spec    *topology.SourceSpec
	key     serde.Serde[K]
	value   serde.Serde[V]
	extract node.Extract[K, V]
	wall    bool
}

// check takes from the settings what a source needs.
func (s *sourceNode[K, V]) check(b *Builder, set *settings) {
	if s.key == nil || s.value == nil {
		faultf(b, set, "its serdes must not be nil: see package serde")
	}
	s.spec.Key, s.spec.Value, s.spec.Offset = s.key, s.value, set.offset
	given := 0
	if f := optionOf[func(Record[K, V], time.Time) (time.Time, error)](b, set, "Timestamps", set.timestamps); f != nil {
		given++
		s.extract = func(r *node.Rec[K, V], partitionTime int64) (int64, error) {
			var before time.Time
			if partitionTime >= 0 {
				before = time.UnixMilli(partitionTime).UTC()
			}
			t, err := f(fromRec(r), before)
			return t.UnixMilli(), err
		}
	}
	if set.wallClock {
		given++
		s.wall = true
	}
	if set.partitionTime {
		given++
		s.extract = func(r *node.Rec[K, V], partitionTime int64) (int64, error) {
			if r.Time < 0 {
				return partitionTime, nil
			}
			return r.Time, nil
		}
	}
	if given > 1 {
		faultf(b, set, "give one of Timestamps, WallClockTime and PartitionTimeOnInvalid, not %d", given)
	}
}

func (s *sourceNode[K, V]) add(c *topology.Compiler, name string, set *settings) *topology.Node {
	n := topology.NewSource(name, s.spec, func(in *topology.Instance, self *topology.Node) error {
		t, at, next := in.Task, in.Info(self), topology.After[K, V](in, self)
		switch {
		case s.wall:
			in.AddSource(self, node.NewTimedSource(t, at, s.key, s.value,
				func(*node.Rec[K, V], int64) (int64, error) { return t.WallTime, nil }, next))
		case s.extract != nil:
			in.AddSource(self, node.NewTimedSource(t, at, s.key, s.value, s.extract, next))
		default:
			in.AddSource(self, node.NewSource(t, at, s.key, s.value, next))
		}
		return nil
	})
	n.OnError = set.policy
	n.Plain = serde.Raw(s.key) && serde.Raw(s.value) && s.extract == nil && !s.wall
	return c.Add(n)
}

// step is what a step without state adds to a stream: one node.
type step[K, V, K2, V2 any] struct {
	prefix string
	set    settings
	proc   func(t *node.Task, at *node.Info, next node.Proc[K2, V2]) node.Proc[K, V]
}

// then puts the step behind s. The caller sets what it knows of serdes and keys.
func (st step[K, V, K2, V2]) then(s Stream[K, V]) Stream[K2, V2] {
	b := s.builder()
	name := b.graph.NameOr(st.set.name, st.prefix)
	op := &topology.Op{Site: st.set.site}
	op.Write = func(c *topology.Compiler) *topology.Node {
		n := topology.NewProcessor(name, wired(s, c, &st.set,
			func(in *topology.Instance, self *topology.Node) (node.Proc[K, V], error) {
				return st.proc(in.Task, in.Info(self), topology.After[K2, V2](in, self)), nil
			}))
		n.OnError = st.set.policy
		return c.Add(n, c.Out(s.op))
	}
	b.graph.Add(op, s.op)
	return Stream[K2, V2]{b: b, op: op, name: name, rekeyed: s.rekeyed, sources: s.sources, again: new(reuse)}
}

// rekey says that the step that s comes out of may have changed the keys.
func (s Stream[K, V]) rekey() Stream[K, V] {
	s.rekeyed, s.op.Changes, s.op.Records = true, topology.ChangesKeys, reflect.TypeFor[node.Rec[K, V]]()
	return s
}

// revalue says that the step that s comes out of may have changed the values.
func (s Stream[K, V]) revalue() Stream[K, V] {
	s.op.Changes = topology.ChangesValues
	return s
}

// keeping copies what a step that changes neither keys nor values keeps.
func keeping[K, V any](s, r Stream[K, V]) Stream[K, V] {
	r.key, r.value = s.key, s.value
	return r
}
