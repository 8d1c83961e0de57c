package oracle

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

func on(b *stream.Builder, topic string, opts ...stream.SourceOption) flow {
	return stream.From(b, topic, serde.String, serde.String, opts...)
}

func tableOn(b *stream.Builder, topic string, opts ...stream.TableOption) rows {
	return stream.TableFrom(b, topic, serde.String, serde.String, opts...)
}

func program(f func(b *stream.Builder)) func() *stream.Builder {
	return func() *stream.Builder {
		b := stream.NewBuilder()
		f(b)
		return b
	}
}

func first(v string) string { return v[:min(1, len(v))] }

// transcriptPrograms are what the transcripts run.
var transcriptPrograms = map[string]func() *stream.Builder{
	"stateless": program(func(b *stream.Builder) {
		words := stream.FlatMapValues(on(b, "in"), func(_, v string) iter.Seq[string] { return strings.SplitSeq(v, ",") })
		ways := words.Filter(func(_, v string) bool { return v != "drop" }).Split()
		short := ways.When(func(_, v string) bool { return len(v) < 3 })
		ways.Otherwise().To("long")
		stream.Map(short, func(k, v string) (string, string) { return v, k }).To("swapped")
		short.Merge(on(b, "in2")).To("merged")
	}),
	"nulls": program(func(b *stream.Builder) {
		in := on(b, "in")
		stream.MapValues(in, func(k, v string) string { return k + v }).To("mapValues")
		in.Filter(func(_, v string) bool { return v == "x" }).To("filter")
		stream.SelectKey(in, func(k, v string) string { return v }).To("selectKey")
		ways := in.Split()
		ways.When(func(_, _ string) bool { return true }).To("when")
		ways.Otherwise().To("otherwise")
		stream.Present(stream.MapValues(stream.Nullable(in), func(_ string, v some) some { return stream.Some(v.Or("was null")) })).To("nullable")
		in.Repartition().To("repartitioned")
	}),
	"aggregate": program(func(b *stream.Builder) {
		g := on(b, "in").GroupByKey()
		g.Count(stream.As("counts")).ToStream().To("count")
		g.Reduce(func(old, v string) string { return old + v }, stream.As("reduced")).ToStream().To("reduce")
		stream.AggregateOpt(g, func(_, v string, old some) some {
			if v == "clear" {
				return some{}
			}
			return stream.Some(old.Or("") + v)
		}, stream.As("kept"), stream.WithValue(serde.String)).ToStream().To("aggregateOpt")
		stream.GroupBy(on(b, "in"), func(_, v string) string { return first(v) }, stream.Named("by")).
			Count(stream.As("by-first")).ToStream().To("groupBy")
	}),
	"table": program(func(b *stream.Builder) {
		plain := tableOn(b, "in")
		plain.ToStream().To("updates")
		plain.Filter(func(_, v string) bool { return v != "no" }).ToStream().To("filter")
		stored := tableOn(b, "in2", stream.As("rows"))
		stored.Filter(func(_, v string) bool { return v != "no" }).ToStream().To("filterStored")
		stream.MapTable(stored, func(k, v string) string { return k + v }, stream.As("mapped"), stream.WithValue(serde.String)).
			ToStream().To("map")
	}),
	"group": program(func(b *stream.Builder) {
		g := stream.GroupTableBy(tableOn(b, "in"), func(_, v string) (string, string) { return first(v), v }, stream.Named("g"))
		g.Reduce(func(old, v string) string { return old + "+" + v }, func(old, v string) string { return old + "-" + v },
			stream.As("groups")).ToStream().To("out")
	}),
	"join": program(func(b *stream.Builder) {
		users := tableOn(b, "users")
		orders := on(b, "orders")
		stream.JoinTable(orders, users, func(k, o, u string) string { return o + "/" + u }).To("inner", stream.WithValue(serde.String))
		stream.LeftJoinTable(orders, users, func(k, o string, u some) string { return o + "/" + u.Or("?") }).To("left", stream.WithValue(serde.String))
	}),
	"process":   processProgram,
	"errors":    errorsProgram,
	"origin":    originProgram,
	"poison":    poisonProgram,
	"twoInputs": twoInputsProgram,
	"lateTime":  lateTimeProgram,
}

