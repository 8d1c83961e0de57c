package stream

import (
	"fmt"
	"reflect"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/topology"
)

// Builder collects a program. Streams and tables made with it belong to it; it is not for concurrent use.
type Builder struct {
	graph  *topology.Graph
	serdes map[reflect.Type]any // serde.Serde[T] by T
}

// NewBuilder returns an empty program.
func NewBuilder() *Builder {
	return &Builder{graph: topology.NewGraph(), serdes: map[reflect.Type]any{}}
}

// Optimization is a set of rewritings of a program that keep its results, as Kafka Streams' topology.optimization has them.
type Optimization = topology.Optimization

// The optimizations.
const (
	// ReuseSourceTopics restores a table that is read from a topic from that topic, in place of a changelog of its own. A record
	// that the table took and that failed further on, and was undone, is part of a state restored so. A table with extracted
	// timestamps, or with serdes of its own for the store, keeps its changelog.
	ReuseSourceTopics = topology.ReuseSourceTopics
	// MergeRepartitions makes one repartition topic of those behind one step that changes keys.
	MergeRepartitions = topology.MergeRepartitions
	// SingleStoreSelfJoin keeps one store, not two, for a stream that is joined with itself.
	SingleStoreSelfJoin = topology.SingleStoreSelfJoin
	// OptimizeAll is all of them.
	OptimizeAll = topology.OptimizeAll
)

// Optimize switches optimizations on, for the whole program. They change internal topics and stores: an application that runs
// already must be reset first.
func (b *Builder) Optimize(o Optimization) { b.graph.Optimize(o) }

// Build compiles the program for the application of that id. All mistakes are reported at once, each with file, line and fix.
func (b *Builder) Build(applicationID string) (*topology.Topology, error) {
	return b.graph.Build(applicationID)
}

// Describe returns the text that Kafka Streams' TopologyDescription prints for the same program.
func (b *Builder) Describe() (string, error) {
	t, err := b.graph.Build("")
	if err != nil {
		return "", err
	}
	return t.Describe(), nil
}

// Register makes s the serde of type T wherever a topic or a store needs one and neither the call names one nor the stream
// carries one from where it was read. Text, bytes, numbers, bool and UUID are registered from the beginning.
func Register[T any](b *Builder, s serde.Serde[T]) {
	if s == nil {
		b.graph.Fault("", "Register: the serde of %s is nil", typeName[T]())
		return
	}
	b.serdes[reflect.TypeFor[T]()] = s
}

var builtin = map[reflect.Type]any{
	reflect.TypeFor[string]():     serde.String,
	reflect.TypeFor[[]byte]():     serde.Bytes,
	reflect.TypeFor[int8]():       serde.Int8,
	reflect.TypeFor[int16]():      serde.Int16,
	reflect.TypeFor[int32]():      serde.Int32,
	reflect.TypeFor[int64]():      serde.Int64,
	reflect.TypeFor[uint8]():      serde.Uint8,
	reflect.TypeFor[uint16]():     serde.Uint16,
	reflect.TypeFor[uint32]():     serde.Uint32,
	reflect.TypeFor[uint64]():     serde.Uint64,
	reflect.TypeFor[float32]():    serde.Float32,
	reflect.TypeFor[float64]():    serde.Float64,
	reflect.TypeFor[bool]():       serde.Bool,
	reflect.TypeFor[serde.UUID](): serde.UUIDText,
}

// keySerde finds the serde of a step's keys: the call's, the stream's, the registered one. None is a fault.
func keySerde[K any](c *topology.Compiler, b *Builder, set *settings, from serde.Serde[K]) serde.Serde[K] {
	return findSerde(c, b, set.call, "keys", "WithKey", set.key, from)
}

// valueSerde is [keySerde] for values.
func valueSerde[V any](c *topology.Compiler, b *Builder, set *settings, from serde.Serde[V]) serde.Serde[V] {
	return findSerde(c, b, set.call, "values", "WithValue", set.value, from)
}

func findSerde[T any](c *topology.Compiler, b *Builder, call, role, option string, given typedSerde,
	from serde.Serde[T]) serde.Serde[T] {
	if given.of != nil {
		s, ok := given.serde.(serde.Serde[T])
		switch {
		case given.serde == nil:
			c.Fault("%s: %s is given a nil serde", call, option)
		case !ok:
			c.Fault("%s: %s gives a serde of %v, the %s are %s", call, option, given.of, role, typeName[T]())
		}
		return s
	}
	if from != nil {
		return from
	}
	if s := known[T](b); s != nil {
		return s
	}
	c.Fault("%s: no serde for its %s of type %s: give one with %s, or Register one for the type", call, role, typeName[T](), option)
	return nil
}

// known returns the serde that is registered for a type, nil if there is none.
func known[T any](b *Builder) serde.Serde[T] {
	for _, known := range []map[reflect.Type]any{b.serdes, builtin} {
		if s, ok := known[reflect.TypeFor[T]()]; ok {
			return s.(serde.Serde[T])
		}
	}
	return nil
}

func typeName[T any]() string { return reflect.TypeFor[T]().String() }

// notNil notes a fault if a function that a step needs is missing.
func (b *Builder) notNil(set *settings, f any) {
	if v := reflect.ValueOf(f); !v.IsValid() || v.Kind() == reflect.Func && v.IsNil() {
		b.graph.Fault(set.site, "%s: its function is nil", set.call)
	}
}

// same notes a fault if two streams come from different builders.
func (b *Builder) same(set *settings, other *Builder) {
	if b != other {
		b.graph.Fault(set.site, "%s: its two sides come from different Builders: use one for the whole program", set.call)
	}
}

// optionOf returns the function of an option whose types are those of the step; else it notes a fault.
func optionOf[F any](b *Builder, set *settings, option string, t typed) (f F) {
	if t.value == nil {
		return f
	}
	f, ok := t.value.(F)
	if !ok {
		b.graph.Fault(set.site, "%s: %s has a %s, want a %s", set.call, option, t.what, reflect.TypeFor[F]())
	}
	return f
}

// wired makes the Wire of a node from what makes its Proc.
func wired[K, V any](s Stream[K, V], c *topology.Compiler, set *settings,
	proc func(in *topology.Instance, self *topology.Node) (node.Proc[K, V], error)) func(*topology.Instance, *topology.Node) error {
	parent := c.Out(s.op)
	return func(in *topology.Instance, self *topology.Node) error {
		p, err := proc(in, self)
		if err == nil {
			s.put(in, parent, self, p)
		}
		return err
	}
}

func faultf(b *Builder, set *settings, format string, args ...any) {
	b.graph.Fault(set.site, "%s: %s", set.call, fmt.Sprintf(format, args...))
}
