package stream

import (
	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/tap"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/topology"
)

func init() {
	tap.OldValues = func(t any, force bool) { t.(Table[any, any]).table().enableOld(force) }
	tap.Changes = func(t any, f func(key any, c node.Change[any], time int64)) {
		if t, ok := t.(Table[Windowed[any], any]); ok {
			tapChanges(t.table(), f)
			return
		}
		tapChanges(t.(Table[any, any]).table(), f)
	}
	tap.ChangesFrom = func(b any, topic string, keys, values, changes any) any {
		v, c := values.(serde.Serde[any]), changes.(serde.Serde[node.Change[any]])
		if k, ok := keys.(serde.Serde[Windowed[any]]); ok {
			return changesFrom(b.(*Builder), topic, k, v, c)
		}
		return changesFrom(b.(*Builder), topic, keys.(serde.Serde[any]), v, c)
	}
	tap.CloseAfter = func(t any, ms int64) { t.(Table[Windowed[any], any]).table().closeAfter = Some(ms) }
}

// tapChanges adds a node behind a table that sees its changes.
func tapChanges[K any](t *table[K, any], f func(key any, c node.Change[any], time int64)) {
	name := t.b.graph.NameOr("", "KTABLE-TAP-")
	t.b.graph.Add(&topology.Op{Site: t.set.site, Name: name, Write: func(c *topology.Compiler) *topology.Node {
		parent := c.Out(t.op)
		return c.Add(topology.NewProcessor(name, func(in *topology.Instance, self *topology.Node) error {
			in.Attach(parent, self, node.Proc[K, node.Change[any]](func(r *node.Rec[K, node.Change[any]]) error {
				f(r.Key, r.Value, r.Time)
				return nil
			}))
			return nil
		}), parent)
	}}, t.op)
}

// changesFrom makes a table whose changes are the values of a topic.
func changesFrom[K any](b *Builder, topic string, k serde.Serde[K], v serde.Serde[any],
	changes serde.Serde[node.Change[any]]) Table[K, any] {
	t := &table[K, any]{b: b, set: settings{call: "changes"}, key: k, value: v, name: b.graph.Name("KTABLE-SOURCE-")}
	t.oldFrom, t.stores, t.history = func(bool) bool { return true }, func() []string { return nil }, func() bool { return false }
	spec := &topology.SourceSpec{Topics: []string{topic}, Table: true}
	t.op = b.graph.Add(&topology.Op{Source: spec, Name: t.name, Write: func(c *topology.Compiler) *topology.Node {
		return c.Add(topology.NewSource(t.name, spec, func(in *topology.Instance, self *topology.Node) error {
			in.AddSource(self, node.NewSource(in.Task, in.Info(self), k, changes, topology.After[K, node.Change[any]](in, self)))
			return nil
		}))
	}})
	t.sources = []*topology.Op{t.op}
	return Table[K, any]{t}
}
