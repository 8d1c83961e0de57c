package conformance

import (
	"context"
	"fmt"

	"github.com/oxbow-streams/oxbow/stream"
)

func buildGroupByKey(p *program, s *Step) (any, error) {
	in, err := of[anyStream](p, s)
	if err != nil {
		return nil, err
	}
	return p.grouped(s, in), nil
}

func buildGroupBy(p *program, s *Step) (any, error) {
	if t, ok := p.made[s.Of[0]].(anyTable); ok {
		return groupTable(p, s, t)
	}
	keyed, err := selectKey(p, s)
	if err != nil {
		return nil, err
	}
	return p.grouped(s, keyed), nil
}

// groupTable groups a table. A null pair, and a pair with a null key or value, is a row without a group.
func groupTable(p *program, s *Step, t anyTable) (any, error) {
	f, err := expression(s, "fn")
	if err != nil {
		return nil, err
	}
	return stream.GroupTableByOpt(t, func(k, v any) (any, any, bool) {
		r := must(f(env{"key": k, "value": v}))
		if r == nil {
			return nil, nil, false
		}
		key, value, err := pairOf(r, s)
		must(r, err)
		return key.Or(nil), value.Or(nil), key.IsSome() && value.IsSome()
	}, stream.WithKey[any](dynamic{s.Key}), stream.WithValue[any](dynamic{s.Value})), nil
}

func buildCount(p *program, s *Step) (any, error) {
	opts, err := storeOptions(s)
	if err != nil {
		return nil, err
	}
	one := func(by int64) func(any, any, opt) opt {
		return func(_, _ any, n opt) opt { return some(n.Or(int64(0)).(int64) + by) }
	}
	switch g := p.made[s.Of[0]].(type) {
	case anyGrouped:
		return stream.AggregateOpt(g, one(1), opts...), nil
	case anyGroupedTable:
		return stream.AggregateTableOpt(g, one(1), one(-1), opts...), nil
	case *windows:
		return p.foldWindows(s, g, trying(one(1)), func(_ context.Context, _, right any, left opt) (opt, error) {
			return some(left.Or(int64(0)).(int64) + right.(int64)), nil
		}, opts)
	}
	return nil, fmt.Errorf("count on %q, which is a %T", s.Of[0], p.made[s.Of[0]])
}

func buildReduce(p *program, s *Step) (any, error) {
	opts, err := storeOptions(s)
	if err != nil {
		return nil, err
	}
	fold := func(field string) (func(context.Context, any, any, opt) (opt, error), error) {
		f, err := typed(s, field, s.Value)
		if err != nil {
			return nil, err
		}
		return func(_ context.Context, _, v any, agg opt) (opt, error) {
			old, ok := agg.Get()
			if !ok {
				return some(v), nil
			}
			r, err := f(env{"agg": old, "value": v})
			return some(r), err
		}, nil
	}
	return aggregate(p, s, fold, func(_ *windows, add folding) (folding, error) { return add, nil }, opts)
}

func buildAggregate(p *program, s *Step) (any, error) {
	opts, err := storeOptions(s)
	if err != nil {
		return nil, err
	}
	switch g := p.made[s.Of[0]].(type) {
	case cogroups:
		return p.foldCogroup(s, g, nil, opts)
	case *windows:
		if g.cogroup != nil {
			return p.foldCogroup(s, *g.cogroup, g, opts)
		}
	}
	zero, err := typed(s, "init", s.Value)
	if err != nil {
		return nil, err
	}
	fold := func(field string) (func(context.Context, any, any, opt) (opt, error), error) {
		f, err := typed(s, field, s.Value)
		if err != nil {
			return nil, err
		}
		return func(_ context.Context, k, v any, agg opt) (opt, error) {
			old, ok := agg.Get()
			if !ok {
				if old, err = zero(env{}); err != nil {
					return opt{}, err
				}
			}
			r, err := f(env{"key": k, "value": v, "agg": old})
			return some(r), err
		}, nil
	}
	return aggregate(p, s, fold, func(w *windows, _ folding) (folding, error) { return mergeOf(s, w, zero) }, opts)
}

func aggregate(p *program, s *Step, fold func(field string) (folding, error),
	merge func(w *windows, add folding) (folding, error), opts []stream.AggOption) (any, error) {
	add, err := fold("add")
	if err != nil {
		return nil, err
	}
	switch g := p.made[s.Of[0]].(type) {
	case anyGrouped:
		return stream.TryAggregateOpt(g, add, opts...), nil
	case anyGroupedTable:
		sub, err := fold("sub")
		if err != nil {
			return nil, err
		}
		return stream.AggregateTableOpt(g, unfailing(add), unfailing(sub), opts...), nil
	case *windows:
		m, err := merge(g, add)
		if err != nil {
			return nil, err
		}
		return p.foldWindows(s, g, add, m, opts)
	}
	return nil, fmt.Errorf("%s on %q, which is a %T", s.Op, s.Of[0], p.made[s.Of[0]])
}
