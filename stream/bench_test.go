package stream_test

import (
	"iter"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// BenchmarkChain is the price of steps without state: filter → mapValues → flatMapValues → filter, from views to a function.
// A step may cost 15 ns and no allocation.
func BenchmarkChain(b *testing.B) {
	bench := func(b *testing.B, write func(stream.Stream[[]byte, []byte]) stream.Stream[[]byte, []byte]) {
		builder := stream.NewBuilder()
		n := 0
		write(stream.From(builder, "in", serde.BytesView, serde.BytesView)).ForEach(func(_, _ []byte) { n++ })
		topo, err := builder.Build("app")
		if err != nil {
			b.Fatal(err)
		}
		in, err := topo.Instantiate(0, &node.Task{}, map[string]state.Store{})
		if err != nil {
			b.Fatal(err)
		}
		src, rec := in.Source("in"), &record.Raw{Key: []byte("key"), Value: []byte("value")}
		b.ReportAllocs()
		for b.Loop() {
			if err := src.Process(rec, 1); err != nil {
				b.Fatal(err)
			}
		}
		if n == 0 {
			b.Fatal("no record arrived")
		}
	}
	keep := func(_, v []byte) bool { return len(v) > 0 }
	same := func(_, v []byte) []byte { return v }
	var one []byte
	seq := func(yield func([]byte) bool) { yield(one) }
	flat := func(_, v []byte) iter.Seq[[]byte] { one = v; return seq }
	b.Run("none", func(b *testing.B) {
		bench(b, func(s stream.Stream[[]byte, []byte]) stream.Stream[[]byte, []byte] { return s })
	})
	b.Run("four", func(b *testing.B) {
		bench(b, func(s stream.Stream[[]byte, []byte]) stream.Stream[[]byte, []byte] {
			return stream.FlatMapValues(stream.MapValues(s.Filter(keep), same), flat).Filter(keep)
		})
	})
	b.Run("four tries", func(b *testing.B) {
		bench(b, func(s stream.Stream[[]byte, []byte]) stream.Stream[[]byte, []byte] {
			try := func(_ context, k, v []byte) (bool, error) { return keep(k, v), nil }
			s = stream.TryMapValues(s.TryFilter(try), func(_ context, k, v []byte) ([]byte, error) { return v, nil })
			return stream.TryFlatMapValues(s, func(_ context, k, v []byte) (iter.Seq[[]byte], error) { return flat(k, v), nil }).TryFilter(try)
		})
	})
}
