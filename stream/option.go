package stream

import (
	"reflect"
	"time"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/topology"
)

// Options are typed by role: a step takes those that mean something to it, and the compiler refuses the others.
type (
	// NodeOption is for steps without state: [Named], [OnError].
	NodeOption interface{ node(*settings) }
	// SourceOption is for streams read from topics: [Named], [OnError], [Timestamps], [Offset].
	SourceOption interface{ source(*settings) }
	// TableOption is for tables read from topics: those of a source, and those of a store.
	TableOption interface{ table(*settings) }
	// SinkOption is for topics written to: [Named], [OnError], [WithKey], [WithValue], [Partitioner].
	SinkOption interface{ sink(*settings) }
	// TopicOption is for repartition topics and what may need one: [Named], [OnError], [WithKey], [WithValue], [Partitions],
	// [Partitioner].
	TopicOption interface{ topic(*settings) }
	// StoreOption is for stores of processors: [InMemory], [NoChangelog]; of windows and sessions also [Retention].
	StoreOption interface{ store(*settings) }
	// AggOption is for tables that are computed: [Named], [OnError], [As], [WithKey], [WithValue], [InMemory], [NoChangelog],
	// [EmitDeduped], [EmitEvery], [Versioned]; of tables of windows also [EmitOnClose], [Retention].
	AggOption interface{ agg(*settings) }
	// JoinOption is for joins with a table: [Named], [OnError], [WithKey], [WithValue] (of the stream, where it is repartitioned or
	// buffered), [Grace].
	JoinOption interface{ join(*settings) }
	// StreamJoinOption is for joins of two streams: [Named], [OnError], [As] (the beginning of the names of its stores), [WithKey],
	// [WithLeft], [WithRight], [WithValue] (of the sides that have values of its type), [InMemory], [NoChangelog].
	StreamJoinOption interface{ streamJoin(*settings) }
)

// settings are what the options of one call say.
type settings struct {
	site   string
	call   string // name of the function, for faults
	name   string
	store  string
	policy *dlq.Policy

	key, value  typedSerde
	left, right typedSerde
	grace       *time.Duration // of a join with a table

	inMemory, noChangelog bool
	materialized          bool // a store option was given
	history               *time.Duration
	emit                  emit
	partitions            *int
	partitioner           typed // of func(Record[K, V], int) int
	timestamps            typed // of func(Record[K, V], time.Time) (time.Time, error)
	wallClock             bool
	partitionTime         bool
	offset                topology.OffsetReset
	retention             Opt[time.Duration]
	expireOnJump          bool

	partitionLeft, partitionRight typed  // of a foreign-key join
	bounds                        bounds // of a buffer
}

// typed is a value of an option whose type is checked at Build.
type typed struct {
	value any
	what  string // the type as a user writes it
}

func typedOf(f any) typed { return typed{f, reflect.TypeOf(f).String()} }

type typedSerde struct {
	serde any // serde.Serde[T]
	of    reflect.Type
}

func start(call string) settings { return settings{site: topology.Site(), call: call} }

func nodeSettings(call string, opts []NodeOption) settings {
	s := start(call)
	for _, o := range opts {
		o.node(&s)
	}
	return s
}

func topicSettings(call string, opts []TopicOption) settings {
	s := start(call)
	for _, o := range opts {
		o.topic(&s)
	}
	return s
}

func aggSettings(call string, opts []AggOption) settings {
	s := start(call)
	for _, o := range opts {
		o.agg(&s)
	}
	return s
}

func joinSettings(call string, opts []JoinOption) settings {
	s := start(call)
	for _, o := range opts {
		o.join(&s)
	}
	return s
}

func streamJoinSettings(call string, opts []StreamJoinOption) settings {
	s := start(call)
	for _, o := range opts {
		o.streamJoin(&s)
	}
	return s
}

// anywhere is an option that means the same for every step that has a node.
type anywhere func(*settings)

func (o anywhere) node(s *settings)       { o(s) }
func (o anywhere) source(s *settings)     { o(s) }
func (o anywhere) table(s *settings)      { o(s) }
func (o anywhere) sink(s *settings)       { o(s) }
func (o anywhere) topic(s *settings)      { o(s) }
func (o anywhere) agg(s *settings)        { o(s) }
func (o anywhere) join(s *settings)       { o(s) }
func (o anywhere) streamJoin(s *settings) { o(s) }

// Named gives a step its name, in descriptions, metrics and dead letters. Of a step with a repartition topic it names that
// too: an application that runs keeps the names of its topics and stores, whatever steps are added before it.
func Named(name string) anywhere { return func(s *settings) { s.name = name } }

// OnError says what becomes of a record that fails at this step. Without it the policy of the topic or the application holds.
func OnError(rules ...dlq.Rule) anywhere {
	return func(s *settings) { s.policy = dlq.NewPolicy(rules...) }
}

// stored is an option about the store of a table.
type stored func(*settings)

func (o stored) agg(s *settings)        { s.materialized = true; o(s) }
func (o stored) table(s *settings)      { s.materialized = true; o(s) }
func (o stored) streamJoin(s *settings) { o(s) }

// As gives a table a store with this name: it names the changelog topic, and queries find it. A table that nothing needs a
// store for gets one by it.
func As(store string) stored { return func(s *settings) { s.store = store } }

