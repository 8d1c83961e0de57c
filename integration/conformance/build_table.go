package conformance

import (
	"context"
	"fmt"
	"time"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/tap"
	"github.com/oxbow-streams/oxbow/stream"
)

type (
	anyTable        = stream.Table[any, any]
	anyGrouped      = stream.Grouped[any, any]
	anyGroupedTable = stream.GroupedTable[any, any]
)

// store reads the options of a step's store. Serdes are given even where a step keeps them: they are what it declares.
func storeOptions(s *Step) ([]stream.AggOption, error) {
	key := s.Key
	if k, ok := inner(s.Key); ok {
		key = k // a table of windows is told the serde of the keys within
	}
	opts := []stream.AggOption{stream.WithKey[any](dynamic{key}), stream.WithValue[any](dynamic{s.Value})}
	given, _ := s.Field("store")
	if given == nil {
		return opts, nil
	}
	fields, ok := given.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("store: %v", given)
	}
	for k, v := range fields {
		switch k {
		case "name":
			opts = append(opts, stream.As(v.(string)))
		case "caching":
			if v == false {
				opts = append(opts, stream.EmitEvery)
			}
		case "retention_ms":
			opts = append(opts, stream.Retention(time.Duration(whole(v))*time.Millisecond))
		case "versioned_ms":
			opts = append(opts, stream.Versioned(time.Duration(whole(v))*time.Millisecond))
		case "changelog":
			if v == false {
				opts = append(opts, stream.NoChangelog())
			}
		default:
			return nil, fmt.Errorf("store: the field %q is not in the vocabulary", k)
		}
	}
	return opts, nil
}

func buildTable(p *program, s *Step) (any, error) {
	topic := s.Text("topic")
	p.sources = append(p.sources, source{topic: topic, wire: wire{s.Key, s.Value}})
	opts, err := storeOptions(s)
	if err != nil {
		return nil, err
	}
	var table []stream.TableOption
	for _, o := range opts[2:] { // a source has its serdes as arguments
		table = append(table, o.(stream.TableOption))
	}
	return stream.TableFrom(p.b, topic, dynamic{s.Key}, dynamic{s.Value}, table...), nil
}

// materialised leaves the serdes away where the step has no store of its own.
func materialised(s *Step) ([]stream.AggOption, error) {
	opts, err := storeOptions(s)
	if err != nil || s.Rest["store"] == nil {
		return nil, err
	}
	return opts, nil
}

func filterTable(p *program, s *Step, t anyTable, want bool, keep func(env) (bool, error)) (any, error) {
	opts, err := materialised(s)
	if err != nil {
		return nil, err
	}
	f := func(_ context.Context, k, v any) (bool, error) { return keep(env{"key": k, "value": v}) }
	if want {
		return t.TryFilter(f, opts...), nil
	}
	return t.TryFilterNot(f, opts...), nil
}

func mapTable(p *program, s *Step, t anyTable, f func(env) (any, error)) (any, error) {
	opts, err := materialised(s)
	if err != nil {
		return nil, err
	}
	return stream.MapTableOpt(t, func(k, v any) opt { return some(must(f(env{"key": k, "value": v}))) }, opts...), nil
}

// must panics with an error of an expression, where a function cannot return one. It becomes the unit's failure.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func buildTransformValues(p *program, s *Step) (any, error) {
	t, err := of[anyTable](p, s)
	if err != nil {
		return nil, err
	}
	f, err := typed(s, "fn", s.Value)
	if err != nil {
		return nil, err
	}
	opts, err := materialised(s)
	if err != nil {
		return nil, err
	}
	return stream.TryTransformTable(t, func() func(context.Context, any, opt) (opt, error) {
		var calls int64
		return func(_ context.Context, k any, v opt) (opt, error) {
			calls++
			r, err := f(env{"key": k, "value": v.Or(nil), "calls": calls})
			return some(r), err
		}
	}, opts...), nil
}

func buildToTable(p *program, s *Step) (any, error) {
	in, err := of[anyStream](p, s)
	if err != nil {
		return nil, err
	}
	opts, err := storeOptions(s)
	if err != nil {
		return nil, err
	}
	return in.ToTable(opts...), nil
}

func buildToStream(p *program, s *Step) (any, error) {
	fn, rekeys := s.Field("fn")
	if t, ok := p.made[s.Of[0]].(windowTable); ok {
		if rekeys {
			return nil, fmt.Errorf("fn %v: keys of windows are not in the vocabulary of expressions", fn)
		}
		return t.ToStream(), nil
	}
	t, err := of[anyTable](p, s)
	if err != nil {
		return nil, err
	}
	if !rekeys {
		return t.ToStream(), nil
	}
	f, err := typed(s, "fn", s.Key)
	if err != nil {
		return nil, err
	}
	return stream.PresentKeys(stream.TryToStreamBy(t, func(_ context.Context, k any, v opt) (opt, error) {
		r, err := f(env{"key": k, "value": v.Or(nil)})
		return some(r), err
	})), nil
}

func buildJoinTable(p *program, s *Step) (any, error) {
	l, err := parent[anyStream](p, s, 0)
	if err != nil {
		return nil, err
	}
	r, err := parent[anyTable](p, s, 1)
	if err != nil {
		return nil, err
	}
	f, err := typed(s, "joiner", s.Value)
	if err != nil {
		return nil, err
	}
	join := func(_ context.Context, k, lv any, rv opt) (opt, error) {
		v, err := f(env{"key": k, "left": lv, "right": rv.Or(nil)})
		return some(v), err
	}
	w := p.types[s.Of[0]]
	opts := []stream.JoinOption{stream.WithKey[any](dynamic{w.key}), stream.WithValue[any](dynamic{w.value})}
	if _, ok := s.Field("grace_ms"); ok {
		opts = append(opts, stream.Grace(time.Duration(s.Number("grace_ms", 0))*time.Millisecond))
	}
	switch how := s.Text("how"); how {
	case "inner":
		return stream.Present(stream.TryJoinTable(l, r, func(ctx context.Context, k, lv, rv any) (opt, error) {
			return join(ctx, k, lv, some(rv))
		}, opts...)), nil
	case "left":
		return stream.Present(stream.TryLeftJoinTable(l, r, join, opts...)), nil
	default:
		return nil, fmt.Errorf("how %q is not in the vocabulary", how)
	}
}

// trying makes a function that could fail of one that cannot.
func trying(f func(any, any, opt) opt) folding {
	return func(_ context.Context, k, v any, agg opt) (opt, error) { return f(k, v, agg), nil }
}

func unfailing(f func(context.Context, any, any, opt) (opt, error)) func(any, any, opt) opt {
	return func(k, v any, agg opt) opt { return must(f(context.Background(), k, v, agg)) }
}

func buildOldValues(p *program, s *Step) (any, error) {
	t, err := of[anyTable](p, s)
	if err != nil {
		return nil, err
	}
	tap.OldValues(t, s.Bool("force", false))
	return nil, nil
}

// observeChanges notes the changes that a table's node sends to the nodes of tables behind it.
func observeChanges(p *program, t anyTable, sink string) {
	p.observesChanges = true
	tap.Changes(t, func(k any, c node.Change[any], time int64) {
		p.record(Output{Sink: sink, Key: k, Value: c.New.Or(nil), OldValue: c.Old.Or(nil), Time: time})
	})
}
