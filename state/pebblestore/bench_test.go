//go:build unix

package pebblestore

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/state"
)

func cpuTime() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// sortedKeys draws n keys out of space many, in order.
func sortedKeys(rng *rand.Rand, n int, space uint64) []uint64 {
	ks := make([]uint64, n)
	for i := range ks {
		ks[i] = rng.Uint64N(space) * 0x9E3779B97F4A7C15
	}
	slices.Sort(ks)
	return slices.Compact(ks)
}

func benchStore(b *testing.B) (*Engine, state.Space, state.EngineStore) {
	b.Helper()
	e, err := Open(Options{Dir: b.TempDir(), Name: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { e.Close() })
	s, err := e.Space(workTasks[0])
	if err != nil {
		b.Fatal(err)
	}
	es, err := s.Store("a", state.KindKeyValue)
	if err != nil {
		b.Fatal(err)
	}
	return e, s, es
}

// Commits of 100 k of a million keys, sorted. The CPU of flushes and compactions is in it.
func BenchmarkCommit(b *testing.B) {
	for _, size := range []int{16, 100} {
		b.Run(map[int]string{16: "16B", 100: "100B"}[size], func(b *testing.B) {
			_, s, es := benchStore(b)
			rng := rand.New(rand.NewPCG(1, 2))
			value := make([]byte, size)
			for i := range value {
				value[i] = byte(rng.Uint64())
			}
			var cpu time.Duration
			n := 0
			for b.Loop() {
				ks := sortedKeys(rng, 100_000, 1_000_000)
				start := cpuTime()
				batch := s.Batch()
				var k [8]byte
				for _, x := range ks {
					binary.BigEndian.PutUint64(k[:], x)
					if err := batch.Set(es, k[:], value); err != nil {
						b.Fatal(err)
					}
				}
				if err := batch.SetOffset("a", state.StoredOffset{Changelog: int64(n)}); err != nil {
					b.Fatal(err)
				}
				if err := batch.Commit(); err != nil {
					b.Fatal(err)
				}
				cpu += cpuTime() - start
				n += len(ks)
			}
			b.ReportMetric(float64(n)/cpu.Seconds()/1e6, "Mkeys/cpu-s")
		})
	}
}

// Restores of 500 k sorted keys of 100 B each, each into a fresh store.
func BenchmarkIngest(b *testing.B) {
	e, s, _ := benchStore(b)
	rng := rand.New(rand.NewPCG(1, 2))
	value := make([]byte, 100)
	for i := range value {
		value[i] = byte(rng.Uint64())
	}
	var cpu time.Duration
	n := 0
	for b.Loop() {
		es, err := s.Store(fmt.Sprint("restored-", n), state.KindKeyValue)
		if err != nil {
			b.Fatal(err)
		}
		ks := sortedKeys(rng, 500_000, 1<<60)
		start := cpuTime()
		in, err := es.Ingester()
		if err != nil {
			b.Fatal(err)
		}
		var k [8]byte
		for _, x := range ks {
			binary.BigEndian.PutUint64(k[:], x)
			if err := in.Add(k[:], value); err != nil {
				b.Fatal(err)
			}
		}
		if err := in.Finish(state.StoredOffset{Changelog: int64(n)}); err != nil {
			b.Fatal(err)
		}
		cpu += cpuTime() - start
		n += len(ks)
	}
	b.ReportMetric(float64(n)/cpu.Seconds()/1e6, "Mkeys/cpu-s")
	b.ReportMetric(float64(e.IngestedTables()), "tables")
}

// Reads of keys that are there and of keys that are not, from a store of a million that fits the block cache.
func BenchmarkGet(b *testing.B) {
	_, _, es := benchStore(b)
	in, err := es.Ingester()
	if err != nil {
		b.Fatal(err)
	}
	const n = 1_000_000
	for i := range uint64(n) {
		if err := in.Add(binary.BigEndian.AppendUint64(nil, i*2), make([]byte, 16)); err != nil {
			b.Fatal(err)
		}
	}
	if err := in.Finish(state.StoredOffset{}); err != nil {
		b.Fatal(err)
	}
	for odd, name := range []string{"present", "absent"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			rng := rand.New(rand.NewPCG(1, 2))
			var key [8]byte
			var dst []byte
			start := cpuTime()
			defer func() { b.ReportMetric(float64(cpuTime()-start)/float64(b.N), "cpu-ns/op") }()
			for b.Loop() {
				binary.BigEndian.PutUint64(key[:], rng.Uint64N(n)*2+uint64(odd))
				v, ok, err := es.Get(dst[:0], key[:])
				if err != nil || ok != (odd == 0) {
					b.Fatal(ok, err)
				}
				dst = v
			}
		})
	}
}
