package stream

import (
	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/tap"
	"github.com/oxbow-streams/oxbow/topology"
)

func init() {
	tap.OldValues = func(t any, force bool) { t.(Table[any, any]).table().enableOld(force) }
	tap.Changes = func(t any, f func(key any, c node.Change[any], time int64)) {
		tapChanges(t.(Table[any, any]).table(), f)
	}
}

// tapChanges adds a node behind a table that sees its changes.
func tapChanges(t *table[any, any], f func(key any, c node.Change[any], time int64)) {
	name := t.b.graph.NameOr("", "KTABLE-TAP-")
	t.b.graph.Add(&topology.Op{Site: t.set.site, Name: name, Write: func(c *topology.Compiler) *topology.Node {
		parent := c.Out(t.op)
		return c.Add(topology.NewProcessor(name, func(in *topology.Instance, self *topology.Node) error {
			in.Attach(parent, self, node.Proc[any, node.Change[any]](func(r *node.Rec[any, node.Change[any]]) error {
				f(r.Key, r.Value, r.Time)
				return nil
			}))
			return nil
		}), parent)
	}}, t.op)
}
