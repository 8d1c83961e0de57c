package conformance

import (
	"context"
	"fmt"
	"time"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

type (
	windowed     = stream.Windowed[any]
	windowTable  = stream.Table[windowed, any]
	windowStream = stream.Stream[windowed, any]
	optGrouped   = stream.Grouped[any, opt]
)

// cogroups are the streams of a cogroup, as those that see null values and as those that do not.
type cogroups struct{ plain, nulls stream.Cogrouped[any, any] }

// windows are what a windowBy stands on and what it says. Time windows and sessions see null values, sliding windows do not.
type windows struct {
	plain   anyGrouped
	nulls   optGrouped
	cogroup *cogroups
	kind    string
	time    stream.TimeWindow
	session stream.Gap
	close   bool
}

// grouped groups a stream by key, and keeps the view of it that shows null values.
func (p *program) grouped(s *Step, in anyStream) anyGrouped {
	key, value := dynamic{s.Key}, dynamic{s.Value}
	p.nullable[s.As] = openValue(in).GroupByKey(stream.WithKey[any](key), stream.WithValue[opt](serde.Opt[any](value)))
	return in.GroupByKey(stream.WithKey[any](key), stream.WithValue[any](value))
}

func buildWindowBy(p *program, s *Step) (any, error) {
	w := &windows{nulls: p.nullable[s.Of[0]]}
	switch g := p.made[s.Of[0]].(type) {
	case anyGrouped:
		w.plain = g
	case cogroups:
		w.cogroup = &g
	default:
		return nil, fmt.Errorf("windowBy on %q, which is a %T", s.Of[0], g)
	}
	switch emit := s.Text("emit"); emit {
	case "", "update":
	case "close":
		w.close = true
	default:
		return nil, fmt.Errorf("emit %q is not in the vocabulary", emit)
	}
	fields, ok := s.Field("window")
	if !ok {
		return nil, fmt.Errorf("it lacks the field %q", "window")
	}
	f := &Step{Rest: fields.(map[string]any), used: map[string]bool{}}
	if err := w.read(f); err != nil {
		return nil, err
	}
	if left := f.Unused(); len(left) > 0 {
		return nil, fmt.Errorf("window: fields %v are not in the vocabulary", left)
	}
	return w, nil
}

func (w *windows) read(f *Step) error {
	ms := func(field string) time.Duration { return time.Duration(f.Number(field, 0)) * time.Millisecond }
	switch w.kind = f.Text("kind"); w.kind {
	case "time":
		size := ms("size_ms")
		win := stream.Tumbling(size)
		if _, ok := f.Rest["advance_ms"]; ok {
			win = stream.Hopping(size, ms("advance_ms"))
		}
		w.time = win.Grace(ms("grace_ms"))
	case "sliding":
		w.time = stream.Sliding(ms("diff_ms")).Grace(ms("grace_ms"))
	case "session":
		w.session = stream.Session(ms("gap_ms")).Grace(ms("grace_ms"))
	case "unlimited":
		w.time = stream.Unlimited().StartOn(time.UnixMilli(f.Number("start_ms", 0)))
	default:
		return fmt.Errorf("window of kind %q", w.kind)
	}
	return nil
}

// windowOptions are the store options of an aggregation by windows. A table that is sent on when windows close has the losses of
// Kafka Streams where it has no cache.
func (p *program) windowOptions(s *Step, w *windows, opts []stream.AggOption) []stream.AggOption {
	if !w.close {
		return opts
	}
	store, _ := s.Rest["store"].(map[string]any)
	if (!p.caching || store["caching"] == false) && w.kind != "session" {
		opts = append(opts, stream.ExpireOnJump())
	}
	return append(opts, stream.EmitOnClose)
}

type folding = func(ctx context.Context, k, v any, agg opt) (opt, error)

// foldWindows makes the table of an aggregation by windows. merge makes one aggregate of two sessions.
func (p *program) foldWindows(s *Step, w *windows, add folding, merge folding, opts []stream.AggOption) (any, error) {
	opts = p.windowOptions(s, w, opts)
	nulls := func(ctx context.Context, k any, v, agg opt) (opt, error) { return add(ctx, k, v.Or(nil), agg) }
	switch w.kind {
	case "session":
		return stream.TryAggregateSessionOpt(stream.SessionBy(w.nulls, w.session), nulls,
			func(ctx context.Context, k any, left opt, right any) (opt, error) { return merge(ctx, k, right, left) }, opts...), nil
	case "sliding":
		return stream.TryAggregateWindowedOpt(stream.WindowBy(w.plain, w.time), add, opts...), nil
	default:
		return stream.TryAggregateWindowedOpt(stream.WindowBy(w.nulls, w.time), nulls, opts...), nil
	}
}

// mergeOf is the merge of an aggregation by sessions; right comes as the value.
func mergeOf(s *Step, w *windows, zero func(env) (any, error)) (folding, error) {
	if w.kind != "session" {
		return nil, nil
	}
	f, err := typed(s, "merge", s.Value)
	if err != nil {
		return nil, err
	}
	return func(_ context.Context, k, right any, left opt) (opt, error) {
		l, ok := left.Get()
		if !ok {
			if l, err = zero(env{}); err != nil {
				return opt{}, err
			}
		}
		r, err := f(env{"key": k, "left": l, "right": right})
		return some(r), err
	}, nil
}

func buildCogroup(p *program, s *Step) (any, error) {
	adds, ok := s.Field("add")
	if !ok {
		return nil, fmt.Errorf("it lacks the field %q", "add")
	}
	list, ok := adds.([]any)
	if !ok || len(list) != len(s.Of) || len(list) == 0 {
		return nil, fmt.Errorf("add has no expression for each of %d streams: %v", len(s.Of), adds)
	}
	var c cogroups
	for i, e := range list {
		g, err := parent[anyGrouped](p, s, i)
		if err != nil {
			return nil, err
		}
		nulls := p.nullable[s.Of[i]]
		add := func(_ context.Context, k, v, agg any) (opt, error) {
			r, err := eval(e, env{"key": k, "value": v, "agg": agg})
			if err != nil {
				return opt{}, err
			}
			r, err = fit(r, s.Value)
			return some(r), err
		}
		addNull := func(ctx context.Context, k any, v opt, agg any) (opt, error) { return add(ctx, k, v.Or(nil), agg) }
		if i == 0 {
			c = cogroups{stream.TryCogroupOpt(g, add), stream.TryCogroupOpt(nulls, addNull)}
		} else {
			c = cogroups{stream.TryAndOpt(c.plain, g, add), stream.TryAndOpt(c.nulls, nulls, addNull)}
		}
	}
	return c, nil
}

// foldCogroup makes the table of several streams, w being nil for one without windows.
func (p *program) foldCogroup(s *Step, c cogroups, w *windows, opts []stream.AggOption) (any, error) {
	init, err := typed(s, "init", s.Value)
	if err != nil {
		return nil, err
	}
	zero := func() any { return must(init(env{})) }
	if w == nil {
		return c.plain.Aggregate(zero, opts...), nil
	}
	opts = p.windowOptions(s, w, opts)
	switch w.kind {
	case "session":
	case "sliding":
		return stream.WindowCogroup(c.plain, w.time).Aggregate(zero, opts...), nil
	default:
		return stream.WindowCogroup(c.nulls, w.time).Aggregate(zero, opts...), nil
	}
	merge, err := mergeOf(s, w, init)
	if err != nil {
		return nil, err
	}
	return stream.SessionCogroup(c.nulls, w.session).TryAggregateOpt(zero,
		func(ctx context.Context, k any, left opt, right any) (opt, error) { return merge(ctx, k, right, left) }, opts...), nil
}

// windowObserver notes every record of a windowed key that arrives.
type windowObserver struct{ observer }

func (o *windowObserver) Process(_ *stream.ProcessContext[any, any], r stream.Record[windowed, any]) error {
	out, err := o.output(r.Key.Key, r.Value.Or(nil), r.Time, r.Headers)
	if err != nil {
		return err
	}
	out.Window = &[2]int64{r.Key.Start.UnixMilli(), r.Key.End.UnixMilli()}
	o.record(out)
	return nil
}
