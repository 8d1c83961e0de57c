//go:build unix

package state_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// BenchmarkRangeDirty is a write and a range of ten rows after it, over 100,000 rows of the engine and some that are dirty: what the
// range costs must not grow with these. A range that copied or sorted them all would cost 100 times as much in the last case.
func BenchmarkRangeDirty(b *testing.B) {
	const rows = 100_000
	for _, dirty := range []int{100, 1_000, 10_000, rows} {
		b.Run(fmt.Sprint(dirty), func(b *testing.B) {
			p := newPlace(b, nil)
			s, err := state.OpenKeyValue[string, int64](&p.env, serde.String, num{})
			if err != nil {
				b.Fatal(err)
			}
			key := func(i int) string { return fmt.Sprintf("key-%06d", i%rows) }
			for i := range rows {
				err = errors.Join(err, s.Put(key(i), 1))
				p.units.Commit()
			}
			if err = errors.Join(err, p.freezeTo(s, dropLog{}), p.apply(s)); err != nil {
				b.Fatal(err)
			}
			const stride = 7919 // a prime
			for i := range dirty {
				err = errors.Join(err, s.Put(key(i*stride), 2))
				p.units.Commit()
			}
			b.ReportAllocs()
			n, used := 0, cpu()
			for b.Loop() {
				i := n * stride % dirty * stride
				n++
				err = errors.Join(err, s.Put(key(i), int64(i)))
				c, e := s.Range(record.Some(key(i)), record.Some(key(i%rows+9)))
				for e == nil && c.Next() {
				}
				if err = errors.Join(err, e); err != nil {
					b.Fatal(err)
				}
				p.units.Commit()
			}
			b.ReportMetric((cpu()-used)/float64(n), "cpu-ns/op")
		})
	}
}

// BenchmarkSessionsDue is a session put, and the question which have closed by now: one for each record.
// Before the store knew in memory what is due when, it went through all that was dirty, and opened an iterator, each time.
func BenchmarkSessionsDue(b *testing.B) {
	const gap = 10_000
	spec := state.SessionSpec("s", serde.String, num{}, state.SessionConfig{Retention: 2 * gap, ByEnd: true})
	sent := 0
	timedBench(b, spec, func(s state.Store, k string, at int64) error {
		t := s.(*state.SessionTable[string, int64])
		e, err := t.FindSession(k, at, at)
		if err = errors.Join(err, t.Set(e, 1, at)); err != nil || at < gap {
			return err
		}
		c, err := t.FetchByEnd(at-gap, at-gap)
		if err != nil {
			return err
		}
		t.Hold(at - gap + 1)
		for c.Next() {
			sent++
		}
		return c.Err()
	})
	b.ReportMetric(float64(sent)/float64(b.N), "sent/op")
}

// BenchmarkHopping is what a count over windows of 10 s that begin every second does for a record.
func BenchmarkHopping(b *testing.B) {
	const size, advance = 10_000, 1_000
	spec := state.WindowSpec("s", serde.String, num{}, state.WindowConfig{Size: size, Retention: size})
	timedBench(b, spec, func(s state.Store, k string, at int64) error {
		t := s.(*state.WindowTable[string, int64])
		t.Settle(at - size)
		for start := max(0, at-size+advance) / advance * advance; start <= at; start += advance {
			e, err := t.FindWindow(k, start)
			if err != nil {
				return err
			}
			n, _, _, err := t.Value(e)
			if err = errors.Join(err, t.Set(e, n+1, at)); err != nil {
				return err
			}
		}
		return nil
	})
}
