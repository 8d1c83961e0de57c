package stream

import (
	"time"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/topology"
)

// BufferOption is for steps that hold updates back: [Named], [OnError], [WithKey], [WithValue], [NoChangelog], [MaxRecords],
// [MaxBytes], [EmitEarlyWhenFull], [StopWhenFull].
type BufferOption interface{ buffer(*settings) }

func (o anywhere) buffer(s *settings)    { o(s) }
func (o serdeOption) buffer(s *settings) { o(s) }

// bufferOnly is an option of buffers.
type bufferOnly func(*settings)

func (o bufferOnly) buffer(s *settings) { o(s) }

// BufferFullError says that a buffer is full that must not send its rows early; see [StopWhenFull].
type BufferFullError = node.BufferFullError

// bounds are the limits of a buffer.
type bounds struct {
	records, bytes    *int64
	emitEarly, orStop bool
}

// MaxRecords limits a buffer to so many rows.
func MaxRecords(n int) bufferOnly {
	return func(s *settings) { m := int64(n); s.bounds.records = &m }
}

// MaxBytes limits a buffer to so many bytes of keys, values, headers and coordinates, in encoded form.
func MaxBytes(n int64) bufferOnly { return func(s *settings) { s.bounds.bytes = &n } }

// EmitEarlyWhenFull lets a full buffer send its first rows before their time. It is the default of [Table.SuppressUntilTimeLimit].
func EmitEarlyWhenFull() bufferOnly { return func(s *settings) { s.bounds.emitEarly = true } }

// StopWhenFull lets a full buffer stop the application with a [BufferFullError]. It is the default, and the only way, of
// [SuppressUntilWindowCloses], whose rows are sent once.
func StopWhenFull() bufferOnly { return func(s *settings) { s.bounds.orStop = true } }

func bufferSettings(call string, opts []BufferOption) settings {
	s := start(call)
	for _, o := range opts {
		o.buffer(&s)
	}
	return s
}

// suppression makes the limits of a buffer out of options, and finds those that make no sense.
func (s *settings) suppression(b *Builder, wait int64) node.Suppression {
	out := node.Suppression{Wait: wait, MaxRecords: node.NoLimit, MaxBytes: node.NoLimit}
	for _, l := range []struct {
		option string
		given  *int64
		limit  *int64
	}{{"MaxRecords", s.bounds.records, &out.MaxRecords}, {"MaxBytes", s.bounds.bytes, &out.MaxBytes}} {
		if l.given == nil {
			continue
		}
		if *l.limit = *l.given; *l.given < 0 {
			faultf(b, s, "%s(%d): want 0 or more, or leave the option away for no limit", l.option, *l.given)
		}
	}
	if (s.bounds.emitEarly || s.bounds.orStop) && s.bounds.records == nil && s.bounds.bytes == nil {
		faultf(b, s, "EmitEarlyWhenFull and StopWhenFull mean something for a buffer with a limit: give MaxRecords or MaxBytes")
	}
	if s.bounds.emitEarly && s.bounds.orStop {
		faultf(b, s, "EmitEarlyWhenFull and StopWhenFull contradict each other: give one of them")
	}
	return out
}

// SuppressUntilWindowCloses holds the updates of a table of windows back until their window has closed, and then sends the last one:
// one final result for each window. A window closes when stream time, by what reaches this step, has reached its end and the grace
// of the windows. Windows that are deleted by then are not sent at all.
//
// The buffer has no limit unless one is given; its order and keys are in memory. Where there is no need for the table of
// updates beside, [EmitOnClose] is cheaper.
func SuppressUntilWindowCloses[K, V any](t Table[Windowed[K], V], opts ...BufferOption) Table[Windowed[K], V] {
	set := bufferSettings("SuppressUntilWindowCloses", opts)
	up := t.table()
	closeAfter, ok := up.closeAfter.Get()
	if !ok {
		faultf(up.b, &set, "windows of %s have no known end: suppress a table that is made of windows, or use SuppressUntilTimeLimit", up.name)
	}
	how := set.suppression(up.b, closeAfter)
	how.Final, how.Stop = true, true
	if set.bounds.emitEarly {
		faultf(up.b, &set, "EmitEarlyWhenFull would send more than the final result: use StopWhenFull, or SuppressUntilTimeLimit")
	}
	return suppress(up, set, how, node.WindowEnd[K])
}

// SuppressUntilTimeLimit holds each row's first update back for d of stream time, and then sends the last one: at most one update of
// a row in d. Stream time is that of what reaches this step: without further records nothing is sent.
//
// The buffer has no limit unless one is given; its order and keys are in memory.
func (t Table[K, V]) SuppressUntilTimeLimit(d time.Duration, opts ...BufferOption) Table[K, V] {
	set := bufferSettings("SuppressUntilTimeLimit", opts)
	up := t.table()
	if d < 0 || d%time.Millisecond != 0 {
		faultf(up.b, &set, "a limit of %v: want whole milliseconds, 0 or more", d)
	}
	how := set.suppression(up.b, d.Milliseconds())
	how.Stop = set.bounds.orStop
	return suppress(up, set, how, node.RecordTime[K])
}

func suppress[K, V any](up *table[K, V], set settings, how node.Suppression, timeOf func(K, int64) int64) Table[K, V] {
	b := up.b
	name, store := set.name, set.name+"-store"
	if name == "" {
		name, store = b.graph.Name("KTABLE-SUPPRESS-"), b.graph.StoreName("KTABLE-SUPPRESS-")
	}
	up.enableOld(true) // what downstream has seen last is known by it
	t := &table[K, V]{b: b, set: set, name: name, sources: up.sources, closeAfter: up.closeAfter}
	t.key, t.value = ownSerde(&t.set.key, up.key), ownSerde(&t.set.value, up.value)
	t.oldFrom, t.history = up.enableOld, func() bool { return false }
	t.stores = func() []string { return append([]string{store}, up.storeNames()...) }
	buffer := func(in *topology.Instance) *state.ChangeBuffer[K, V] {
		return in.Store(store).(*state.ChangeBuffer[K, V])
	}
	t.compute = func(in *topology.Instance, self *topology.Node, _ *int64) node.Getter[K, V] {
		return node.SuppressGetter(in.Task, in.Info(self), buffer(in), up.getter(in, nil))
	}
	t.op = b.graph.Add(&topology.Op{Site: set.site, Name: name, Write: func(c *topology.Compiler) *topology.Node {
		if up.versioned() {
			c.Fault("%s: %s keeps versions of its rows, which cannot be held back: suppress one without Versioned", set.call, up.name)
		}
		parent := c.Out(up.op)
		k, v := keySerde(c, b, &t.set, t.key), valueSerde(c, b, &t.set, t.value)
		n := topology.NewProcessor(name, func(in *topology.Instance, self *topology.Node) error {
			in.Attach(parent, self, node.Suppress(in.Task, in.Info(self), how, buffer(in), timeOf,
				topology.After[K, node.Change[V]](in, self)))
			return nil
		})
		n.OnError = set.policy
		c.Add(n, parent)
		spec := state.SuppressSpec(store, k, v)
		spec.Logged = !set.noChangelog
		c.Store(n, &topology.Store{Name: store, Spec: spec, Identity: t})
		return n
	}}, up.op)
	return Table[K, V]{t}
}
