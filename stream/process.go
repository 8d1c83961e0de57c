package stream

import (
	"context"
	"reflect"
	"time"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/topology"
)

// Processor works on records one by one and forwards what it likes. Each task has one of its own. A type that also has
// Init(*InitContext[K2, V2]) error, Close() or Close() error gets them called: Init before the first record, Close when the task
// ends. Fields are not undone when a record fails; what is in stores is.
type Processor[K, V, K2, V2 any] interface {
	Process(ctx *ProcessContext[K2, V2], r Record[K, V]) error
}

// Initializer is a Processor that prepares itself: it opens its stores and schedules its punctuations.
type Initializer[K, V any] interface {
	Init(*InitContext[K, V]) error
}

// ProcessContext is what a Processor acts through while it works on a record or a punctuation. It is a context with a deadline,
// from which [MetadataOf] tells the record. It must not be kept.
type ProcessContext[K, V any] struct {
	context.Context
	h *host[K, V]
}

// Forward sends a record to every step that follows, through all of them, before it returns. A zero Time is that of the record
// or punctuation in work. When a step that follows fails, so does the record in work, and Forward does nothing more.
func (c *ProcessContext[K, V]) Forward(r Record[K, V]) { c.h.forward(c.h.next, r) }

// ForwardTo sends a record to the following step of that name alone.
func (c *ProcessContext[K, V]) ForwardTo(step string, r Record[K, V]) {
	next, ok := c.h.children[step]
	if !ok {
		c.h.misuse("ForwardTo(%q): no step of that name follows, there are %s", step, c.h.childNames())
		return
	}
	c.h.forward(next, r)
}

// StreamTime is the largest timestamp that the task has seen, the zero time before its first record.
func (c *ProcessContext[K, V]) StreamTime() time.Time { return c.h.streamTime() }

// WallTime is the wall clock as of the running batch.
func (c *ProcessContext[K, V]) WallTime() time.Time { return time.UnixMilli(c.h.task.WallTime).UTC() }

// RequestCommit asks for a commit as soon as the record is done.
func (c *ProcessContext[K, V]) RequestCommit() { c.h.task.CommitRequested = true }

// EveryStreamTime is [InitContext.EveryStreamTime].
func (c *ProcessContext[K, V]) EveryStreamTime(d time.Duration, f Punctuator[K, V]) *Timer {
	return c.h.every(d, f, c.h.task.EveryStreamTime)
}

// EveryWallClock is [InitContext.EveryWallClock].
func (c *ProcessContext[K, V]) EveryWallClock(d time.Duration, f Punctuator[K, V]) *Timer {
	return c.h.every(d, f, c.h.task.EveryWallClock)
}

// Punctuator is called at a time of its own, not for a record.
type Punctuator[K, V any] func(ctx *ProcessContext[K, V], now time.Time) error

// Timer is a punctuation that comes again and again.
type Timer struct{ t *node.Timer }

// Cancel ends it. It may be called from the punctuator itself, and more than once.
func (t *Timer) Cancel() {
	if t.t != nil {
		t.t.Cancel()
	}
}

// InitContext is what a Processor prepares itself with.
type InitContext[K, V any] struct{ h *host[K, V] }

// TaskID is sub-topology and partition, as in "0_3".
func (c *InitContext[K, V]) TaskID() string { return c.h.task.ID.String() }

// EveryStreamTime schedules f for every d of stream time: on a grid from the epoch on, the first time with the task's first
// record. It fires at most once for each record, however far stream time jumps. Every firing is a unit of its own: it fails, is
// retried and set aside alone.
func (c *InitContext[K, V]) EveryStreamTime(d time.Duration, f Punctuator[K, V]) *Timer {
	return c.h.every(d, f, c.h.task.EveryStreamTime)
}

// EveryWallClock schedules f for every d of the wall clock, the first time d from now. Firings that are missed are not made up
// for. Every firing is a unit of its own.
func (c *InitContext[K, V]) EveryWallClock(d time.Duration, f Punctuator[K, V]) *Timer {
	return c.h.every(d, f, c.h.task.EveryWallClock)
}

func (c *InitContext[K, V]) stores() *opener { return &c.h.opener }

