package stream

import (
	"context"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/topology"
)

// WindowedCogrouped are several grouped streams whose records are about to be folded into one table, by key and window.
type WindowedCogrouped[K, A any] struct {
	c Cogrouped[K, A]
	w TimeWindow
}

// WindowCogroup groups further, by windows of time. Each stream has a stream time of its own.
func WindowCogroup[K, A any](c Cogrouped[K, A], w TimeWindow) WindowedCogrouped[K, A] {
	c.builder()
	return WindowedCogrouped[K, A]{c, w}
}

// SessionCogrouped are several grouped streams whose records are about to be folded into one table, by key and session.
type SessionCogrouped[K, A any] struct {
	c Cogrouped[K, A]
	w Gap
}

// SessionCogroup groups further, by sessions. Each stream has a stream time of its own.
func SessionCogroup[K, A any](c Cogrouped[K, A], w Gap) SessionCogrouped[K, A] {
	c.builder()
	return SessionCogrouped[K, A]{c, w}
}

// Aggregate folds the records of all streams by key and window, beginning with zero.
func (w WindowedCogrouped[K, A]) Aggregate(zero func() A, opts ...AggOption) Table[Windowed[K], A] {
	set := aggSettings("Aggregate", opts)
	b, wd := w.c.builder(), windowingOf(w.w)
	b.notNil(&set, zero)
	checkWindows(b, &set, wd)
	t := newWindowTable[K, A](b, set, cogroupPrefix, wd.need, wd.grid.Grace)
	return t.cogroup(w.c, zero, wd, node.Sessions{}, nil)
}

// Aggregate folds the records of all streams by key and session, beginning with zero. merge makes one aggregate of two sessions;
// left is what was merged so far, beginning with zero.
func (w SessionCogrouped[K, A]) Aggregate(zero func() A, merge func(k K, left, right A) A, opts ...AggOption) Table[Windowed[K], A] {
	set := aggSettings("Aggregate", opts)
	w.c.builder().notNil(&set, merge)
	return w.aggregate(set, zero, plainMerge(zero, merge))
}

// TryAggregate is [SessionCogrouped.Aggregate] for a function that can fail.
func (w SessionCogrouped[K, A]) TryAggregate(zero func() A, merge func(ctx context.Context, k K, left, right A) (A, error),
	opts ...AggOption) Table[Windowed[K], A] {
	set := aggSettings("TryAggregate", opts)
	w.c.builder().notNil(&set, merge)
	return w.aggregate(set, zero, tryMerge(zero, merge))
}

// AggregateOpt is [SessionCogrouped.Aggregate] for a function that may begin anew, by None: what it is given next is absent.
func (w SessionCogrouped[K, A]) AggregateOpt(zero func() A, merge func(k K, left Opt[A], right A) Opt[A],
	opts ...AggOption) Table[Windowed[K], A] {
	set := aggSettings("AggregateOpt", opts)
	w.c.builder().notNil(&set, merge)
	return w.aggregate(set, zero, plainMergeOpt(merge))
}

// TryAggregateOpt is [SessionCogrouped.AggregateOpt] for a function that can fail.
func (w SessionCogrouped[K, A]) TryAggregateOpt(zero func() A,
	merge func(ctx context.Context, k K, left Opt[A], right A) (Opt[A], error), opts ...AggOption) Table[Windowed[K], A] {
	set := aggSettings("TryAggregateOpt", opts)
	w.c.builder().notNil(&set, merge)
	return w.aggregate(set, zero, tryMergeOpt(merge))
}

func (w SessionCogrouped[K, A]) aggregate(set settings, zero func() A, merge mergeMaker[K, A]) Table[Windowed[K], A] {
	b := w.c.builder()
	b.notNil(&set, zero)
	gap := checkGap(b, &set, w.w)
	t := newWindowTable[K, A](b, set, cogroupPrefix, gap.Gap+gap.Grace, gap.Gap+gap.Grace)
	return t.cogroup(w.c, zero, windowing{}, gap, merge)
}

// cogroup adds the steps of a table with several inputs. merge is nil unless the windows are sessions.
func (t *windowTable[K, A]) cogroup(c Cogrouped[K, A], zero func() A, wd windowing, gap node.Sessions,
	merge mergeMaker[K, A]) Table[Windowed[K], A] {
	if t.set.emit == EmitOnClose {
		faultf(t.b, &t.set, "EmitOnClose: streams of a Cogroup have a stream time each, so that no time closes a window for all of"+
			" them; use SuppressUntilWindowCloses behind it")
	}
	r := c.route(t.store)
	t.sources = r.sources
	t.value = ownSerde[A](&t.set.value, nil)
	outer := t.shape(r.key, wd, merge != nil)
	c.merge(t, r, func(cc *topology.Compiler, f folder[K, A], first bool) (wire, func(*topology.Node)) {
		k, v := t.serdesOf(cc)
		ok := outer(k)
		t.describe(k, v, wd, merge != nil)
		w := t.wire(cc, f, zero, wd, gap, merge, func(in *topology.Instance, self *topology.Node) *node.Emitter[Windowed[K], A] {
			return t.oneDrain(in, self, ok, v, first)
		})
		return w, func(n *topology.Node) { n.OnError = t.set.policy; t.addStore(cc, n, ok, v) }
	})
	return Table[Windowed[K], A]{t.table}
}
