package stream

import (
	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/topology"
)

// selfJoin is an inner join of a stream with itself that needs one store only.
type selfJoin[K, V, O any] struct{ j *streamJoin[K, V, V, O] }

// self returns the join as one of a stream with itself, if it is one and the program is optimized so; else nil. Results stay the
// same only for an inner join whose window holds a record's own time, so that others are left as they are.
func (j *streamJoin[K, L, R, O]) self(c *topology.Compiler) *selfJoin[K, L, O] {
	same, ok := any(j).(*streamJoin[K, L, L, O])
	if !ok || !c.Optimizes(topology.SingleStoreSelfJoin) || j.kind != joinInner || j.window.before < 0 || j.window.after < 0 ||
		c.Out(j.l.op) != c.Out(j.r.op) || j.l.through != nil || j.r.through != nil {
		return nil
	}
	return &selfJoin[K, L, O]{same}
}

// writeWindow adds the node in front. It does nothing but bear Kafka Streams' name: the node behind it puts records into the
// store.
func (s *selfJoin[K, V, O]) writeWindow(c *topology.Compiler) *topology.Node {
	n := topology.NewProcessor(s.j.leftWindow, wired(s.j.l, c, &s.j.set,
		func(in *topology.Instance, self *topology.Node) (node.Proc[K, V], error) {
			return node.Pass(in.Info(self), topology.After[K, V](in, self)), nil
		}))
	n.OnError = s.j.set.policy
	return c.Add(n, c.Out(s.j.l.op))
}

func (s *selfJoin[K, V, O]) write(c *topology.Compiler, window *topology.Node) *topology.Node {
	j := s.j
	n := topology.NewProcessor(j.merge, func(in *topology.Instance, self *topology.Node) error {
		at := in.Info(self)
		in.Attach(window, self, node.SelfJoin(in.Task, at, in.Store(j.leftStore).(*state.JoinStore[K, V]),
			j.window.before, j.window.after, j.make(in.Task, at), topology.After[K, O](in, self)))
		return nil
	})
	n.OnError = j.set.policy
	c.Add(n, window)
	k := findSerde(c, j.l.b, j.set.call, "keys", "WithKey", j.set.key, j.l.key)
	v := findSerde(c, j.l.b, j.set.call, "left values", "WithLeft", j.set.left, j.l.value)
	storable(c, j.set.call, k, v)
	j.store(c, state.JoinStoreSpec(j.leftStore, k, v, j.windows()), window, n)
	return n
}
