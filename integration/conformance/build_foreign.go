package conformance

import (
	"context"
	"fmt"

	"github.com/oxbow-streams/oxbow/stream"
)

func buildJoinForeign(p *program, s *Step) (any, error) {
	l, err := parent[anyTable](p, s, 0)
	if err != nil {
		return nil, err
	}
	r, err := parent[anyTable](p, s, 1)
	if err != nil {
		return nil, err
	}
	by, err := typed(s, "by", p.types[s.Of[1]].key)
	if err != nil {
		return nil, err
	}
	joiner, err := typed(s, "joiner", s.Value)
	if err != nil {
		return nil, err
	}
	key := func(_ context.Context, k, v any) (opt, error) {
		f, err := by(env{"key": k, "value": v})
		return some(f), err
	}
	join := func(_ context.Context, _, lv any, rv opt) (opt, error) {
		o, err := joiner(env{"left": lv, "right": rv.Or(nil)})
		return some(o), err
	}
	given, err := storeOptions(s)
	if err != nil {
		return nil, err
	}
	var opts []stream.ForeignOption
	for _, o := range given {
		opts = append(opts, o.(stream.ForeignOption))
	}
	switch how := s.Text("how"); how {
	case "inner":
		return stream.TryJoinForeignOpt(l, r, key, func(ctx context.Context, k, lv, rv any) (opt, error) {
			return join(ctx, k, lv, some(rv))
		}, opts...), nil
	case "left":
		return stream.TryLeftJoinForeignOpt(l, r, key, join, opts...), nil
	default:
		return nil, fmt.Errorf("how %q is not in the vocabulary", how)
	}
}
