package stream

import (
	"math"
	"time"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/topology"
)

// folder is one input of an aggregation, whatever its values are: a grouped stream and what brings its records into an aggregate.
type folder[K, A any] interface {
	// route sends the input through a repartition topic if it needs one. store names the topic if the user does not. It returns
	// the step to follow, what it reads, and the serde of its keys. was has what inputs have been routed before, by what they have
	// in common; it may be nil.
	route(store string, was map[*reuse]any) (op *topology.Op, sources []*topology.Op, key serde.Serde[K])
	// The others make the node's Wire, for a table without windows, with time windows, with sessions.
	plain(c *topology.Compiler, set *settings, zero func() A,
		out func(*topology.Instance, *topology.Node) *node.Emitter[K, A]) wire
	windows(c *topology.Compiler, set *settings, zero func() A, w windowing, store func(*topology.Instance) node.WindowStore[K, A],
		out func(*topology.Instance, *topology.Node) *node.Emitter[Windowed[K], A]) wire
	sessions(c *topology.Compiler, set *settings, zero func() A, w node.Sessions, merge mergeMaker[K, A],
		store func(*topology.Instance) node.SessionStore[K, A],
		out func(*topology.Instance, *topology.Node) *node.Emitter[Windowed[K], A]) wire
}

type wire = func(in *topology.Instance, self *topology.Node) error

// mergeMaker makes what merges sessions, for one task.
type mergeMaker[K, A any] func(t *node.Task, at *node.Info) node.Merge[K, A]

// fold is the folder of a stream.
type fold[K, V, A any] struct {
	g     Grouped[K, V]
	s     Stream[K, V]                           // of g, after its repartition topic
	nulls bool                                   // step does not look at values, so that null ones are welcome
	step  func(zero func() A) stepMaker[K, V, A] // zero is nil where step needs none
}

func (f *fold[K, V, A]) route(store string, was map[*reuse]any) (*topology.Op, []*topology.Op, serde.Serde[K]) {
	if s, ok := was[f.g.rep].(Stream[K, V]); ok {
		topology.RepartitionNames(f.g.s.b.graph, store) // Kafka Streams takes the numbers again
		f.s = s
	} else if f.s = f.g.repartitioned(store); was != nil && f.g.s.rekeyed {
		was[f.g.rep] = f.s
	}
	return f.s.op, f.s.sources, ownSerde(&f.g.set.key, f.s.key)
}

func (f *fold[K, V, A]) plain(c *topology.Compiler, set *settings, zero func() A,
	out func(*topology.Instance, *topology.Node) *node.Emitter[K, A]) wire {
	return wired(f.s, c, set, func(in *topology.Instance, self *topology.Node) (node.Proc[K, V], error) {
		t, at := in.Task, in.Info(self)
		return node.Aggregate(t, at, f.step(zero)(t, at), out(in, self)), nil
	})
}

func (f *fold[K, V, A]) windows(c *topology.Compiler, set *settings, zero func() A, w windowing,
	store func(*topology.Instance) node.WindowStore[K, A],
	out func(*topology.Instance, *topology.Node) *node.Emitter[Windowed[K], A]) wire {
	return wired(f.s, c, set, func(in *topology.Instance, self *topology.Node) (node.Proc[K, V], error) {
		t, at := in.Task, in.Info(self)
		step := f.step(zero)(t, at)
		if w.of == sliding {
			return node.AggregateSliding(t, at, w.grid.Size, w.grid.Grace, step, store(in), out(in, self)), nil
		}
		return node.AggregateWindows(t, at, w.grid, step, f.nulls, store(in), out(in, self)), nil
	})
}

func (f *fold[K, V, A]) sessions(c *topology.Compiler, set *settings, zero func() A, w node.Sessions, merge mergeMaker[K, A],
	store func(*topology.Instance) node.SessionStore[K, A],
	out func(*topology.Instance, *topology.Node) *node.Emitter[Windowed[K], A]) wire {
	first := None[A]
	if zero != nil {
		first = func() Opt[A] { return Some(zero()) }
	}
	return wired(f.s, c, set, func(in *topology.Instance, self *topology.Node) (node.Proc[K, V], error) {
		t, at := in.Task, in.Info(self)
		return node.AggregateSessions(t, at, w, first, f.step(zero)(t, at), merge(t, at), f.nulls, store(in), out(in, self)), nil
	})
}

// windowTable begins a table of windows. need is the retention that the windows need; the table's keys are those of window.
type windowTable[K, A any] struct {
	*table[Windowed[K], A]
	inner     serde.Serde[K]
	retention int64
	need      int64
}

