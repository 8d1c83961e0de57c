package conformance

import (
	"context"
	"fmt"

	"github.com/oxbow-streams/oxbow/stream"
)

func init() {
	ops["globalTable"], ops["joinGlobal"] = buildGlobalTable, buildJoinGlobal
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
