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

// BenchmarkWindows is the price of a record in a windowed count over 1,000 keys, one record each ms, updates kept for the next
// commit: the node and its store without a commit. Tumbling windows over views may allocate 0.05 times a record.
func BenchmarkWindows(b *testing.B) {
	type grouped = stream.Grouped[[]byte, []byte]
	for name, count := range map[string]func(g grouped){
		"tumbling": func(g grouped) { stream.WindowBy(g, stream.Tumbling(time.Minute)).Count() },
		"hopping 1s/500ms": func(g grouped) {
			stream.WindowBy(g, stream.Hopping(time.Second, time.Second/2)).Count()
		},
		"hopping 60s/1s": func(g grouped) { stream.WindowBy(g, stream.Hopping(time.Minute, time.Second)).Count() },
		"sliding":        func(g grouped) { stream.WindowBy(g, stream.Sliding(5*time.Second)).Count() },
		"session":        func(g grouped) { stream.SessionBy(g, stream.Session(5*time.Second)).Count() },
	} {
		b.Run(name, func(b *testing.B) {
			builder := stream.NewBuilder()
			count(stream.From(builder, "in", serde.BytesView, serde.BytesView).GroupByKey())
			topo, err := builder.Build("app")
			if err != nil {
				b.Fatal(err)
			}
			task := &node.Task{ID: record.TaskID{}, StreamTime: -1}
			space, err := memstore.New().Space(task.ID)
			if err != nil {
				b.Fatal(err)
			}
			stores := map[string]state.Store{}
			for _, s := range topo.Stores {
				es, err := space.Store(s.Name, s.Spec.Kind)
				if err != nil {
					b.Fatal(err)
				}
				if stores[s.Name], err = s.Spec.Open(&state.Env{Task: task.ID, Units: &task.Units, Engine: es}); err != nil {
					b.Fatal(err)
				}
			}
			in, err := topo.Instantiate(0, task, stores)
			if err != nil {
				b.Fatal(err)
			}
			src, key := in.Source("in"), make([]byte, 8)
			rec, now := &record.Raw{Key: key, Value: []byte("value")}, int64(1_700_000_000_000)
			b.ReportAllocs()
			for b.Loop() {
				binary.BigEndian.PutUint64(key, uint64(now)%1000)
				if err := src.Process(rec, now); err != nil {
					b.Fatal(err)
				}
				task.Units.Commit()
				now++
			}
		})
	}
}
