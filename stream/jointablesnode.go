package stream

import (
	"slices"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/topology"
)

// joinTables adds the three nodes of a join of tables.
func joinTables[K, L, R, O any](left Table[K, L], right Table[K, R], set settings, kind node.JoinKind,
	join tableJoiner[K, L, R, O]) Table[K, O] {
	l, r := left.table(), right.table()
	b := l.b
	b.same(&set, r.b)
	t := &table[K, O]{b: b, set: set, store: set.store, stored: set.named(), joined: true}
	if set.materialized && set.store == "" {
		t.store = b.graph.StoreName("KTABLE-MERGE-") // Kafka Streams takes a number here too
	}
	t.name = b.graph.NameOr(set.name, "KTABLE-MERGE-")
	t.sources = union(l.sources, r.sources)
	b.graph.Copartition(t.sources)
	t.key = ownSerde(&t.set.key, l.key)
	t.value = ownSerde[O](&t.set.value, nil)
	if kind != node.InnerJoin {
		l.enableOld(true)
	}
	if kind == node.OuterJoin {
		r.enableOld(true)
	}
	t.oldFrom = func(bool) bool {
		l.enableOld(true)
		r.enableOld(true)
		return true
	}
	j := &tableJoin[K, L, R, O]{t: t, l: l, r: r, kind: kind, join: join}
	j.this = b.graph.NameOr(suffixed(set.name, "-join-this"), "KTABLE-JOINTHIS-")
	j.other = b.graph.NameOr(suffixed(set.name, "-join-other"), "KTABLE-JOINOTHER-")
	j.lStores, j.rStores = l.storeNames(), r.storeNames()
	t.stores = func() []string { return slices.Concat(j.lStores, j.rStores) }
	t.compute = func(in *topology.Instance, self *topology.Node, _ *int64) node.Getter[K, O] {
		return node.JoinGetter(in.Task, in.Info(self), kind, l.getter(in, nil), r.getter(in, nil), join(in.Task, in.Info(self)))
	}
	t.op = b.graph.Add(&topology.Op{Site: set.site, Name: t.name, Write: j.write}, l.op, r.op)
	return Table[K, O]{t}
}

// tableJoin writes the nodes of a join of tables.
type tableJoin[K, L, R, O any] struct {
	t                *table[K, O]
	l                *table[K, L]
	r                *table[K, R]
	kind             node.JoinKind
	join             tableJoiner[K, L, R, O]
	this, other      string
	lStores, rStores []string
}

func (j *tableJoin[K, L, R, O]) write(c *topology.Compiler) *topology.Node {
	t := j.t
	left, right := c.Out(j.l.op), c.Out(j.r.op)
	this := topology.NewProcessor(j.this, func(in *topology.Instance, self *topology.Node) error {
		in.Attach(left, self, node.JoinSide(in.Task, in.Info(self), j.r.getter(in, nil), j.kind != node.OuterJoin,
			j.kind == node.InnerJoin, t.sendOld, j.join(in.Task, in.Info(self)), topology.After[K, node.Change[O]](in, self)))
		return nil
	})
	other := topology.NewProcessor(j.other, func(in *topology.Instance, self *topology.Node) error {
		join := node.Mirror(j.join(in.Task, in.Info(self)))
		in.Attach(right, self, node.JoinSide(in.Task, in.Info(self), j.l.getter(in, nil), j.kind == node.InnerJoin,
			j.kind != node.OuterJoin, t.sendOld, join, topology.After[K, node.Change[O]](in, self)))
		return nil
	})
	for _, side := range []struct {
		n      *topology.Node
		after  *topology.Node
		stores []string
	}{{this, left, j.rStores}, {other, right, j.lStores}} {
		side.n.OnError = t.set.policy
		c.Add(side.n, side.after)
		for _, s := range side.stores {
			c.Connect(side.n, s)
		}
	}
	k, v := t.serdes(c)
	merge := topology.NewProcessor(t.name, func(in *topology.Instance, self *topology.Node) error {
		p := node.MergeJoin(t.emitter(in, self, k, v))
		in.Attach(this, self, p)
		in.Attach(other, self, p)
		return nil
	})
	return t.add(c, merge, k, v, this, other)
}
