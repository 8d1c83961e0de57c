package oracle

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

type (
	flow  = stream.Stream[string, string]
	rows  = stream.Table[string, string]
	some  = stream.Opt[string]
	named interface {
		stream.NodeOption
		stream.AggOption
		stream.JoinOption
		stream.SinkOption
		stream.TopicOption
		stream.SourceOption
	}
)

// touchy is the serde of what may be unreadable.
type touchy struct{ serde.Serde[string] }

func (touchy) Decode(b []byte) (string, error) {
	switch {
	case strings.HasPrefix(string(b), BadBytes):
		return "", errors.New("bad bytes")
	case strings.HasPrefix(string(b), PanicBytes):
		panic("bad bytes")
	}
	return string(b), nil
}

// unwritable is the serde of a sink that some values do not suit.
type unwritable struct{ s Step }

func (u unwritable) Append(dst []byte, v string) ([]byte, error) {
	return append(dst, v...), raise(u.s.TroubleWith("", v))
}
func (unwritable) Decode(b []byte) (string, error) { return string(b), nil }

// raise does what a function in trouble does.
func raise(t Trouble) error {
	switch t {
	case Error:
		return errors.New("as told")
	case Skip:
		return fmt.Errorf("as told: %w", stream.Skip)
	case Panic:
		panic("as told")
	}
	return nil
}

// builder makes a program with the DSL.
type builder struct {
	p       Program
	b       *stream.Builder
	streams []flow
	tables  []rows
	splits  map[int]*stream.Branches[string, string]
}

func build(p Program) *stream.Builder {
	x := &builder{p: p, b: stream.NewBuilder(), streams: make([]flow, len(p)), tables: make([]rows, len(p)),
		splits: map[int]*stream.Branches[string, string]{}}
	for i, s := range p {
		if p.IsTable(i) {
			x.tables[i] = x.table(i, s)
		} else {
			x.streams[i] = x.stream(i, s)
		}
	}
	return x.b
}

// opts names a step's node and says what becomes of its failures.
func (x *builder) opts(i int) (name, policy named) {
	rule := stream.Rule(stream.DeadLetter())
	if x.p[i].Skips {
		rule = stream.Skip
	}
	return stream.Named(x.p.Name(i)), stream.OnError(rule)
}

func (x *builder) stream(i int, s Step) flow {
	n, pol := x.opts(i)
	var in flow
	if len(s.Of) > 0 && !x.p.IsTable(s.Of[0]) {
		in = x.streams[s.Of[0]]
	}
	switch s.Op {
	case From:
		return stream.From(x.b, s.Topic, touchy{serde.String}, touchy{serde.String}, n)
	case Merge:
		return in.Merge(x.streams[s.Of[1]], n, pol)
	case Split:
		x.splits[i] = in.Split(n, pol)
	case Branch:
		split := x.splits[s.Of[0]]
		if list := x.p.Branches(s.Of[0]); list[len(list)-1] == i {
			return split.Otherwise(stream.Named(x.p.Name(i)))
		}
		return split.TryWhen(func(_ context.Context, k, v string) (bool, error) {
			return s.Keep(k, v), raise(s.TroubleWith(k, v))
		}, stream.Named(x.p.Name(i)))
	case Repartition:
		return in.Repartition(n, pol, stream.WithKey(serde.String), stream.WithValue(serde.String))
	case To:
		in.To(s.Topic, n, pol, stream.WithKey(serde.String), stream.WithValue[string](unwritable{s}))
	case ToTopics:
		in.TryToTopics(func(_ context.Context, r stream.Record[string, string]) (string, error) {
			v := r.Value.Or("")
			return s.Dest(r.Key, v), raise(s.TroubleWith(r.Key, v))
		}, n, pol, stream.WithKey(serde.String), stream.WithValue(serde.String))
	case Join:
		return stream.TryJoinTable(in, x.tables[s.Of[1]], func(_ context.Context, k, l, r string) (string, error) {
			return s.Join(k, l, &r), raise(s.TroubleWith(k+l, r))
		}, n, pol, stream.WithKey(serde.String), stream.WithValue(serde.String))
	case LeftJoin:
		return stream.TryLeftJoinTable(in, x.tables[s.Of[1]], func(_ context.Context, k, l string, r some) (string, error) {
			return s.Join(k, l, ptr(r)), raise(s.TroubleWith(k+l, Text(ptr(r))))
		}, n, pol, stream.WithKey(serde.String), stream.WithValue(serde.String))
	case ToStream:
		return x.tables[s.Of[0]].ToStream(n, pol)
	default:
		return x.plain(i, s, in)
	}
	return flow{}
}

