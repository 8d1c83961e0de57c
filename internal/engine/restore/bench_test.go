//go:build unix

package restore

import (
	"context"
	"fmt"
	"syscall"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/memstore"
	"github.com/twmb/franz-go/pkg/kgo"
)

func cpu(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// nothing is a store that takes an ingest and keeps nothing: what is left is reading.
type (
	nothing      struct{ state.EngineStore }
	nothingSpace struct{ state.Space }
)

func (nothing) Name() string                      { return "counts" }
func (nothing) Kind() state.Kind                  { return state.KindKeyValue }
func (nothing) Ingester() (state.Ingester, error) { return nothing{}, nil }
func (nothing) Add(key, value []byte) error       { return nil }
func (nothing) Finish(o state.StoredOffset) error { return nil }
func (nothing) Abort()                            {}

func (nothingSpace) Offset(string) (o state.StoredOffset, ok bool, err error) { return o, false, nil }

// BenchmarkRestore reads changelogs of a million records over four partitions, keys of 16 and values of 100 bytes, a third of them
// overwritten later, into each engine. It reports records per processor second of the whole process, which the fake brokers
// and their network are part of.
func BenchmarkRestore(b *testing.B) {
	const records = 1_000_000
	for name, open := range map[string]func() state.Engine{
		"none":        func() state.Engine { return nil },
		"memstore":    func() state.Engine { return memstore.New() },
		"pebblestore": func() state.Engine { return openPebble(b) },
	} {
		b.Run(name, func(b *testing.B) {
			r := newRig(b, nil, Config{}, kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(900_000))
			value := make([]byte, 100)
			x := uint64(1)
			for i := range records {
				x ^= x << 13
				x ^= x >> 7
				x ^= x << 17
				r.writer.Produce(context.Background(), &kgo.Record{Topic: topic, Partition: int32(i % partitions),
					Key: fmt.Appendf(nil, "key-%012d", x%records), Value: value}, func(_ *kgo.Record, err error) {
					if err != nil {
						b.Error(err)
					}
				})
			}
			if err := r.writer.Flush(context.Background()); err != nil {
				b.Fatal(err)
			}
			used := 0.0
			for b.Loop() {
				r.engine = open()
				var stores []Store
				for p := range int32(partitions) {
					s := Store{Name: "counts", Spec: &r.spec, Space: nothingSpace{}, Engine: nothing{}, Changelog: record.TopicPartition{Topic: topic, Partition: p}}
					if r.engine != nil {
						s = r.store(p)
					}
					stores = append(stores, s)
				}
				before, start := r.manager.Progress().Records, cpu(b)
				if _, err := r.manager.Restore(context.Background(), record.TaskID{Sub: 1}, stores); err != nil {
					b.Fatal(err)
				}
				used += cpu(b) - start
				if n := r.manager.Progress().Records - before; n != records {
					b.Fatalf("%d records were read", n)
				}
			}
			b.ReportMetric(records*float64(b.N)/used/1e6, "M/cpu-s")
		})
	}
}
