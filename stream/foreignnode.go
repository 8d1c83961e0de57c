package stream

import (
	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/topology"
)

// foreignNames are the names of a foreign-key join, with their numbers taken in Kafka Streams' order.
type foreignNames struct {
	registration, response                               string // topics
	subscribe, registrationSink, registrationSource      string
	store, receive, join, foreign                        string
	responseSink, responseSource, resolve, result, table string
}

func nameForeign(g *topology.Graph, set *settings) (n foreignNames) {
	name := func(suffix, prefix string) string {
		return g.NameOr(suffixed(set.name, suffix), prefix)
	}
	const fk = "KTABLE-FK-JOIN-"
	n.registration = name("-subscription-registration", fk+"SUBSCRIPTION-REGISTRATION-") + "-topic"
	n.subscribe = name("-subscription-registration-processor", fk+"SUBSCRIPTION-REGISTRATION-")
	n.registrationSink = name("-subscription-registration-sink", "KTABLE-SINK-")
	n.registrationSource = name("-subscription-registration-source", "KTABLE-SOURCE-")
	n.store = name("-subscription-store", fk+"SUBSCRIPTION-STATE-STORE-")
	n.receive = name("-subscription-receive", fk+"SUBSCRIPTION-PROCESSOR-")
	n.join = name("-subscription-join-foreign", fk+"SUBSCRIPTION-PROCESSOR-")
	n.foreign = name("-foreign-join-subscription", fk+"SUBSCRIPTION-PROCESSOR-")
	n.response = name("-subscription-response", fk+"SUBSCRIPTION-RESPONSE-") + "-topic"
	n.responseSink = name("-subscription-response-sink", "KTABLE-SINK-")
	n.responseSource = name("-subscription-response-source", "KTABLE-SOURCE-")
	n.resolve = name("-subscription-response-resolver", fk+"SUBSCRIPTION-RESPONSE-RESOLVER-PROCESSOR-")
	n.result = name("-result", fk+"OUTPUT-")
	if n.table = set.store; n.table == "" {
		n.table = g.StoreName(fk + "OUTPUT-")
	}
	return n
}

// foreignJoin is a foreign-key join while its steps are made.
type foreignJoin[K, L, F, R, O any] struct {
	b     *Builder
	l     *table[K, L]
	r     *table[F, R]
	set   settings
	left  bool
	names foreignNames
	f     foreignMaker[K, L, F, R, O]

	lk serde.Serde[K] // found when the first step is written
	lv serde.Serde[L]
	rk serde.Serde[F]
	rv serde.Serde[R]
}

func joinForeign[K, L, F, R, O any](left Table[K, L], right Table[F, R], set settings, isLeft bool, key, join any,
	f foreignMaker[K, L, F, R, O]) Table[K, O] {
	l, r := left.table(), right.table()
	l.b.notNil(&set, key)
	l.b.notNil(&set, join)
	l.b.same(&set, r.b)
	r.enableOld(true)
	l.enableOld(true)
	j := &foreignJoin[K, L, F, R, O]{b: l.b, l: l, r: r, set: set, left: isLeft, f: f, names: nameForeign(l.b.graph, &set)}
	registration := j.registrationStep()
	response := j.responseStep(registration)
	return j.resultStep(response)
}

// serdes finds the serdes of both tables: what travels and what is hashed is what they hold.
func (j *foreignJoin[K, L, F, R, O]) serdes(c *topology.Compiler) {
	j.lk, j.lv = keySerde(c, j.b, &j.l.set, j.l.key), valueSerde(c, j.b, &j.l.set, j.l.value)
	j.rk, j.rv = keySerde(c, j.b, &j.r.set, j.r.key), valueSerde(c, j.b, &j.r.set, j.r.value)
}

