package conformance

import (
	"context"
	"fmt"
	"iter"
	"regexp"

	"github.com/oxbow-streams/oxbow/stream"
)

// Streams of a program carry any; a null key or value is nil. Where a function of Kafka Streams sees nulls, the step is built
// between Nullable and Present.
type (
	anyStream = stream.Stream[any, any]
	opt       = stream.Opt[any]
)

func some(v any) opt {
	if v == nil {
		return stream.None[any]()
	}
	return stream.Some(v)
}

// open makes nulls visible, shut hides them again.
func open(s anyStream) stream.Stream[opt, opt] { return stream.Nullable(stream.NullableKeys(s)) }

func shut(s stream.Stream[opt, opt]) anyStream { return stream.PresentKeys(stream.Present(s)) }

func openValue(s anyStream) stream.Stream[any, opt] { return stream.Nullable(s) }

func shutValue(s stream.Stream[any, opt]) anyStream { return stream.Present(s) }

func buildStream(p *program, s *Step) (any, error) {
	k, v := dynamic{s.Key}, dynamic{s.Value}
	w := wire{s.Key, s.Value}
	if pattern := s.Text("pattern"); pattern != "" {
		re, err := regexp.Compile(pattern)
		if err != nil {
			return nil, err
		}
		p.sources = append(p.sources, source{pattern: pattern, wire: w})
		return stream.FromPattern(p.b, re, k, v), nil
	}
	var topics []string
	if list, ok := s.Field("topics"); ok {
		for _, t := range list.([]any) {
			topics = append(topics, t.(string))
		}
	} else {
		topics = []string{s.Text("topic")}
	}
	for _, t := range topics {
		p.sources = append(p.sources, source{topic: t, wire: w})
	}
	if len(topics) == 1 {
		return stream.From(p.b, topics[0], k, v), nil
	}
	return stream.FromAll(p.b, topics, k, v), nil
}

func buildFilter(want bool) func(p *program, s *Step) (any, error) {
	return func(p *program, s *Step) (any, error) {
		keep, err := condition(s, "if")
		if err != nil {
			return nil, err
		}
		if t, ok := p.made[s.Of[0]].(anyTable); ok {
			return filterTable(p, s, t, want, keep)
		}
		in, err := of[anyStream](p, s)
		if err != nil {
			return nil, err
		}
		f := func(_ context.Context, k any, v opt) (bool, error) { return keep(env{"key": k, "value": v.Or(nil)}) }
		if want {
			return shutValue(openValue(in).TryFilter(f)), nil
		}
		return shutValue(openValue(in).TryFilterNot(f)), nil
	}
}

func buildMapValues(p *program, s *Step) (any, error) {
	f, err := typed(s, "fn", s.Value)
	if err != nil {
		return nil, err
	}
	if t, ok := p.made[s.Of[0]].(anyTable); ok {
		return mapTable(p, s, t, f)
	}
	in, err := of[anyStream](p, s)
	if err != nil {
		return nil, err
	}
	return shutValue(stream.TryMapValues(openValue(in), func(_ context.Context, k any, v opt) (opt, error) {
		r, err := f(env{"key": k, "value": v.Or(nil)})
		return some(r), err
	})), nil
}

func pairOf(v any, s *Step) (k, val opt, err error) {
	kv, ok := v.(pair)
	if !ok {
		return k, val, fmt.Errorf("fn: %v (%T) is no pair", v, v)
	}
	key, err := fit(kv.key, s.Key)
	if err != nil {
		return k, val, err
	}
	value, err := fit(kv.value, s.Value)
	return some(key), some(value), err
}

func buildMap(p *program, s *Step) (any, error) {
	f, err := expression(s, "fn")
	if err != nil {
		return nil, err
	}
	in, err := of[anyStream](p, s)
	if err != nil {
		return nil, err
	}
	return shut(stream.TryMap(openValue(in), func(_ context.Context, k any, v opt) (opt, opt, error) {
		r, err := f(env{"key": k, "value": v.Or(nil)})
		if err != nil {
			return opt{}, opt{}, err
		}
		return pairOf(r, s)
	})), nil
}

func buildFlatMap(p *program, s *Step) (any, error) {
	f, err := expression(s, "fn")
	if err != nil {
		return nil, err
	}
	in, err := of[anyStream](p, s)
	if err != nil {
		return nil, err
	}
	return shut(stream.TryFlatMap(openValue(in), func(_ context.Context, k any, v opt) (iter.Seq2[opt, opt], error) {
		items, err := listOf(f, env{"key": k, "value": v.Or(nil)})
		if err != nil {
			return nil, err
		}
		keys, values := make([]opt, len(items)), make([]opt, len(items))
		for i, item := range items {
			if keys[i], values[i], err = pairOf(item, s); err != nil {
				return nil, err
			}
		}
		return func(yield func(opt, opt) bool) {
			for i := range keys {
				if !yield(keys[i], values[i]) {
					return
				}
			}
		}, nil
	})), nil
}

func buildFlatMapValues(p *program, s *Step) (any, error) {
	f, err := expression(s, "fn")
	if err != nil {
		return nil, err
	}
	in, err := of[anyStream](p, s)
	if err != nil {
		return nil, err
	}
	return shutValue(stream.TryFlatMapValues(openValue(in), func(_ context.Context, k any, v opt) (iter.Seq[opt], error) {
		items, err := listOf(f, env{"key": k, "value": v.Or(nil)})
		if err != nil {
			return nil, err
		}
		values := make([]opt, len(items))
		for i, item := range items {
			value, err := fit(item, s.Value)
			if err != nil {
				return nil, err
			}
			values[i] = some(value)
		}
		return func(yield func(opt) bool) {
			for _, v := range values {
				if !yield(v) {
					return
				}
			}
		}, nil
	})), nil
}

func listOf(f func(env) (any, error), vars env) (list, error) {
	v, err := f(vars)
	if err != nil {
		return nil, err
	}
	items, ok := v.(list)
	if !ok {
		return nil, fmt.Errorf("fn: %v (%T) is no list", v, v)
	}
	return items, nil
}

// selectKey gives each record the key that a step's function makes; a null one is allowed.
func selectKey(p *program, s *Step) (anyStream, error) {
	f, err := typed(s, "fn", s.Key)
	if err != nil {
		return anyStream{}, err
	}
	in, err := of[anyStream](p, s)
	if err != nil {
		return anyStream{}, err
	}
	return shut(stream.TrySelectKey(openValue(in), func(_ context.Context, k any, v opt) (opt, error) {
		r, err := f(env{"key": k, "value": v.Or(nil)})
		return some(r), err
	})), nil
}

func buildSelectKey(p *program, s *Step) (any, error) {
	out, err := selectKey(p, s)
	return out, err
}

func buildPeek(p *program, s *Step) (any, error) {
	in, err := of[anyStream](p, s)
	if err != nil {
		return nil, err
	}
	return in.Peek(func(any, any) {}), nil
}

func buildMerge(p *program, s *Step) (any, error) {
	out, err := parent[anyStream](p, s, 0)
	if err != nil {
		return nil, err
	}
	for i := 1; i < len(s.Of); i++ {
		next, err := parent[anyStream](p, s, i)
		if err != nil {
			return nil, err
		}
		out = out.Merge(next)
	}
	return out, nil
}
