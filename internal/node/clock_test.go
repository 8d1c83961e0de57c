package node

import (
	"math/rand/v2"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/seeds"
)

// TestClock holds a clock in random units, nested and not, against a list of its values.
func TestClock(t *testing.T) {
	seed := seeds.Single(t)
	rng := rand.New(rand.NewPCG(seed, 0))
	var task Task
	c := task.NewClock("c")
	want := int64(-1)
	var unit func(depth int)
	unit = func(depth int) {
		for range rng.IntN(5) {
			switch n := rng.IntN(10); {
			case n < 6:
				to := want + int64(rng.IntN(5)) - 2
				c.Advance(to)
				want = max(want, to)
			case depth < 4:
				before, p := want, task.Units.Begin()
				unit(depth + 1)
				if rng.IntN(2) == 0 {
					task.Units.RollbackTo(p)
					want = before
				} else {
					task.Units.End(p)
				}
			}
			if c.Now() != want {
				t.Fatalf("clock shows %d, want %d", c.Now(), want)
			}
		}
	}
	for range 2000 {
		before := want
		unit(0)
		if rng.IntN(2) == 0 {
			task.Units.Rollback()
			want = before
		} else {
			task.Units.Commit()
		}
		if c.Now() != want || len(c.log) != 0 {
			t.Fatalf("after a unit the clock shows %d, want %d; log %v", c.Now(), want, c.log)
		}
	}
}

func BenchmarkClock(b *testing.B) {
	var task Task
	c := task.NewClock("c")
	b.ReportAllocs()
	for i := int64(0); b.Loop(); i++ {
		c.Advance(i)
		task.Units.Commit()
	}
}
