package stream

import (
	"context"
	"time"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/topology"
)

// TableProcessor gives every row of a table a new value, with stores and knowledge of the record in work: None deletes the row.
// It is called for deletions too, where v is None. A type that also has Init(*StoreContext) error, Close() or Close() error gets
// them called. Fields are not undone when a record fails; what is in stores is.
type TableProcessor[K, V, V2 any] interface {
	Process(ctx *TableContext, k K, v Opt[V]) (Opt[V2], error)
}

// TableContext is what a TableProcessor knows of the task while it works on a row. It is a context with a deadline, from which
// [MetadataOf] tells the record. There is nothing to forward with: a row has one value, that which is returned. It must not be kept.
type TableContext struct {
	context.Context
	task *node.Task
}

// StreamTime is the largest timestamp that the task has seen, the zero time before its first record.
func (c *TableContext) StreamTime() time.Time { return streamTime(c.task) }

// RequestCommit asks for a commit as soon as the record is done.
func (c *TableContext) RequestCommit() { c.task.CommitRequested = true }

// ProcessTableValues is [TransformTable] with a processor, which may use the stores that are named here. Each task has one of its
// own, made by mk. Where the table has no store, what follows calls the processor for rows that it looks up, and for old values
// where it needs them: steps that look rows up have processors of their own then. Name the table with [As] if that matters, as it
// does to one that writes to its stores.
func ProcessTableValues[K, V, V2 any, P TableProcessor[K, V, V2]](from Table[K, V], mk func() P, stores []StoreRef,
	opts ...AggOption) Table[K, V2] {
	set := aggSettings("ProcessTableValues", opts)
	from.table().b.notNil(&set, mk)
	uses := func(c *topology.Compiler, n *topology.Node) {
		if mk != nil {
			checkProcessor(c, &set, tableInstance[K, V, V2](mk()), tableInstance[K, V, V2](mk()), tableValues)
		}
		addStores(c, n, &set, stores)
	}
	return transform(from, set, tableValues, false, uses, func(in *topology.Instance, self *topology.Node) func(K, Opt[V]) (Opt[V2], error) {
		return tableHosted[K, V, V2](in, self, mk)
	})
}

const tableValues = "KTABLE-TRANSFORMVALUES-"

// tableInstance is what is to be checked of a processor: its optional methods.
func tableInstance[K, V, V2 any, P TableProcessor[K, V, V2]](p P) instance[K, V, K, V2] {
	i := instance[K, V, K, V2]{user: p, close: closeOf(p)}
	if _, ok := any(p).(storeIniter); ok {
		i.init = func(*InitContext[K, V2]) error { return nil }
	}
	return i
}

// storeIniter is a processor that opens its stores.
type storeIniter interface{ Init(*StoreContext) error }

// tableHosted makes the function of a processor, for the table's node or for one that looks its rows up.
func tableHosted[K, V, V2 any, P TableProcessor[K, V, V2]](in *topology.Instance, self *topology.Node,
	mk func() P) func(K, Opt[V]) (Opt[V2], error) {
	o := &opener{task: in.Task, at: in.Info(self), in: in, names: self.Stores}
	calls := node.NewCalls(in.Task, o.at)
	ctx := &TableContext{task: in.Task}
	var p P
	var end func() error
	in.OnInit(func() error {
		p = mk()
		end = closeOf(p)
		if u, ok := any(p).(storeIniter); ok {
			return o.around("Init", func() error { return u.Init(&StoreContext{o}) })
		}
		return nil
	})
	in.OnClose(func() error { return o.around("Close", end) })
	return func(k K, v Opt[V]) (Opt[V2], error) {
		ctx.Context, o.err = calls.Context(), nil
		now, err := p.Process(ctx, k, v)
		calls.Over()
		if trouble := o.trouble(); trouble != nil {
			return None[V2](), trouble
		}
		return now, err
	}
}