// tally counts the keys in a store, and tells what it has at every tick.
type tally struct {
	store stream.KVStore[string, int64]
	sick  *bool
}

var tallies = stream.KeyValue("tallies", serde.String, serde.Int64)

func (p *tally) Init(c *stream.InitContext[string, string]) error {
	p.store = tallies.Open(c)
	c.EveryStreamTime(10*time.Millisecond, p.tick("stream"))
	c.EveryWallClock(time.Minute, p.tick("wall"))
	return nil
}

func (p *tally) tick(kind string) stream.Punctuator[string, string] {
	return func(c *stream.ProcessContext[string, string], now time.Time) error {
		for k, n := range p.store.All() {
			c.Forward(stream.Record[string, string]{Key: k, Value: stream.Some(fmt.Sprintf("%s:%d", kind, n))})
			if err := p.store.Put(k, n+100); err != nil {
				return err
			}
			if k == "sick" {
				return errors.New("the tick meets a sick row")
			}
		}
		return nil
	}
}

func (p *tally) Process(c *stream.ProcessContext[string, string], r stream.Record[string, string]) error {
	n, _, err := p.store.Get(r.Key)
	if err != nil {
		return err
	}
	if r.Value.Or("") == "delete" {
		return p.store.Delete(r.Key)
	}
	if err := p.store.Put(r.Key, n+1); err != nil {
		return err
	}
	c.Forward(stream.Record[string, string]{Key: r.Key, Value: stream.Some(fmt.Sprint(n + 1))})
	if r.Value.Or("") == "past" {
		c.Forward(stream.Record[string, string]{Key: r.Key, Time: time.UnixMilli(-5)})
	}
	if r.Value.Or("") == "fail" {
		return errors.New("after the put and the forward")
	}
	return nil
}

var processProgram = program(func(b *stream.Builder) {
	stream.Process(on(b, "in"), func() *tally { return &tally{} }, []stream.StoreRef{tallies}, stream.Named("tally")).
		To("out", stream.WithKey(serde.String), stream.WithValue(serde.String))
})

// cause is an error that wraps another one.
type cause struct{ err error }

func (c *cause) Error() string { return "calling the bank: " + c.err.Error() }
func (c *cause) Unwrap() error { return c.err }

type refused struct{ code int }

func (r *refused) Error() string { return fmt.Sprintf("refused with %d", r.code) }

// unreliable fails as a value says: "later/N" passes at its N-th attempt.
func unreliable() func(context.Context, string, string) (string, error) {
	attempts := map[string]int{}
	return func(_ context.Context, k, v string) (string, error) {
		kind, n, _ := strings.Cut(v, "/")
		attempts[k+v]++
		switch kind {
		case "later":
			if fmt.Sprint(attempts[k+v]) != n {
				return "", stream.Transient(&cause{&refused{503}})
			}
		case "after":
			if attempts[k+v] == 1 {
				return "", stream.RetryAfter(errors.New("busy"), 30*time.Second)
			}
		case "nested":
			return "", fmt.Errorf("order %q: %w", k, &cause{errors.Join(&refused{402}, errors.New("and more"))})
		case "permanent":
			return "", stream.Permanent(errors.New("no retry helps"))
		case "skip":
			return "", fmt.Errorf("of no interest: %w", stream.Skip)
		case "panic":
			var m map[string]int
			m[v] = 1
		case "fatal":
			return "", stream.Fatal(errors.New("stop everything"))
		}
		return v + "!", nil
	}
}

var errorsProgram = program(func(b *stream.Builder) {
	in := on(b, "in")
	in.GroupByKey().Count(stream.As("counts")).ToStream().To("counts")
	stream.TryMapValues(in, unreliable(), stream.Named("bank"), stream.OnError(stream.Retry(2, stream.Fixed(10*time.Second)))).
		To("out", stream.WithValue(serde.String))
})

