package stream

import (
	"context"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/topology"
)

// WindowedStream is a grouped stream whose records are about to be folded by key and window.
type WindowedStream[K, V any] struct {
	g Grouped[K, V]
	w TimeWindow
}

// WindowBy groups further, by windows of time. A record's windows are chosen by its timestamp; whether they are still open is
// decided by stream time, the largest timestamp that the aggregation of a task has seen.
func WindowBy[K, V any](g Grouped[K, V], w TimeWindow) WindowedStream[K, V] {
	g.s.builder()
	return WindowedStream[K, V]{g, w}
}

// Count counts the records of each key and window, those with a null value too, except in sliding windows.
func (w WindowedStream[K, V]) Count(opts ...AggOption) Table[Windowed[K], int64] {
	set := aggSettings("Count", opts)
	if wd := windowingOf(w.w); set.materialized && set.store == "" && wd.of != sliding {
		w.g.s.b.graph.StoreName("KSTREAM-AGGREGATE-") // Kafka Streams takes a number here too
	}
	return foldWindows(w, set, "KSTREAM-AGGREGATE-", serde.Int64, &fold[K, V, int64]{g: w.g, nulls: true, step: counting[K, V]})
}

func counting[K, V any](func() int64) stepMaker[K, V, int64] {
	return plainStep(func(_ K, _ V, old Opt[int64]) (Opt[int64], error) { return Some(old.Or(0) + 1), nil })
}

// Reduce folds the records of each key and window into one value: the first as it is, then f of what there was and what comes.
func (w WindowedStream[K, V]) Reduce(f func(old, v V) V, opts ...AggOption) Table[Windowed[K], V] {
	set := aggSettings("Reduce", opts)
	w.g.s.b.notNil(&set, f)
	return reduceWindows(w, set, plainReduce[K](f))
}

// ReduceOpt is [WindowedStream.Reduce] for a function that may delete the row, by None.
func (w WindowedStream[K, V]) ReduceOpt(f func(old, v V) Opt[V], opts ...AggOption) Table[Windowed[K], V] {
	set := aggSettings("ReduceOpt", opts)
	w.g.s.b.notNil(&set, f)
	return reduceWindows(w, set, plainReduceOpt[K](f))
}

// TryReduce is [WindowedStream.Reduce] for a function that can fail.
func (w WindowedStream[K, V]) TryReduce(f func(ctx context.Context, old, v V) (V, error), opts ...AggOption) Table[Windowed[K], V] {
	set := aggSettings("TryReduce", opts)
	w.g.s.b.notNil(&set, f)
	return reduceWindows(w, set, tryReduce[K](f))
}

// TryReduceOpt is [WindowedStream.ReduceOpt] for a function that can fail.
func (w WindowedStream[K, V]) TryReduceOpt(f func(ctx context.Context, old, v V) (Opt[V], error),
	opts ...AggOption) Table[Windowed[K], V] {
	set := aggSettings("TryReduceOpt", opts)
	w.g.s.b.notNil(&set, f)
	return reduceWindows(w, set, tryReduceOpt[K](f))
}

func reduceWindows[K, V any](w WindowedStream[K, V], set settings, step stepMaker[K, V, V]) Table[Windowed[K], V] {
	return foldWindows(w, set, "KSTREAM-REDUCE-", w.g.s.value, &fold[K, V, V]{g: w.g, step: always(step)})
}

// always is the step of a fold that needs no zero.
func always[K, V, A any](step stepMaker[K, V, A]) func(func() A) stepMaker[K, V, A] {
	return func(func() A) stepMaker[K, V, A] { return step }
}

func plainReduce[K, V any](f func(old, v V) V) stepMaker[K, V, V] {
	return plainStep(func(_ K, v V, old Opt[V]) (Opt[V], error) {
		if o, ok := old.Get(); ok {
			v = f(o, v)
		}
		return Some(v), nil
	})
}

func plainReduceOpt[K, V any](f func(old, v V) Opt[V]) stepMaker[K, V, V] {
	return plainStep(func(_ K, v V, old Opt[V]) (Opt[V], error) {
		if o, ok := old.Get(); ok {
			return f(o, v), nil
		}
		return Some(v), nil
	})
}

// AggregateWindowed folds the records of each key and window into a value of another type, beginning with zero.
func AggregateWindowed[K, V, A any](w WindowedStream[K, V], zero func() A, add func(k K, v V, a A) A,
	opts ...AggOption) Table[Windowed[K], A] {
	set := aggSettings("AggregateWindowed", opts)
	w.g.s.b.notNil(&set, zero)
	w.g.s.b.notNil(&set, add)
	return foldWindows(w, set, "KSTREAM-AGGREGATE-", nil, &fold[K, V, A]{g: w.g, step: always(plainFold(zero, add))})
}

// TryAggregateWindowed is [AggregateWindowed] for a function that can fail.
func TryAggregateWindowed[K, V, A any](w WindowedStream[K, V], zero func() A,
	add func(ctx context.Context, k K, v V, a A) (A, error), opts ...AggOption) Table[Windowed[K], A] {
	set := aggSettings("TryAggregateWindowed", opts)
	w.g.s.b.notNil(&set, zero)
	w.g.s.b.notNil(&set, add)
	return foldWindows(w, set, "KSTREAM-AGGREGATE-", nil, &fold[K, V, A]{g: w.g, step: always(tryFold(zero, add))})
}

