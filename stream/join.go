package stream

import (
	"context"
	"time"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/topology"
)

// joinMaker makes the joiner of a stream and a table for one task.
type joinMaker[K, L, R, O any] func(t *node.Task, at *node.Info) func(K, L, Opt[R]) (O, error)

// The four kinds of joiner that has a record of its left side: plain or fallible, for records that meet a row or for all.
func plainInner[K, L, R, O any](f func(K, L, R) O) joinMaker[K, L, R, O] {
	return func(*node.Task, *node.Info) func(K, L, Opt[R]) (O, error) {
		return func(k K, l L, r Opt[R]) (O, error) {
			row, _ := r.Get()
			return f(k, l, row), nil
		}
	}
}

func tryInner[K, L, R, O any](f func(context.Context, K, L, R) (O, error)) joinMaker[K, L, R, O] {
	return func(t *node.Task, at *node.Info) func(K, L, Opt[R]) (O, error) {
		try := node.TryFold(t, at, f)
		return func(k K, l L, r Opt[R]) (O, error) {
			row, _ := r.Get()
			return try(k, l, row)
		}
	}
}

func plainLeft[K, L, R, O any](f func(K, L, Opt[R]) O) joinMaker[K, L, R, O] {
	return func(*node.Task, *node.Info) func(K, L, Opt[R]) (O, error) {
		return func(k K, l L, r Opt[R]) (O, error) { return f(k, l, r), nil }
	}
}

func tryLeft[K, L, R, O any](f func(context.Context, K, L, Opt[R]) (O, error)) joinMaker[K, L, R, O] {
	return func(t *node.Task, at *node.Info) func(K, L, Opt[R]) (O, error) { return node.TryFold(t, at, f) }
}

// JoinTable looks up each record's key in a table and makes a result of the two. Records without a row, and those with a null
// key or value, make none. The table's updates make no results. Both topics need equal partition counts; a stream whose key may
// have changed goes through a repartition topic first.
func JoinTable[K, L, R, O any](l Stream[K, L], r Table[K, R], f func(k K, l L, r R) O, opts ...JoinOption) Stream[K, O] {
	set := joinSettings("JoinTable", opts)
	l.builder().notNil(&set, f)
	return joinTable(l, r, set, false, plainInner(f))
}

// TryJoinTable is [JoinTable] for a function that can fail.
func TryJoinTable[K, L, R, O any](l Stream[K, L], r Table[K, R], f func(ctx context.Context, k K, l L, r R) (O, error),
	opts ...JoinOption) Stream[K, O] {
	set := joinSettings("TryJoinTable", opts)
	l.builder().notNil(&set, f)
	return joinTable(l, r, set, false, tryInner(f))
}

// LeftJoinTable is [JoinTable] with a result also for records without a row, a null key among them: then r is None.
func LeftJoinTable[K, L, R, O any](l Stream[K, L], r Table[K, R], f func(k K, l L, r Opt[R]) O,
	opts ...JoinOption) Stream[K, O] {
	set := joinSettings("LeftJoinTable", opts)
	l.builder().notNil(&set, f)
	return joinTable(l, r, set, true, plainLeft(f))
}

// TryLeftJoinTable is [LeftJoinTable] for a function that can fail.
func TryLeftJoinTable[K, L, R, O any](l Stream[K, L], r Table[K, R],
	f func(ctx context.Context, k K, l L, r Opt[R]) (O, error), opts ...JoinOption) Stream[K, O] {
	set := joinSettings("TryLeftJoinTable", opts)
	l.builder().notNil(&set, f)
	return joinTable(l, r, set, true, tryLeft(f))
}

func joinTable[K, L, R, O any](l Stream[K, L], right Table[K, R], set settings, left bool,
	join joinMaker[K, L, R, O]) Stream[K, O] {
	b, r := l.builder(), right.table()
	b.same(&set, r.b)
	if l.rekeyed {
		l = repartitionForJoin(l, &set, set.name)
	}
	sources := union(l.sources, r.sources)
	b.graph.Copartition(sources)
	if set.grace != nil && (*set.grace < 0 || *set.grace%time.Millisecond != 0) {
		faultf(b, &set, "Grace of %v: want whole milliseconds, not less than zero", *set.grace)
	}
	stores := r.storeNames()
	prefix := "KSTREAM-JOIN-"
	if left {
		prefix = "KSTREAM-LEFTJOIN-"
	}
	name := b.graph.NameOr(set.name, prefix)
	op := &topology.Op{Site: set.site, RelaxedNullKey: left, After: []*topology.Op{r.op}, Write: func(c *topology.Compiler) *topology.Node {
		n := topology.NewProcessor(name, wired(l, c, &set,
			func(in *topology.Instance, self *topology.Node) (node.Proc[K, L], error) {
				at := new(int64)
				if set.grace != nil {
					return graceJoin(in, self, &set, r, at, left, join), nil
				}
				return node.JoinTable(in.Task, in.Info(self), r.getter(in, at), at, left, join(in.Task, in.Info(self)),
					topology.After[K, O](in, self)), nil
			}))
		n.OnError = set.policy
		c.Add(n, c.Out(l.op))
		for _, s := range stores {
			c.Connect(n, s)
		}
		if set.grace != nil {
			addGraceBuffer(c, n, &set, l, r)
		}
		return n
	}}
	b.graph.Add(op, l.op)
	return Stream[K, O]{b: b, op: op, name: name, key: ownSerde(&set.key, l.key), sources: sources, again: new(reuse)}
}

const bufferSuffix = "-Buffer"

// addGraceBuffer adds the store in which the records of a stream wait.
func addGraceBuffer[K, L, R any](c *topology.Compiler, n *topology.Node, set *settings, l Stream[K, L], r *table[K, R]) {
	switch h := r.set.history; {
	case !r.versioned():
		c.Fault("%s: Grace needs a table that is Versioned", set.call)
	case h != nil && *h < *set.grace:
		c.Fault("%s: Grace of %v is longer than the history of the table, %v: it would see rows that are forgotten by then",
			set.call, *set.grace, *h)
	}
	k, v := keySerde(c, l.b, set, l.key), valueSerde(c, l.b, set, l.value)
	name := n.Name + bufferSuffix
	c.Store(n, &topology.Store{Name: name, Spec: state.GraceBufferSpec(name, k, v), Identity: n})
}

func graceJoin[K, L, R, O any](in *topology.Instance, self *topology.Node, set *settings, r *table[K, R], at *int64, left bool,
	join joinMaker[K, L, R, O]) node.Proc[K, L] {
	t, info, store := in.Task, in.Info(self), self.Name+bufferSuffix
	j := &node.GraceJoin[K, L, R, O]{Task: t, At: info, Clock: t.NewClock(store), Grace: set.grace.Milliseconds(),
		Buffer: in.Store(store).(*state.GraceBuffer[K, L]), Table: r.getter(in, at), AsOf: at, Left: left, Join: join(t, info),
		Next: topology.After[K, O](in, self)}
	return j.Proc()
}

// repartitionForJoin sends a stream through a topic, named by the user or after the stream. Joins that are not named share it.
func repartitionForJoin[K, V any](s Stream[K, V], set *settings, topic string) Stream[K, V] {
	if topic == "" {
		topic = s.name
	}
	names := topology.RepartitionNames(s.b.graph, topic)
	if s.again.op == nil || topic != s.name {
		s.again.op = s.b.graph.Add(repartitionOp(s, set, names), s.op)
	}
	return repartitioned(s, s.again.op, names.Source)
}
