package stream_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/memstore"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// BenchmarkJoinStream is the price of a record in a join of two streams, from views to a function: 1,000 keys, sides in turn, a
// millisecond apart, each record meeting one of the other side; a commit every 10,000 records.
func BenchmarkJoinStream(b *testing.B) {
	type in = stream.Stream[[]byte, []byte]
	w := stream.Within(time.Second).Grace(time.Second)
	b.Run("inner", func(b *testing.B) {
		benchJoin(b, func(l, r in) in {
			return stream.JoinStream(l, r, w, func(_, l, _ []byte) []byte { return l })
		})
	})
	b.Run("outer", func(b *testing.B) {
		benchJoin(b, func(l, r in) in {
			return stream.OuterJoinStream(l, r, w, func(_ []byte, l, r stream.Opt[[]byte]) []byte { return l.Or(nil) })
		})
	})
}

func benchJoin(b *testing.B, join func(l, r stream.Stream[[]byte, []byte]) stream.Stream[[]byte, []byte]) {
	builder := stream.NewBuilder()
	results := 0
	join(stream.From(builder, "left", serde.BytesView, serde.BytesView), stream.From(builder, "right", serde.BytesView, serde.BytesView)).
		ForEach(func(_, _ []byte) { results++ })
	topo, err := builder.Build("app")
	if err != nil {
		b.Fatal(err)
	}
	engine := memstore.New()
	defer engine.Close()
	task := &node.Task{StreamTime: -1}
	space, err := engine.Space(task.ID)
	if err != nil {
		b.Fatal(err)
	}
	stores, now := map[string]state.Store{}, new(int64)
	for _, s := range topo.Subs[0].Stores {
		es, err := space.Store(s.Name, s.Spec.Kind)
		if err != nil {
			b.Fatal(err)
		}
		if stores[s.Name], err = s.Spec.Open(&state.Env{Units: &task.Units, Engine: es, Time: now}); err != nil {
			b.Fatal(err)
		}
	}
	in, err := topo.Instantiate(0, task, stores)
	if err != nil {
		b.Fatal(err)
	}
	sides := []node.Source{in.Source("left"), in.Source("right")}
	key, rec := make([]byte, 8), &record.Raw{Value: []byte("a value of some bytes")}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		binary.BigEndian.PutUint64(key, uint64(n/2%1000))
		rec.Key, *now = key, int64(n)
		if err := sides[n%2].Process(rec, int64(n)); err != nil {
			b.Fatal(err)
		}
		task.Units.Commit()
		if n++; n%10_000 == 0 {
			commitStores(b, space, stores)
		}
	}
	b.ReportMetric(float64(results)/float64(n), "results/op")
}

func commitStores(b *testing.B, space state.Space, stores map[string]state.Store) {
	batch := space.Batch()
	for _, s := range stores {
		if err := s.Freeze(batch, nil); err != nil {
			b.Fatal(err)
		}
	}
	if err := batch.Commit(); err != nil {
		b.Fatal(err)
	}
	for _, s := range stores {
		s.Applied()
	}
}