// registrationStep sends subscriptions through the registration topic. It has the partitions of the right table.
func (j *foreignJoin[K, L, F, R, O]) registrationStep() *topology.Op {
	n := &j.names
	by := optionOf[func(F, int) int](j.b, &j.set, "PartitionRight", j.set.partitionRight)
	op := &topology.Op{Site: j.set.site, Source: &topology.SourceSpec{Topics: []string{n.registration}}, Repartition: true}
	op.Write = func(c *topology.Compiler) *topology.Node {
		j.serdes(c)
		parent, subscriptions := c.Out(j.l.op), node.SubscriptionSerde(j.lk)
		c.Internal(n.registration, nil)
		send := topology.NewProcessor(n.subscribe, func(in *topology.Instance, self *topology.Node) error {
			in.Attach(parent, self, node.SubscribeForeign(in.Task, in.Info(self), j.f.key(in.Task, in.Info(self)), j.left, j.rk, j.lv,
				topology.After[F, node.Subscription[K]](in, self)))
			return nil
		})
		j.add(c, send, parent)
		j.add(c, internalSink(n.registrationSink, n.registration, send, j.rk, subscriptions, byKey[F, node.Subscription[K]]("PartitionRight", by)), send)
		return j.add(c, internalSource(n.registrationSource, op.Source, j.rk, subscriptions))
	}
	j.b.graph.Add(op, j.l.op)
	j.b.graph.Copartition(union(j.r.sources, []*topology.Op{op}))
	return op
}

// responseStep answers subscriptions and updates of the right table through the response topic. It has the partitions of the left
// table.
func (j *foreignJoin[K, L, F, R, O]) responseStep(registration *topology.Op) *topology.Op {
	n := &j.names
	by := optionOf[func(K, int) int](j.b, &j.set, "PartitionLeft", j.set.partitionLeft)
	stores := j.r.storeNames()
	op := &topology.Op{Site: j.set.site, Source: &topology.SourceSpec{Topics: []string{n.response}}, Repartition: true}
	op.Write = func(c *topology.Compiler) *topology.Node {
		source, right, responses := c.Out(registration), c.Out(j.r.op), node.ResponseSerde(j.rv)
		c.Internal(n.response, nil)
		receive := j.add(c, topology.NewProcessor(n.receive, func(in *topology.Instance, self *topology.Node) error {
			in.Attach(source, self, node.ReceiveSubscription(in.Task, in.Info(self), j.subscriptions(in), j.rk, j.lk,
				topology.After[F, node.Subscription[K]](in, self)))
			return nil
		}), source)
		j.store(c, receive)
		join := j.add(c, topology.NewProcessor(n.join, func(in *topology.Instance, self *topology.Node) error {
			in.Attach(receive, self, node.JoinSubscription(in.Task, in.Info(self), j.r.getter(in, nil),
				topology.After[K, node.Response[R]](in, self)))
			return nil
		}), receive)
		for _, s := range stores {
			c.Connect(join, s)
		}
		foreign := j.add(c, topology.NewProcessor(n.foreign, func(in *topology.Instance, self *topology.Node) error {
			in.Attach(right, self, node.SendForeign(in.Task, in.Info(self), j.subscriptions(in), j.rk, j.lk,
				topology.After[K, node.Response[R]](in, self)))
			return nil
		}), right)
		j.store(c, foreign)
		j.responseSink(c, join, foreign, responses, by)
		return j.add(c, internalSource(n.responseSource, op.Source, j.lk, responses))
	}
	j.b.graph.Add(op, registration, j.r.op)
	j.b.graph.Copartition(union(j.l.sources, []*topology.Op{op}))
	return op
}

// responseSink is written to by both nodes that answer.
func (j *foreignJoin[K, L, F, R, O]) responseSink(c *topology.Compiler, join, foreign *topology.Node,
	responses serde.Serde[node.Response[R]], by func(K, int) int) {
	partition := byKey[K, node.Response[R]]("PartitionLeft", by)
	if by == nil {
		partition = func(r *node.Rec[K, node.Response[R]], _ int32) (int32, error) { return r.Value.Partition, nil }
	}
	sink := internalSink(j.names.responseSink, j.names.response, join, j.lk, responses, partition)
	attach := sink.Wire
	sink.Wire = func(in *topology.Instance, self *topology.Node) error {
		if err := attach(in, self); err != nil {
			return err
		}
		return internalSink(j.names.responseSink, j.names.response, foreign, j.lk, responses, partition).Wire(in, self)
	}
	j.add(c, sink, join, foreign)
}