// plain are the steps of one stream. Functions that never fail are given without an error.
func (x *builder) plain(i int, s Step, in flow) flow {
	n, pol := x.opts(i)
	trouble := func(k, v string) error { return raise(s.TroubleWith(k, v)) }
	switch s.Op {
	case Filter:
		if !s.Fails {
			return in.Filter(s.Keep, n)
		}
		return in.TryFilter(func(_ context.Context, k, v string) (bool, error) { return s.Keep(k, v), trouble(k, v) }, n, pol)
	case FilterNot:
		if !s.Fails {
			return in.FilterNot(s.Keep, n)
		}
		return in.TryFilterNot(func(_ context.Context, k, v string) (bool, error) { return s.Keep(k, v), trouble(k, v) }, n, pol)
	case MapValues:
		if !s.Fails {
			return stream.MapValues(in, s.Value, n)
		}
		return stream.TryMapValues(in, func(_ context.Context, k, v string) (string, error) { return s.Value(k, v), trouble(k, v) }, n, pol)
	case NullMap:
		return stream.Present(stream.TryMapValues(stream.Nullable(in), func(_ context.Context, k string, v some) (some, error) {
			return opt(s.ShowNull(k, ptr(v))), trouble(k, Text(ptr(v)))
		}, n, pol))
	case Map:
		return stream.TryMap(in, func(_ context.Context, k, v string) (string, string, error) {
			return s.Key(k, v), s.Value(k, v), trouble(k, v)
		}, n, pol)
	case SelectKey:
		return stream.TrySelectKey(in, func(_ context.Context, k, v string) (string, error) { return s.Key(k, v), trouble(k, v) }, n, pol)
	case FlatMap:
		return stream.TryFlatMap(in, func(_ context.Context, k, v string) (iter.Seq2[string, string], error) {
			return func(yield func(string, string) bool) {
				for w := range s.sequence(k, v) {
					if !yield(s.Key(k, w), w) {
						return
					}
				}
			}, trouble(k, v)
		}, n, pol)
	case FlatMapValues:
		return stream.TryFlatMapValues(in, func(_ context.Context, k, v string) (iter.Seq[string], error) {
			return s.sequence(k, v), trouble(k, v)
		}, n, pol)
	case Peek:
		return in.TryPeek(func(_ context.Context, k, v string) error { return trouble(k, v) }, n, pol)
	}
	panic("no builder for " + s.Op)
}

// sequence yields many values, and panics after the first where it is told to.
func (s Step) sequence(k, v string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for n, w := range s.Many(k, v) {
			if n > 0 && s.TroubleWith(k, v) == Second {
				break
			}
			if !yield(w) {
				return
			}
		}
		if s.TroubleWith(k, v) == Second {
			panic("as told, late")
		}
	}
}

func (x *builder) table(i int, s Step) rows {
	n, pol := x.opts(i)
	as := stream.As(x.p.StoreName(i))
	switch s.Op {
	case TableFrom:
		opts := []stream.TableOption{stream.Named(x.p.Name(i))}
		if s.Store {
			opts = append(opts, as)
		}
		return stream.TableFrom(x.b, s.Topic, touchy{serde.String}, touchy{serde.String}, opts...)
	case ToTable, FilterTable, MapTable:
		opts := []stream.AggOption{n, pol}
		if s.Op == ToTable {
			opts = append(opts, stream.WithKey(serde.String), stream.WithValue(serde.String))
		}
		if s.Store {
			opts = append(opts, as)
		}
		switch s.Op {
		case ToTable:
			return x.streams[s.Of[0]].ToTable(opts...)
		case FilterTable:
			return x.tables[s.Of[0]].TryFilter(func(_ context.Context, k, v string) (bool, error) {
				return s.Keep(k, v), raise(s.TroubleWith(k, v))
			}, opts...)
		}
		return stream.TryMapTable(x.tables[s.Of[0]], func(_ context.Context, k, v string) (string, error) {
			return s.Value(k, v), raise(s.TroubleWith(k, v))
		}, opts...)
	case SumTable, ConcatTable:
		return x.regroup(i, s, as)
	}
	return x.fold(i, s, as)
}

