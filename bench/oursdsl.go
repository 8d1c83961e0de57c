package main

import (
	"context"
	"iter"
	"time"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// Ours for the cases of the DSL. What windows and joins of tables give goes to the output topic, from which it is checked.

// The windows of the cases.
const (
	tumblingSize  = time.Minute
	sessionGap    = 10 * time.Second
	suppressSize  = 10 * time.Second
	streamJoinGap = 10 * time.Second
)

// The user's functions of chain. About half of the records pass the first filter, one or two come out of the flatMap, two of three
// pass the second filter.
func chainFirst(n uint64) bool   { return n%2 == 0 }
func chainValue(n uint64) uint64 { return n/2 + 1 }
func chainTwice(n uint64) bool   { return n%2 == 0 }
func chainSecond(n uint64) bool  { return n%3 != 0 }
func chainLeft(n uint64) bool    { return n%5 < 2 }

// chainAnswer is what each result of chain adds to the sum, by its way.
func chainAnswer(n uint64, left bool) uint64 {
	if left {
		return n
	}
	return 3 * n
}

func oursChain(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
	b, t := stream.NewBuilder(), newTally(j, m)
	var sum uint64
	in := stream.From(b, j.Input, serde.BytesView, serde.BytesView)
	even := in.Filter(func(_, v []byte) bool {
		n := numberOf(v)
		t.add(n)
		return chainFirst(n)
	})
	values := stream.MapValues(even, func(_, v []byte) uint64 { return chainValue(numberOf(v)) })
	once, twice := chainIterators()
	flat := stream.FlatMap(values, func(k []byte, n uint64) iter.Seq2[[]byte, uint64] {
		if chainTwice(n) {
			return twice(k, n)
		}
		return once(k, n)
	})
	ways := flat.Filter(func(_ []byte, n uint64) bool { return chainSecond(n) }).Split()
	ways.When(func(_ []byte, n uint64) bool { return chainLeft(n) }).
		ForEach(func(_ []byte, n uint64) { sum += chainAnswer(n, true) })
	ways.Otherwise().ForEach(func(_ []byte, n uint64) { sum += chainAnswer(n, false) })
	err := runOurs(ctx, b, oursConfig(j), t.wait)
	return t.records, sum, err
}

// chainIterators are made once, so that the user's function allocates nothing.
func chainIterators() (once, twice func(k []byte, n uint64) iter.Seq2[[]byte, uint64]) {
	var key []byte
	var number uint64
	one := func(yield func([]byte, uint64) bool) { yield(key, number) }
	two := func(yield func([]byte, uint64) bool) {
		if yield(key, number) {
			yield(key, number+1)
		}
	}
	of := func(seq iter.Seq2[[]byte, uint64]) func(k []byte, n uint64) iter.Seq2[[]byte, uint64] {
		return func(k []byte, n uint64) iter.Seq2[[]byte, uint64] {
			key, number = k, n
			return seq
		}
	}
	return of(one), of(two)
}

// windowOf is tumbling where it advances by its size.
func windowOf(size, advance time.Duration) stream.Window {
	if size == advance {
		return stream.Tumbling(size)
	}
	return stream.Hopping(size, advance)
}

// oursWindows counts per window and key.
func oursWindows(w stream.Window) loop {
	return func(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
		b := stream.NewBuilder()
		in := stream.From(b, j.Input, serde.BytesView, serde.BytesView)
		stream.WindowBy(in.GroupByKey(), w).Count(stream.As("counts")).ToStream().To(j.Output)
		return oursUntilCommitted(ctx, b, oursConfig(j), j, m)
	}
}

// oursSession has a grace: without one a store keeps sessions for just the gap, and one that ended exactly a gap ago may be gone
// before the record comes that would have continued it.
func oursSession(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
	b := stream.NewBuilder()
	in := stream.From(b, j.Input, serde.BytesView, serde.BytesView)
	stream.SessionBy(in.GroupByKey(), stream.Session(sessionGap).Grace(time.Second)).Count(stream.As("counts")).ToStream().To(j.Output)
	return oursUntilCommitted(ctx, b, oursConfig(j), j, m)
}

func oursSuppress(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
	b := stream.NewBuilder()
	in := stream.From(b, j.Input, serde.BytesView, serde.BytesView)
	counts := stream.WindowBy(in.GroupByKey(), stream.Tumbling(suppressSize)).Count(stream.As("counts"))
	stream.SuppressUntilWindowCloses(counts).ToStream().To(j.Output)
	return oursUntilCommitted(ctx, b, oursConfig(j), j, m)
}

// oursStreamJoin counts the records of both sides.
func oursStreamJoin(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
	b := stream.NewBuilder()
	left := stream.From(b, j.Input, serde.BytesView, serde.BytesView)
	right := stream.From(b, j.Table, serde.BytesView, serde.BytesView)
	var sum uint64
	stream.JoinStream(left, right, stream.Within(streamJoinGap), func(_, l, r []byte) uint64 { return joinSum(l, r) }).
		ForEach(func(_ []byte, n uint64) { sum += n })
	var records int64
	err := runOurs(ctx, b, measured(oursConfig(j), m), func(ctx context.Context, _ *stream.App) error {
		for _, side := range []job{*j, {Brokers: j.Brokers, App: j.App, Input: j.Table, Ends: j.TableEnds, Records: j.Records}} {
			n, err := awaitCommitted(ctx, &side)
			if records += n; err != nil {
				return err
			}
		}
		return nil
	})
	return records, sum, err
}

// measured starts the clock when the application runs.
func measured(cfg stream.Config, m *meter) stream.Config {
	cfg.Listener = func(_, to stream.State) {
		if to == stream.Running {
			m.first()
		}
	}
	return cfg
}

func oursTableJoin(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
	b := stream.NewBuilder()
	left := stream.TableFrom(b, j.Input, serde.BytesView, serde.BytesView, stream.As("left"))
	right := stream.TableFrom(b, j.Table, serde.BytesView, serde.BytesView, stream.As("right"))
	stream.JoinTables(left, right, func(_, l, r []byte) int64 { return int64(joinSum(l, r)) }).
		ToStream().To(j.Output, stream.WithValue(serde.Int64))
	return oursUntilCommitted(ctx, b, oursConfig(j), j, m)
}

// oursForeign joins each row of the table with the row of the input that a hundred of them share. Its records are its results: about
// a hundred for each record of the input. The clock runs from the registration of the rows to the last result of the last of them.
func oursForeign(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
	b := stream.NewBuilder()
	left := stream.TableFrom(b, j.Table, serde.BytesView, serde.BytesView, stream.As("left"))
	right := stream.TableFrom(b, j.Input, serde.BytesView, serde.BytesView, stream.As("right"))
	f, err := newFanOut(ctx, j)
	if err != nil {
		return 0, 0, err
	}
	stream.JoinForeign(left, right, func(_, l []byte) []byte { return appendKey(nil, int64(numberOf(l)/fanOut)) },
		func(_, l, r []byte) fanned { return fanned{numberOf(l), numberOf(r)} }).
		ToStream().ForEach(func(_ []byte, of fanned) { f.add(of) })
	err = runOurs(ctx, b, measured(oursConfig(j), m), func(ctx context.Context, _ *stream.App) error { return f.wait(ctx) })
	return f.results, f.sum(), err
}

// oursCold is count with a cache for a small part of its keys.
func oursCold(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
	b := stream.NewBuilder()
	in := stream.From(b, j.Input, serde.BytesView, serde.BytesView)
	in.GroupByKey().Count(stream.As("counts")).ToStream().To(j.Output)
	cfg := oursConfig(j)
	cfg.StateCacheBytes = coldCache(j)
	return oursUntilCommitted(ctx, b, cfg, j, m)
}