// resultStep joins the answers with the left table, and makes a table of the results.
func (j *foreignJoin[K, L, F, R, O]) resultStep(response *topology.Op) Table[K, O] {
	n := &j.names
	stores := j.l.storeNames()
	t := &table[K, O]{b: j.b, set: j.set, name: n.result, store: n.table, stored: j.set.store != "", lazy: true}
	t.sources = union(j.l.sources, []*topology.Op{response})
	t.key, t.value = ownSerde(&t.set.key, j.l.key), ownSerde[O](&t.set.value, nil)
	if l, ok := j.l.closeAfter.Get(); ok && j.r.closeAfter.IsSome() {
		t.closeAfter = Some(max(l, j.r.closeAfter.Or(0)))
	}
	t.op = j.b.graph.Add(&topology.Op{Site: j.set.site, Name: n.result, Write: func(c *topology.Compiler) *topology.Node {
		source := c.Out(response)
		resolve := j.add(c, topology.NewProcessor(n.resolve, func(in *topology.Instance, self *topology.Node) error {
			at := in.Info(self)
			in.Attach(source, self, node.ResolveForeign(in.Task, at, j.l.getter(in, nil), j.lv, j.left, j.f.join(in.Task, at),
				topology.After[K, O](in, self)))
			return nil
		}), source)
		for _, s := range stores {
			c.Connect(resolve, s)
		}
		k, v := t.serdes(c)
		result := topology.NewProcessor(n.result, func(in *topology.Instance, self *topology.Node) error {
			in.Attach(resolve, self, node.TableSource(in.Task, in.Info(self), t.emitter(in, self, k, v)))
			return nil
		})
		return t.add(c, result, k, v, resolve)
	}}, response)
	return Table[K, O]{t}
}

func (j *foreignJoin[K, L, F, R, O]) add(c *topology.Compiler, n *topology.Node, parents ...*topology.Node) *topology.Node {
	n.OnError = j.set.policy
	return c.Add(n, parents...)
}

func (j *foreignJoin[K, L, F, R, O]) store(c *topology.Compiler, n *topology.Node) {
	c.Store(n, &topology.Store{Name: j.names.store, Spec: state.SubscriptionSpec(j.names.store), Identity: j})
}

func (j *foreignJoin[K, L, F, R, O]) subscriptions(in *topology.Instance) *state.Subscriptions {
	return in.Store(j.names.store).(*state.Subscriptions)
}

// byKey makes the partitioner of a sink of one that only sees keys; nil stays nil.
func byKey[K, V any](option string, f func(K, int) int) node.Partition[K, V] {
	if f == nil {
		return nil
	}
	return func(r *node.Rec[K, V], n int32) (int32, error) {
		if r.NullKey {
			return node.ByKey, nil
		}
		return inRange(option, f(r.Key, int(n)), n)
	}
}

// internalSink writes to a topic of the application behind a node.
func internalSink[K, V any](name, topic string, parent *topology.Node, k serde.Serde[K], v serde.Serde[V],
	partition node.Partition[K, V]) *topology.Node {
	return topology.NewSink(name, topic, func(in *topology.Instance, self *topology.Node) error {
		d, err := in.Dest(self)
		in.Attach(parent, self, node.WithOrigin(in.Task, node.Sink(in.Task, in.Info(self), in.Topology.TopicName(topic), d, k, v, partition)))
		return err
	})
}

// internalSource reads a topic of the application.
func internalSource[K, V any](name string, spec *topology.SourceSpec, k serde.Serde[K], v serde.Serde[V]) *topology.Node {
	return topology.NewSource(name, spec, func(in *topology.Instance, self *topology.Node) error {
		in.AddSource(self, node.NewRepartitionSource(in.Task, in.Info(self), k, v, topology.After[K, V](in, self)))
		return nil
	})
}
