package conformance

import (
	"context"
	"fmt"
	"time"

	"github.com/oxbow-streams/oxbow/stream"
)

func init() {
	ops["joinStream"], ops["globalTable"], ops["joinGlobal"] = buildJoinStream, buildGlobalTable, buildJoinGlobal
}

type anyGlobalTable = stream.GlobalTable[any, any]

func buildGlobalTable(p *program, s *Step) (any, error) {
	topic := s.Text("topic")
	p.sources = append(p.sources, source{topic: topic, wire: wire{s.Key, s.Value}})
	return stream.GlobalTableFrom(p.b, topic, dynamic{s.Key}, dynamic{s.Value}), nil
}

func buildJoinGlobal(p *program, s *Step) (any, error) {
	l, err := parent[anyStream](p, s, 0)
	if err != nil {
		return nil, err
	}
	r, err := parent[anyGlobalTable](p, s, 1)
	if err != nil {
		return nil, err
	}
	by, err := typed(s, "by", p.types[s.Of[1]].key)
	if err != nil {
		return nil, err
	}
	f, err := typed(s, "joiner", s.Value)
	if err != nil {
		return nil, err
	}
	key := func(_ context.Context, k, lv any) (opt, error) {
		g, err := by(env{"key": k, "value": lv})
		return some(g), err
	}
	join := func(_ context.Context, k, lv any, rv opt) (opt, error) {
		v, err := f(env{"key": k, "left": lv, "right": rv.Or(nil)})
		return some(v), err
	}
	switch how := s.Text("how"); how {
	case "inner":
		return stream.Present(stream.TryJoinGlobalOpt(l, r, key, func(ctx context.Context, k, lv, rv any) (opt, error) {
			return join(ctx, k, lv, some(rv))
		})), nil
	case "left":
		return stream.Present(stream.TryLeftJoinGlobalOpt(l, r, key, join)), nil
	default:
		return nil, fmt.Errorf("how %q is not in the vocabulary", how)
	}
}

func buildJoinStream(p *program, s *Step) (any, error) {
	l, err := parent[anyStream](p, s, 0)
	if err != nil {
		return nil, err
	}
	r, err := parent[anyStream](p, s, 1)
	if err != nil {
		return nil, err
	}
	w, err := joinWindow(s)
	if err != nil {
		return nil, err
	}
	f, err := typed(s, "joiner", s.Value)
	if err != nil {
		return nil, err
	}
	join := func(_ context.Context, k any, lv, rv opt) (opt, error) {
		v, err := f(env{"key": k, "left": lv.Or(nil), "right": rv.Or(nil)})
		return some(v), err
	}
	lt, rt := p.types[s.Of[0]], p.types[s.Of[1]]
	opts := []stream.StreamJoinOption{stream.WithKey[any](dynamic{lt.key}), stream.WithLeft[any](dynamic{lt.value}),
		stream.WithRight[any](dynamic{rt.value})}
	switch how := s.Text("how"); how {
	case "inner":
		return stream.Present(stream.TryJoinStream(l, r, w, func(ctx context.Context, k, lv, rv any) (opt, error) {
			return join(ctx, k, some(lv), some(rv))
		}, opts...)), nil
	case "left":
		return stream.Present(stream.TryLeftJoinStream(l, r, w, func(ctx context.Context, k, lv any, rv opt) (opt, error) {
			return join(ctx, k, some(lv), rv)
		}, opts...)), nil
	case "outer":
		return stream.Present(stream.TryOuterJoinStream(l, r, w, join, opts...)), nil
	default:
		return nil, fmt.Errorf("how %q is not in the vocabulary", how)
	}
}

func joinWindow(s *Step) (w stream.JoinWindow, err error) {
	given, _ := s.Field("window")
	fields, ok := given.(map[string]any)
	if !ok {
		return w, fmt.Errorf("window: %v", given)
	}
	for name, v := range fields {
		d := time.Duration(whole(v)) * time.Millisecond
		switch name {
		case "before_ms":
			w = w.Before(d)
		case "after_ms":
			w = w.After(d)
		case "grace_ms":
			w = w.Grace(d)
		default:
			return w, fmt.Errorf("window: the field %q is not in the vocabulary", name)
		}
	}
	return w, nil
}
