package conformance

import (
	"context"
	"fmt"

	"github.com/oxbow-streams/oxbow/stream"
)

func buildSplit(p *program, s *Step) (any, error) {
	in, err := of[anyStream](p, s)
	if err != nil {
		return nil, err
	}
	w := p.typesOf(s)
	name := func(as string, branch stream.Stream[any, opt]) {
		if as != "" {
			p.made[as], p.types[as] = shutValue(branch), w
		}
	}
	br := openValue(in).Split()
	list, ok := s.Field("branches")
	if !ok {
		return nil, fmt.Errorf("it lacks the field %q", "branches")
	}
	for _, item := range list.([]any) {
		branch := &Step{Op: "branch", Rest: item.(map[string]any), used: map[string]bool{}}
		cond, err := condition(branch, "if")
		if err != nil {
			return nil, err
		}
		name(branch.Text("as"), br.TryWhen(func(_ context.Context, k any, v opt) (bool, error) {
			return cond(env{"key": k, "value": v.Or(nil)})
		}))
		if left := branch.Unused(); len(left) > 0 {
			return nil, fmt.Errorf("fields %v of a branch are not in the vocabulary", left)
		}
	}
	if as := s.Text("default"); as != "" {
		name(as, br.Otherwise())
	}
	return nil, nil
}

func buildRepartition(p *program, s *Step) (any, error) {
	in, err := of[anyStream](p, s)
	if err != nil {
		return nil, err
	}
	w := p.typesOf(s)
	opts := []stream.TopicOption{stream.WithKey[any](dynamic{w.key}), stream.WithValue[any](dynamic{w.value})}
	if name := s.Text("name"); name != "" {
		opts = append(opts, stream.Named(name))
	}
	return in.Repartition(opts...), nil
}

func buildTo(p *program, s *Step) (any, error) {
	in, err := of[anyStream](p, s)
	if err != nil {
		return nil, err
	}
	w := p.typesOf(s)
	opts := []stream.SinkOption{stream.WithKey[any](dynamic{w.key}), stream.WithValue[any](dynamic{w.value})}
	if topic := s.Text("topic"); topic != "" {
		in.To(topic, opts...)
		return nil, nil
	}
	f, err := typed(s, "fn", "string")
	if err != nil {
		return nil, err
	}
	in.TryToTopics(func(ctx context.Context, r stream.Record[any, any]) (string, error) {
		at, _ := stream.MetadataOf(ctx)
		v, err := f(env{"key": r.Key, "value": r.Value.Or(nil), "topic": at.Topic})
		if err != nil {
			return "", err
		}
		return text(v), nil
	}, opts...)
	return nil, nil
}