// Versioned lets a table keep the versions of its rows for so long, each from its own time on, and gives it a store. Records
// that come late go into the history instead of over what is newer; what is later than the history is dropped. A stream that is
// joined with the table sees it as it was at the time of each record. Updates are sent on at once, whatever [EmitDeduped] says.
func Versioned(history time.Duration) stored { return func(s *settings) { s.history = &history } }

// named tells whether a table gets a store although nothing may need one.
func (s *settings) named() bool { return s.store != "" || s.history != nil }

// anyStore is an option about a store, of a table or of a processor.
type anyStore func(*settings)

func (o anyStore) agg(s *settings)        { s.materialized = true; o(s) }
func (o anyStore) table(s *settings)      { s.materialized = true; o(s) }
func (o anyStore) store(s *settings)      { o(s) }
func (o anyStore) streamJoin(s *settings) { o(s) }

// InMemory keeps a store out of the state directory. It is restored from its changelog at every start.
func InMemory() anyStore { return func(s *settings) { s.inMemory = true } }

// NoChangelog keeps a store without a changelog topic: a task that moves or loses its disk begins with an empty one.
func NoChangelog() unlogged { return unlogged{func(s *settings) { s.noChangelog = true }} }

// unlogged is an option about the changelog of a store or a buffer.
type unlogged struct{ anyStore }

func (o unlogged) buffer(s *settings) { o.anyStore(s) }

// windowStored is an option about the store of a table of windows.
type windowStored func(*settings)

func (o windowStored) agg(s *settings) { s.materialized = true; o(s) }

// kept is an option about how long the store of a table or a processor keeps what it has.
type kept func(*settings)

func (o kept) agg(s *settings)   { s.materialized = true; o(s) }
func (o kept) store(s *settings) { o(s) }

// Retention is how long a store keeps windows, from their starts on, sessions from their ends, in stream time. Without it that is
// as long as a record may still come for them. A longer one keeps them for queries and joins.
func Retention(d time.Duration) kept {
	return func(s *settings) { s.retention = Some(d) }
}

// ExpireOnJump lets [EmitOnClose] lose windows as Kafka Streams does: when stream time jumps, a window that closes by it and is
// older than the store's retention is not sent on any more. Without it none is lost.
func ExpireOnJump() windowStored { return func(s *settings) { s.expireOnJump = true } }

type emit uint8

const (
	// EmitDeduped sends the last update per key and commit downstream, as Kafka Streams' cached tables do. It is the default.
	EmitDeduped emit = iota
	// EmitEvery sends every update downstream at once.
	EmitEvery
	// EmitOnClose sends each window downstream once, when it has closed: when stream time has reached its end and the grace. It is
	// for tables of windows.
	EmitOnClose
)

func (e emit) agg(s *settings)   { s.materialized = true; s.emit = e }
func (e emit) table(s *settings) { s.materialized = true; s.emit = e }

// serdeOption is an option that gives a serde.
type serdeOption func(*settings)

func (o serdeOption) sink(s *settings)       { o(s) }
func (o serdeOption) topic(s *settings)      { o(s) }
func (o serdeOption) agg(s *settings)        { s.materialized = true; o(s) }
func (o serdeOption) join(s *settings)       { o(s) }
func (o serdeOption) streamJoin(s *settings) { o(s) }

// WithKey gives the serde of the keys that the step writes to a topic or a store.
func WithKey[K any](k serde.Serde[K]) serdeOption {
	return func(s *settings) { s.key = typedSerde{k, reflect.TypeFor[K]()} }
}

// WithValue gives the serde of the values that the step writes to a topic or a store. Of a join with a repartitioned stream
// they are those of the stream.
func WithValue[V any](v serde.Serde[V]) serdeOption {
	return func(s *settings) { s.value = typedSerde{v, reflect.TypeFor[V]()} }
}

// joinOnly is an option of joins with a table.
type joinOnly func(*settings)

func (o joinOnly) join(s *settings) { o(s) }

// Grace lets the records of a stream wait for so long, in its own time, before they are joined with a table, which has heard of
// more by then. The table must be [Versioned], with a history that is not shorter: each record sees it as it was at its own time.
func Grace(d time.Duration) joinOnly { return func(s *settings) { s.grace = &d } }

// ofSides is an option about one side of a join of streams.
type ofSides func(*settings)

func (o ofSides) streamJoin(s *settings) { o(s) }

// WithLeft gives the serde of the values of the left stream of a join, for its store and, where it is needed, its topic.
func WithLeft[V any](v serde.Serde[V]) ofSides {
	return func(s *settings) { s.left = typedSerde{v, reflect.TypeFor[V]()} }
}

// WithRight is [WithLeft] for the right stream.
func WithRight[V any](v serde.Serde[V]) ofSides {
	return func(s *settings) { s.right = typedSerde{v, reflect.TypeFor[V]()} }
}

// topicOnly is an option of repartition topics.
type topicOnly func(*settings)

func (o topicOnly) topic(s *settings) { o(s) }

// Partitions fixes how many partitions the repartition topic has. Without it, it has as many as the topics around it.
func Partitions(n int) topicOnly {
	return func(s *settings) { s.partitions = &n }
}

// written is an option of topics that the application writes.
type written func(*settings)

func (o written) topic(s *settings) { o(s) }
func (o written) sink(s *settings)  { o(s) }

// Partitioner chooses the partition of each record, from 0 to partitions - 1. Without it equal keys go to equal partitions, as
// with Java's default partitioner.
func Partitioner[K, V any](f func(r Record[K, V], partitions int) int) written {
	return func(s *settings) { s.partitioner = typed{f, reflect.TypeOf(f).String()} }
}
