package conformance

import (
	"context"
	"fmt"

	"github.com/oxbow-streams/oxbow/stream"
)

func buildJoinTables(p *program, s *Step) (any, error) {
	if len(s.Of) == 0 {
		return nil, fmt.Errorf("it stands on nothing, want 2 tables")
	}
	if _, ok := p.made[s.Of[0]].(windowTable); ok {
		return joinTables[windowed](p, s)
	}
	return joinTables[any](p, s)
}

func joinTables[K any](p *program, s *Step) (any, error) {
	l, err := parent[stream.Table[K, any]](p, s, 0)
	if err != nil {
		return nil, err
	}
	r, err := parent[stream.Table[K, any]](p, s, 1)
	if err != nil {
		return nil, err
	}
	if len(s.Of) != 2 {
		return nil, fmt.Errorf("it stands on %d steps, want 2", len(s.Of))
	}
	f, err := typed(s, "joiner", s.Value)
	if err != nil {
		return nil, err
	}
	opts, err := materialisedBy[K](s)
	if err != nil {
		return nil, err
	}
	join := func(_ context.Context, _ K, lv, rv opt) (opt, error) {
		v, err := f(env{"left": lv.Or(nil), "right": rv.Or(nil)})
		return some(v), err
	}
	switch how := s.Text("how"); how {
	case "inner":
		return stream.TryJoinTablesOpt(l, r, func(ctx context.Context, k K, lv, rv any) (opt, error) {
			return join(ctx, k, some(lv), some(rv))
		}, opts...), nil
	case "left":
		return stream.TryLeftJoinTablesOpt(l, r, func(ctx context.Context, k K, lv any, rv opt) (opt, error) {
			return join(ctx, k, some(lv), rv)
		}, opts...), nil
	case "outer":
		return stream.TryOuterJoinTablesOpt(l, r, join, opts...), nil
	default:
		return nil, fmt.Errorf("how %q is not in the vocabulary", how)
	}
}

// materialisedBy is materialised for keys of type K, which know their serde if they are windowed.
func materialisedBy[K any](s *Step) ([]stream.AggOption, error) {
	opts, err := materialised(s)
	if _, ok := any(*new(K)).(windowed); ok && len(opts) > 0 {
		opts = opts[1:] // without the serde of the key
	}
	return opts, err
}
