package state_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// Of a key with more rows than are loaded at once, those of an early time may be in the cache in part. A new value there must not
// take the number, and so the place, of one that only the engine has.
func TestJoinStoreNumbersValuesThatAreNotCached(t *testing.T) {
	state.LoadMost(t, 1)
	spec := state.JoinStoreSpec("s", serde.String, serde.String, state.WindowConfig{Size: 10, Retention: 1000})
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		budget := state.NewBudget(0, 0, 1)
		budget.KeepLeast(1 + rnd.IntN(8))
		p, s := storePlace(t, spec, budget)
		j := s.(*state.JoinStore[string, string])
		count := func(k string) (n int) {
			c, err := j.Fetch(k, 0, 1000)
			if err != nil {
				t.Fatal(err)
			}
			for c.Next() {
				n++
			}
			p.units.Commit()
			return n
		}
		want := map[string]int{}
		for range 100 {
			k := fmt.Sprint(rnd.IntN(3))
			if err := j.Put(k, int64(rnd.IntN(8)), "v"); err != nil {
				t.Fatal(err)
			}
			want[k]++
			p.units.Commit()
			if rnd.IntN(3) == 0 {
				p.commit(t, j)
			}
			if k = fmt.Sprint(rnd.IntN(3)); rnd.IntN(4) == 0 && count(k) != want[k] {
				break
			}
		}
		for k, n := range want {
			if got := count(k); got != n {
				t.Fatalf("seed %d: %d values of %s, not %d", seed, got, k, n)
			}
		}
	}
}
