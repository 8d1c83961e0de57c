//go:build unix

package state_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

const benchKeys = 100_000

// benchKeysShuffled returns keys of 16 bytes in random order, many times each: the order of arrival of hot keys.
func benchKeysShuffled() []string {
	keys := make([]string, 1<<20)
	x := uint64(1)
	for i := range keys {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		keys[i] = fmt.Sprintf("key-%012d", x%benchKeys)
	}
	return keys
}

// cpu is the processor time of the process so far: other work on the machine does not count.
func cpu() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return float64(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkUpdate is what count does per record: find, value, set, note, end of the unit.
func BenchmarkUpdate(b *testing.B) {
	keys := benchKeysShuffled()
	b.Run("int64", func(b *testing.B) {
		p := newPlace(b, state.NewBudget(0, 0, 0))
		t := table(b, p, num{})
		for i := range keys {
			update(b, p, t, keys[i], func(v int64) int64 { return v + 1 }, int64(i))
		}
		b.ReportAllocs()
		b.ResetTimer()
		start := cpu()
		for i := range b.N {
			update(b, p, t, keys[i&(len(keys)-1)], func(v int64) int64 { return v + 1 }, int64(i))
		}
		b.ReportMetric((cpu()-start)/float64(b.N), "cpu-ns/op")
	})
	b.Run("bytes100", func(b *testing.B) {
		p := newPlace(b, state.NewBudget(0, 0, 0))
		t := table(b, p, serde.Bytes)
		val := make([]byte, 100)
		for i := range keys {
			update(b, p, t, keys[i], func([]byte) []byte { return val }, int64(i))
		}
		b.ReportAllocs()
		b.ResetTimer()
		for i := range b.N {
			update(b, p, t, keys[i&(len(keys)-1)], func([]byte) []byte { return val }, int64(i))
		}
	})
}

// BenchmarkRead is a look-up of a hot key: a stream-table join.
func BenchmarkRead(b *testing.B) {
	keys := benchKeysShuffled()
	p := newPlace(b, nil)
	t := table(b, p, num{})
	for i := range keys {
		update(b, p, t, keys[i], func(v int64) int64 { return v + 1 }, int64(i))
	}
	b.ReportAllocs()
	b.ResetTimer()
	start := cpu()
	defer func() { b.ReportMetric((cpu()-start)/float64(b.N), "cpu-ns/op") }()
	for i := range b.N {
		if _, _, ok, err := t.Get(keys[i&(len(keys)-1)]); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

type nullBatch struct{ n int }

func (b *nullBatch) Set(_ state.EngineStore, k, v []byte) error          { b.n += len(k) + len(v); return nil }
func (b *nullBatch) Delete(_ state.EngineStore, k []byte) error          { b.n += len(k); return nil }
func (b *nullBatch) DeleteRange(state.EngineStore, []byte, []byte) error { return nil }
func (b *nullBatch) SetOffset(string, state.StoredOffset) error          { return nil }
func (b *nullBatch) Len() int                                            { return b.n }
func (b *nullBatch) Commit() error                                       { return nil }
func (b *nullBatch) Discard()                                            {}

type nullLog struct{ n int }

func (l *nullLog) Append(_ int64, k, v []byte, _ record.Headers) error {
	l.n += len(k) + len(v)
	return nil
}

// BenchmarkCommit is the part of a commit that the store has a hand in: drain, freeze, applied, of 100 k rows. ns/op is per row.
func BenchmarkCommit(b *testing.B) {
	keys := benchKeysShuffled()[:4*benchKeys]
	p := newPlace(b, nil)
	t := table(b, p, num{})
	inc := func(v int64) int64 { return v + 1 }
	for _, what := range []string{"drain", "freeze"} {
		b.Run(what, func(b *testing.B) {
			b.ReportAllocs()
			rows := 0
			for rows < b.N {
				b.StopTimer()
				for i, k := range keys {
					update(b, p, t, k, inc, int64(i))
				}
				if what == "drain" {
					b.StartTimer()
				}
				n := 0
				for {
					_, ok, err := t.NextRow()
					if err != nil {
						b.Fatal(err)
					}
					if !ok {
						break
					}
					n++
				}
				b.StartTimer()
				if what == "drain" {
					b.StopTimer()
				}
				if err := t.Freeze(&nullBatch{}, &nullLog{}); err != nil {
					b.Fatal(err)
				}
				t.Applied()
				b.StartTimer()
				rows += n
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rows), "ns/row")
		})
	}
}
