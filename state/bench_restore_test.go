//go:build unix

package state_test

import (
	"fmt"
	"io"
	"log/slog"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/memstore"
	"github.com/oxbow-streams/oxbow/state/pebblestore"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// nullStore takes an ingest and keeps nothing: what is left is the restorer's own time.
type nullStore struct{ state.EngineStore }

func (nullStore) Name() string                      { return "s" }
func (nullStore) Kind() state.Kind                  { return state.KindKeyValue }
func (nullStore) Ingester() (state.Ingester, error) { return nullStore{}, nil }
func (nullStore) Add(key, value []byte) error       { return nil }
func (nullStore) Finish(o state.StoredOffset) error { return nil }
func (nullStore) Abort()                            {}

// BenchmarkRestore restores records with keys of 16 and values of 100 bytes, 90 % of them the only ones of their key. It reports
// records per processor second.
func BenchmarkRestore(b *testing.B) {
	spec := state.TableSpec("s", serde.String, serde.Bytes)
	id := record.TaskID{Sub: 0, Partition: 1}
	engines := map[string]func() state.EngineStore{
		"none": func() state.EngineStore { return nullStore{} },
		"memstore": func() state.EngineStore {
			return openStore(b, memstore.New(), id)
		},
		"pebblestore": func() state.EngineStore {
			e, err := pebblestore.Open(pebblestore.Options{Dir: b.TempDir(), Name: "bench", Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
			if err != nil {
				b.Fatal(err)
			}
			return openStore(b, e, id)
		},
	}
	for _, name := range []string{"none", "memstore", "pebblestore"} {
		b.Run(name, func(b *testing.B) {
			value := make([]byte, 100)
			keys := make([][]byte, b.N)
			x := uint64(1)
			for i := range keys {
				x ^= x << 13
				x ^= x >> 7
				x ^= x << 17
				keys[i] = fmt.Appendf(nil, "key-%012d", x%uint64(5*b.N))
			}
			store := engines[name]()
			b.ReportAllocs()
			b.ResetTimer()
			start := cpu()
			r := state.NewRestorer(store, &spec, state.StoredOffset{}, 0)
			for i, k := range keys {
				if err := r.Add(record.Raw{Key: k, Value: value, Offset: int64(i), Time: int64(i)}, int64(i)); err != nil {
					b.Fatal(err)
				}
			}
			if err := r.Finish(state.StoredOffset{Changelog: int64(b.N)}); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/(cpu()-start)*1e3, "M/cpu-s")
		})
	}
}

func openStore(b *testing.B, e state.Engine, id record.TaskID) state.EngineStore {
	space, err := e.Space(id)
	if err != nil {
		b.Fatal(err)
	}
	store, err := space.Store("s", state.KindKeyValue)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := space.Close(); err != nil {
			b.Error(err)
		}
		if err := e.Close(); err != nil {
			b.Error(err)
		}
	})
	return store
}
