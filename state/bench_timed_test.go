//go:build unix

package state_test

import (
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// The stores whose rows have times, hot: what a windowed count, a session count and a join of streams do for a record. A commit
// comes every 100,000 records. Keys are drawn from 10,000; stream time goes on by 1 ms a record.

const (
	timedKeys   = 10_000
	timedCommit = 100_000
)

func timedBench(b *testing.B, spec state.Spec, one func(s state.Store, k string, at int64) error) {
	p, s := storePlace(b, spec, state.NewBudget(0, 0, 0))
	keys := make([]string, timedKeys)
	for i := range keys {
		keys[i] = string([]byte{'k', byte(i), byte(i >> 8), 'e', 'y', '-', byte(i), byte(i >> 4)})
	}
	b.ReportAllocs()
	b.ResetTimer()
	used := cpu()
	for i := range b.N {
		if err := one(s, keys[uint32(i)*2654435761%timedKeys], int64(i)); err != nil {
			b.Fatal(err)
		}
		p.units.Commit()
		if i%timedCommit == timedCommit-1 {
			p.log.recs = p.log.recs[:0]
			if err := p.freezeTo(s, dropLog{}); err != nil {
				b.Fatal(err)
			}
			if err := p.apply(s); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric((cpu()-used)/float64(b.N), "cpu-ns/op")
}

// freezeTo freezes a store into a new batch.
func (p *place) freezeTo(s state.Store, log state.Changelog) error {
	p.batch = p.space.Batch()
	return s.Freeze(p.batch, log)
}

// dropLog is a changelog that keeps nothing.
type dropLog struct{}

func (dropLog) Append(int64, []byte, []byte, record.Headers) error { return nil }

func BenchmarkWindowFindSet(b *testing.B) {
	const size = 60_000
	spec := state.WindowSpec("s", serde.String, num{}, state.WindowConfig{Size: size, Retention: 2 * size})
	timedBench(b, spec, func(s state.Store, k string, at int64) error {
		t := s.(*state.WindowTable[string, int64])
		e, err := t.FindWindow(k, at/size*size)
		if err != nil {
			return err
		}
		n, _, _, err := t.Value(e)
		if err != nil {
			return err
		}
		return t.Set(e, n+1, at)
	})
}

func BenchmarkSessionMerge(b *testing.B) {
	const gap = 20_000
	spec := state.SessionSpec("s", serde.String, num{}, state.SessionConfig{Retention: 2 * gap})
	timedBench(b, spec, func(s state.Store, k string, at int64) error {
		t := s.(*state.SessionTable[string, int64])
		c, err := t.FindOverlapping(k, at-gap, at+gap)
		if err != nil {
			return err
		}
		start, end, n := at, at, int64(1)
		for c.Next() {
			w := c.Key()
			was, till := w.Start.UnixMilli(), w.End.UnixMilli()
			start, end, n = min(start, was), max(end, till), n+c.Value()
			e, err := t.FindSession(k, was, till)
			if err == nil {
				err = t.Delete(e, at)
			}
			if err != nil {
				return err
			}
		}
		if c.Err() != nil {
			return c.Err()
		}
		e, err := t.FindSession(k, start, end)
		if err != nil {
			return err
		}
		return t.Set(e, n, at)
	})
}

func BenchmarkJoinPutFetch(b *testing.B) {
	const window = 20_000 // two values of a key on average
	spec := state.JoinStoreSpec("s", serde.String, num{}, state.WindowConfig{Size: 2 * window, Retention: 2 * window})
	matches := 0
	timedBench(b, spec, func(s state.Store, k string, at int64) error {
		t := s.(*state.JoinStore[string, int64])
		c, err := t.Fetch(k, at-window, at+window)
		if err != nil {
			return err
		}
		for c.Next() {
			matches++
		}
		if c.Err() != nil {
			return c.Err()
		}
		return t.Put(k, at, at)
	})
	b.ReportMetric(float64(matches)/float64(b.N), "matches/op")
}