// newWindowTable takes the names of a table of windows. closeAfter is how long after its end a window closes.
func newWindowTable[K, A any](b *Builder, set settings, prefix string, need, closeAfter int64) *windowTable[K, A] {
	t := &windowTable[K, A]{table: &table[Windowed[K], A]{b: b, set: set, store: set.store, stored: true, windows: true,
		closeAfter: Some(closeAfter)}, need: need, retention: need}
	if t.store == "" {
		t.store = b.graph.StoreName(prefix)
	}
	if d, ok := set.retention.Get(); ok {
		t.retention = d.Milliseconds()
		if t.retention < need {
			faultf(b, &set, "Retention of %v is too short: its windows and their grace need %v", d, time.Duration(need)*time.Millisecond)
		}
	}
	return t
}

// serdesOf finds the serdes of the store: those of keys without their windows, and of values.
func (t *windowTable[K, A]) serdesOf(c *topology.Compiler) (serde.Serde[K], serde.Serde[A]) {
	k, v := keySerde(c, t.b, &t.set, t.inner), valueSerde(c, t.b, &t.set, t.value)
	storable(c, t.set.call, k, v)
	return k, v
}

// knowing sets the serde of the keys as far as it is known while the program is written.
func (t *windowTable[K, A]) knowing(k serde.Serde[K], windowed func(serde.Serde[K]) serde.Serde[Windowed[K]]) {
	t.inner = ownSerde(&t.set.key, k)
	if k = t.inner; k == nil {
		k = known[K](t.b)
	}
	if k != nil {
		t.key = windowed(k)
	}
}

// kept is for how long the store keeps rows: Kafka Streams' stores drop them by whole segments, and its record cache shows what
// has expired until then.
func (t *windowTable[K, A]) kept() int64 {
	return saturated(t.retention, max(t.retention/2, 60_000))
}

func saturated(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// windowSpec describes the store of time windows.
func (t *windowTable[K, A]) windowSpec(k serde.Serde[K], v serde.Serde[A], size int64) state.Spec {
	cfg := state.WindowConfig{Size: size, Retention: t.retention, ByStart: t.set.emit == EmitOnClose}
	topic := state.WindowSpec(t.store, k, v, cfg).TopicConfig
	cfg.Retention = t.kept()
	spec := state.WindowSpec(t.store, k, v, cfg)
	spec.TopicConfig = topic
	return spec
}

// sessionSpec describes the store of sessions.
func (t *windowTable[K, A]) sessionSpec(k serde.Serde[K], v serde.Serde[A]) state.Spec {
	cfg := state.SessionConfig{Retention: t.retention, ByEnd: t.set.emit == EmitOnClose}
	topic := state.SessionSpec(t.store, k, v, cfg).TopicConfig
	cfg.Retention = t.kept()
	spec := state.SessionSpec(t.store, k, v, cfg)
	spec.TopicConfig = topic
	return spec
}

// windowStore opens the store of time windows in a task.
func (t *windowTable[K, A]) windowStore(size int64) func(*topology.Instance) node.WindowStore[K, A] {
	return func(in *topology.Instance) node.WindowStore[K, A] {
		return node.WindowStore[K, A]{WindowTable: in.Store(t.store).(*state.WindowTable[K, A]), Size: size, Retention: t.retention,
			OnClose: t.set.emit == EmitOnClose, Expires: t.set.expireOnJump}
	}
}

// sessionStore opens the store of sessions in a task.
func (t *windowTable[K, A]) sessionStore(in *topology.Instance) node.SessionStore[K, A] {
	return node.SessionStore[K, A]{SessionTable: in.Store(t.store).(*state.SessionTable[K, A]), Retention: t.retention,
		OnClose: t.set.emit == EmitOnClose}
}

// clipped tells whether rows are gone when their retention ends. Behind an emission buffer they are there for longer, as behind
// Kafka Streams' record cache.
func (t *windowTable[K, A]) clipped(in *topology.Instance) bool {
	return in.Topology.Unbuffered || t.set.emit == EmitEvery
}

// ofWindows makes t a table of time windows or sliding windows.
func (t *windowTable[K, A]) ofWindows(w windowing) {
	size := w.grid.Size
	store := t.windowStore(size)
	t.rows = func(in *topology.Instance) *state.Table[Windowed[K], A] { return &store(in).Table }
	t.read = func(in *topology.Instance, self *topology.Node) node.Getter[Windowed[K], A] {
		return node.WindowGetter(in.Task, in.Info(self), store(in), t.clipped(in))
	}
}

// ofSessions makes t a table of sessions.
func (t *windowTable[K, A]) ofSessions() {
	t.rows = func(in *topology.Instance) *state.Table[Windowed[K], A] { return &t.sessionStore(in).Table }
	t.read = func(in *topology.Instance, self *topology.Node) node.Getter[Windowed[K], A] {
		return node.SessionGetter(in.Task, in.Info(self), t.sessionStore(in), t.clipped(in))
	}
}