// Process sends the records through a processor, made once per task by mk. It may use the stores that are named here. Its output
// has keys of its own.
func Process[K, V, K2, V2 any, P Processor[K, V, K2, V2]](s Stream[K, V], mk func() P, stores []StoreRef,
	opts ...NodeOption) Stream[K2, V2] {
	set := nodeSettings("Process", opts)
	s.builder().notNil(&set, mk)
	r := process[K, V, K2, V2](s, set, "KSTREAM-PROCESSOR-", stores, mk, instancesOf[K, V, K2, V2](mk))
	r = r.revalue() // a topic may not move up past it, nor stand for those behind it: it may do anything to records
	r.rekeyed = true
	return r
}

// ValueProcessor is a Processor that keeps the key: what it forwards has that of the record in work, so that nothing need be
// repartitioned behind it. A type that also has Init(*StoreContext) error, Close() or Close() error gets them called.
type ValueProcessor[K, V, V2 any] interface {
	Process(ctx *ValueContext[K, V2], r Record[K, V]) error
}

// StoreContext is what a ValueProcessor opens its stores with.
type StoreContext struct{ o *opener }

func (c *StoreContext) stores() *opener { return c.o }

// ValueContext is what a ValueProcessor acts through while it works on a record. It must not be kept.
type ValueContext[K, V any] struct {
	context.Context
	h   *host[K, V]
	rec Record[K, V] // key, time and headers of the record in work
}

// Forward sends a value to every step that follows, with key, time and headers of the record in work.
func (c *ValueContext[K, V]) Forward(v V) { c.ForwardWith(Some(v), c.rec.Time, c.rec.Headers) }

// ForwardWith sends a value, or null, with a time and headers of its own.
func (c *ValueContext[K, V]) ForwardWith(v Opt[V], t time.Time, h Headers) {
	r := c.rec
	r.Value, r.Time, r.Headers = v, t, h
	c.h.forward(c.h.next, r)
}

// StreamTime is the largest timestamp that the task has seen.
func (c *ValueContext[K, V]) StreamTime() time.Time { return c.h.streamTime() }

// RequestCommit asks for a commit as soon as the record is done.
func (c *ValueContext[K, V]) RequestCommit() { c.h.task.CommitRequested = true }

// ProcessValues sends the records through a processor that keeps their keys, made once per task by mk.
func ProcessValues[K, V, V2 any, P ValueProcessor[K, V, V2]](s Stream[K, V], mk func() P, stores []StoreRef,
	opts ...NodeOption) Stream[K, V2] {
	set := nodeSettings("ProcessValues", opts)
	s.builder().notNil(&set, mk)
	r := process[K, V, K, V2](s, set, "KSTREAM-PROCESSVALUES-", stores, mk, func() instance[K, V, K, V2] {
		p := mk()
		ctx := new(ValueContext[K, V2])
		i := instance[K, V, K, V2]{user: p, close: closeOf(p)}
		i.process = func(c *ProcessContext[K, V2], r Record[K, V]) error {
			ctx.Context, ctx.h = c.Context, c.h
			ctx.rec = Record[K, V2]{Key: r.Key, NullKey: r.NullKey, Time: r.Time, Headers: r.Headers}
			return p.Process(ctx, r)
		}
		if u, ok := any(p).(interface{ Init(*StoreContext) error }); ok {
			i.init = func(c *InitContext[K, V2]) error { return u.Init(&StoreContext{&c.h.opener}) }
		}
		return i
	})
	r.key, r.rekeyed = s.key, s.rekeyed
	return r.revalue()
}

// instancesOf makes what a task runs of the processors that mk makes.
func instancesOf[K, V, K2, V2 any, P Processor[K, V, K2, V2]](mk func() P) func() instance[K, V, K2, V2] {
	return func() instance[K, V, K2, V2] {
		p := mk()
		return instance[K, V, K2, V2]{user: p, process: p.Process, init: initOf[K2, V2](p), close: closeOf(p)}
	}
}

// writeKeeper writes a source and the processor behind it that keeps a store up to date.
func writeKeeper[K, V, K2, V2 any, P Processor[K, V, K2, V2]](c *topology.Compiler, set *settings, src *sourceNode[K, V],
	sourceName, name string, mk func() P) *topology.Node {
	build := instancesOf[K, V, K2, V2](mk)
	if !reflect.ValueOf(mk).IsNil() {
		checkProcessor(c, set, build(), build(), "KSTREAM-PROCESSOR-")
	}
	source := src.add(c, sourceName, set)
	n := topology.NewProcessor(name, func(in *topology.Instance, self *topology.Node) error {
		in.Attach(source, self, hosted(in, self, build))
		return nil
	})
	n.OnError = set.policy
	c.Add(n, source)
	return n
}