// AggregateWindowedOpt folds the records of each key and window. old is absent for a window without a row; None deletes the row.
func AggregateWindowedOpt[K, V, A any](w WindowedStream[K, V], add func(k K, v V, old Opt[A]) Opt[A],
	opts ...AggOption) Table[Windowed[K], A] {
	set := aggSettings("AggregateWindowedOpt", opts)
	w.g.s.b.notNil(&set, add)
	return foldWindows(w, set, "KSTREAM-AGGREGATE-", nil, &fold[K, V, A]{g: w.g, step: always(plainOpt(add))})
}

// TryAggregateWindowedOpt is [AggregateWindowedOpt] for a function that can fail.
func TryAggregateWindowedOpt[K, V, A any](w WindowedStream[K, V],
	add func(ctx context.Context, k K, v V, old Opt[A]) (Opt[A], error), opts ...AggOption) Table[Windowed[K], A] {
	set := aggSettings("TryAggregateWindowedOpt", opts)
	w.g.s.b.notNil(&set, add)
	return foldWindows(w, set, "KSTREAM-AGGREGATE-", nil, &fold[K, V, A]{g: w.g, step: always(tryOpt(add))})
}

func plainOpt[K, V, A any](add func(K, V, Opt[A]) Opt[A]) stepMaker[K, V, A] {
	return plainStep(func(k K, v V, old Opt[A]) (Opt[A], error) { return add(k, v, old), nil })
}

func tryOpt[K, V, A any](add func(context.Context, K, V, Opt[A]) (Opt[A], error)) stepMaker[K, V, A] {
	return func(t *node.Task, at *node.Info) node.Step[K, V, A] { return node.TryFold(t, at, add) }
}

// windowingOf is what w says; of nothing it says what is wrong.
func windowingOf(w TimeWindow) windowing {
	if w == nil {
		return windowing{bad: "its window is nil"}
	}
	return w.windowing()
}

// foldWindows adds the node that folds a stream by windows, and its store. value is the serde of the result, if known.
func foldWindows[K, V, A any](w WindowedStream[K, V], set settings, prefix string, value serde.Serde[A],
	f *fold[K, V, A]) Table[Windowed[K], A] {
	b, wd := w.g.s.builder(), windowingOf(w.w)
	checkWindows(b, &set, wd)
	t := newWindowTable[K, A](b, set, prefix, wd.need, wd.grid.Grace)
	t.name = b.graph.NameOr(set.name, prefix)
	return t.fold(f, value, wd, node.Sessions{}, nil)
}

// checkWindows finds windows that cannot be.
func checkWindows(b *Builder, set *settings, wd windowing) {
	if wd.bad != "" {
		faultf(b, set, "%s: %s", wd.of, wd.bad)
	}
	if wd.of == unlimited && set.emit == EmitOnClose {
		faultf(b, set, "EmitOnClose: an unlimited window never closes; use EmitEvery or EmitDeduped")
	}
}

// fold adds the step of a table with one input: its node and its store. merge is nil unless the windows are sessions.
func (t *windowTable[K, A]) fold(f folder[K, A], value serde.Serde[A], wd windowing, gap node.Sessions,
	merge mergeMaker[K, A]) Table[Windowed[K], A] {
	op, sources, key := f.route(t.store, nil)
	t.sources = sources
	t.value = ownSerde(&t.set.value, value)
	outer := t.shape(key, wd, merge != nil)
	t.op = t.b.graph.Add(&topology.Op{Site: t.set.site, Name: t.name, Write: func(c *topology.Compiler) *topology.Node {
		k, v := t.serdesOf(c)
		ok := outer(k)
		n := topology.NewProcessor(t.name, t.wire(c, f, nil, wd, gap, merge,
			func(in *topology.Instance, self *topology.Node) *node.Emitter[Windowed[K], A] {
				return t.emitter(in, self, ok, v)
			}))
		t.describe(k, v, wd, merge != nil)
		return t.add(c, n, ok, v, c.Out(op))
	}}, op)
	return Table[Windowed[K], A]{t.table}
}

// shape makes t a table of windows or of sessions with keys of that serde, as far as it is known. It returns what makes the serde
// of its own keys.
func (t *windowTable[K, A]) shape(key serde.Serde[K], wd windowing, sessions bool) func(serde.Serde[K]) serde.Serde[Windowed[K]] {
	outer := func(k serde.Serde[K]) serde.Serde[Windowed[K]] { return windowKey(wd, k) }
	if sessions {
		outer = func(k serde.Serde[K]) serde.Serde[Windowed[K]] {
			if k == nil {
				return nil
			}
			return serde.SessionWindowed(k)
		}
		t.ofSessions()
	} else {
		t.ofWindows(wd)
	}
	t.knowing(key, outer)
	return outer
}

// describe sets what describes the store.
func (t *windowTable[K, A]) describe(k serde.Serde[K], v serde.Serde[A], wd windowing, sessions bool) {
	t.spec = func() state.Spec {
		if sessions {
			return t.sessionSpec(k, v)
		}
		return t.windowSpec(k, v, wd.grid.Size)
	}
}

// wire makes the Wire of the node of one input.
func (t *windowTable[K, A]) wire(c *topology.Compiler, f folder[K, A], zero func() A, wd windowing, gap node.Sessions,
	merge mergeMaker[K, A], out func(*topology.Instance, *topology.Node) *node.Emitter[Windowed[K], A]) wire {
	if merge != nil {
		return f.sessions(c, &t.set, zero, gap, merge, t.sessionStore, out)
	}
	return f.windows(c, &t.set, zero, wd, t.windowStore(wd.grid.Size), out)
}
