package sim

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oxbow-streams/oxbow/internal/seeds"
)

// TestSwarm runs two instances through every kind of trouble that a cluster may give, by seed. When the trouble ends the lag
// returns to zero (P8); each input is processed at least once, first appearances in order (P2, P3); state is the fold of its
// changelog (P4).
func TestSwarm(t *testing.T) {
	first, n := seeds.Of(t, 5)
	for seed := first; seed < first+uint64(n); seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			wall := time.Now()
			fired := map[string]int{}
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				w := newWorld(t, seed)
				w.fired = fired
				w.run()
				t.Logf("%d inputs, %v of virtual time", w.fed, time.Since(begin).Round(time.Second))
			})
			t.Logf("OXBOW_SEED=%d: %v of wall time; met: %v", seed, time.Since(wall).Round(time.Millisecond), fired)
			if len(fired) < 5 {
				t.Errorf("only %d kinds of trouble were met: the seed proves little", len(fired))
			}
		})
	}
}

const rounds = 60

func (w *world) run() {
	for _, in := range w.instances {
		w.start(in)
	}
	w.feed(50)
	w.catchUp(time.Minute)
	for range rounds {
		w.feed(1 + w.rnd.IntN(30))
		w.trouble()
		time.Sleep(time.Duration(w.rnd.IntN(1500)) * time.Millisecond)
		w.alive()
		if w.t.Failed() {
			break
		}
	}
	if w.t.Failed() {
		return // what follows would only say the same again
	}
	w.heal()
	w.feed(20)
	w.catchUp(5 * time.Minute)
	for _, in := range w.instances {
		w.end(in)
	}
	twice := w.check()
	w.t.Logf("%d were processed again", twice)
}