func (x *builder) fold(i int, s Step, as stream.AggOption) rows {
	n, pol := x.opts(i)
	in := x.streams[s.Of[0]]
	group := []stream.TopicOption{stream.Named(x.p.Group(i)), pol, stream.WithKey(serde.String), stream.WithValue(serde.String)}
	var g stream.Grouped[string, string]
	if s.By {
		g = stream.TryGroupBy(in, func(_ context.Context, k, v string) (string, error) {
			return s.Key(k, v), raise(s.TroubleWith("group"+k, v))
		}, group...)
	} else {
		g = in.GroupByKey(group...)
	}
	opts := []stream.AggOption{n, pol, as, stream.WithKey(serde.String)}
	switch s.Op {
	case Count:
		return stream.MapTable(g.Count(opts...), func(_ string, n int64) string { return fmt.Sprint(n) })
	case Reduce:
		return g.TryReduce(func(_ context.Context, old, v string) (string, error) {
			return s.Fold("", old, v), raise(s.TroubleWith(old, v))
		}, opts...)
	case Aggregate:
		return stream.TryAggregate(g, func() string { return "" }, func(_ context.Context, k, v, a string) (string, error) {
			return s.Fold(k, a, v), raise(s.TroubleWith(k+a, v))
		}, opts...)
	}
	return stream.TryAggregateOpt(g, func(_ context.Context, k, v string, old some) (some, error) {
		if err := raise(s.TroubleWith(k+Text(ptr(old)), v)); err != nil {
			return some{}, err
		}
		if o, ok := old.Get(); ok && s.Drops(k, o, v) {
			return some{}, nil
		}
		return stream.Some(s.Fold(k, old.Or(""), v)), nil
	}, opts...)
}

func (x *builder) regroup(i int, s Step, as stream.AggOption) rows {
	n, pol := x.opts(i)
	g := stream.TryGroupTableBy(x.tables[s.Of[0]], func(_ context.Context, k, v string) (string, string, error) {
		return s.Key(k, v), v, raise(s.TroubleWith("group"+k, v))
	}, stream.Named(x.p.Group(i)), pol, stream.WithKey(serde.String), stream.WithValue(serde.String))
	opts := []stream.AggOption{n, pol, as, stream.WithKey(serde.String)}
	if s.Op == SumTable {
		sum := func(what string, sign int64) func(context.Context, string, string, int64) (int64, error) {
			return func(_ context.Context, k, v string, a int64) (int64, error) {
				shown := fmt.Sprint(a)
				return a + sign*int64(len(v)), raise(s.TroubleWith(what+k+shown, v))
			}
		}
		t := stream.TryAggregateTable(g, func() int64 { return 0 }, sum("add", 1), sum("sub", -1), opts...)
		return stream.MapTable(t, func(_ string, n int64) string { return fmt.Sprint(n) })
	}
	return stream.TryAggregateTable(g, func() string { return "" }, func(_ context.Context, k, v, a string) (string, error) {
		return s.Fold(k, a, v), raise(s.TroubleWith("add"+k+a, v))
	}, func(_ context.Context, k, v, a string) (string, error) {
		return s.Unfold(k, a, v), raise(s.TroubleWith("sub"+k+a, v))
	}, opts...)
}

func ptr(v some) *string {
	s, ok := v.Get()
	if !ok {
		return nil
	}
	return &s
}

func opt(v *string) some {
	if v == nil {
		return some{}
	}
	return record.Some(*v)
}