var originProgram = program(func(b *stream.Builder) {
	once := stream.SelectKey(on(b, "in"), func(_, v string) string { return first(v) }).
		Repartition(stream.Named("once"), stream.WithKey(serde.String), stream.WithValue[string](touchy{serde.String}))
	twice := stream.SelectKey(once, func(_, v string) string { return v }).Repartition(stream.Named("twice"), stream.WithKey(serde.String))
	stream.TryMapValues(twice, func(ctx context.Context, k, v string) (string, error) {
		m, _ := stream.MetadataOf(ctx)
		if v == "fail" {
			return "", fmt.Errorf("at %s/%d@%d", m.Topic, m.Partition, m.Offset)
		}
		return v, nil
	}, stream.Named("last")).To("out", stream.WithKey(serde.String), stream.WithValue(serde.String))
})

// Two inputs of one task: records of "b" that wait do not overtake one of "a" that is retried, or take its attempts.
var twoInputsProgram = program(func(b *stream.Builder) {
	both := on(b, "a").Merge(on(b, "b"))
	stream.TryMapValues(both, unreliable(), stream.Named("bank"), stream.OnError(stream.Retry(2, stream.Fixed(10*time.Second)))).
		To("out", stream.WithValue(serde.String))
})

// The time of a record is asked of something that is not there at first.
var lateTimeProgram = program(func(b *stream.Builder) {
	asked := 0
	timed := on(b, "a", stream.Named("timed"), stream.Timestamps(func(r stream.Record[string, string], _ time.Time) (time.Time, error) {
		if asked++; asked%2 == 1 {
			return time.Time{}, stream.RetryAfter(errors.New("the registry is away"), time.Second)
		}
		return r.Time, nil
	}))
	timed.Merge(on(b, "b")).To("out", stream.WithKey(serde.String), stream.WithValue(serde.String))
})

// sour is a serde that fails with values as they say.
type sour struct{ stage string }

func (s sour) Append(dst []byte, v string) ([]byte, error) {
	switch v {
	case s.stage:
		return append(dst, "partly"...), errors.New("cannot be encoded")
	case s.stage + "-panic":
		panic("encoder")
	}
	return append(dst, v...), nil
}

func (s sour) Decode(b []byte) (string, error) {
	switch string(b) {
	case s.stage:
		return "", errors.New("cannot be decoded")
	case s.stage + "-panic":
		panic("decoder")
	}
	return string(b), nil
}

// Three branches: a counted one, one through an internal topic, and the one where things fail. The first two have done their
// work when the third fails.
var poisonProgram = program(func(b *stream.Builder) {
	in := stream.From(b, "in", serde.Serde[string](sour{"bad-key"}), serde.Serde[string](sour{"bad-value"}),
		stream.Timestamps(func(r stream.Record[string, string], _ time.Time) (time.Time, error) {
			switch r.Value.Or("") {
			case "bad-time":
				return time.Time{}, errors.New("no time in it")
			case "bad-time-panic":
				panic("extractor")
			}
			return r.Time, nil
		}), stream.Named("source"))
	in.GroupByKey(stream.WithKey(serde.String)).Count(stream.As("counts"), stream.WithKey(serde.String)).ToStream().To("counts")
	in.Repartition(stream.Named("second"), stream.WithKey(serde.String), stream.WithValue(serde.String)).To("second")
	done := stream.TryMapValues(in, func(_ context.Context, k, v string) (string, error) {
		switch v {
		case "error":
			return "", errors.New("as told")
		case "panic":
			panic("as told")
		case "large":
			return strings.Repeat("x", 500), nil
		}
		return v, nil
	}, stream.Named("work"))
	done.GroupByKey(stream.WithKey(serde.String), stream.WithValue(serde.String)).Reduce(func(_, v string) string { return v }, stream.Named("last"), stream.As("last"),
		stream.WithKey(serde.String), stream.WithValue(serde.Serde[string](sour{"bad-state"})))
	stream.SelectKey(done, func(_, v string) string { return v }, stream.Named("rekeyed")).
		To("third", stream.Named("keys"), stream.WithKey(serde.Serde[string](sour{"bad-out-key"})), stream.WithValue(serde.String))
	done.To("fourth", stream.Named("values"), stream.WithKey(serde.String), stream.WithValue(serde.Serde[string](sour{"bad-out-value"})))
})
