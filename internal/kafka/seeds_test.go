package kafka

import (
	"os"
	"strconv"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/invariant"
)

// coreSeeds are the seeds of a core test: OXBOW_SEED alone, or as many as OXBOW_SEEDS says, or few.
func coreSeeds(t *testing.T, few int) (first, end uint64) {
	t.Helper()
	number := func(name string) (uint64, bool) {
		s := os.Getenv(name)
		if s == "" {
			return 0, false
		}
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("%s=%q: want a number", name, s)
		}
		return n, true
	}
	if seed, ok := number("OXBOW_SEED"); ok {
		return seed, seed + 1
	}
	if n, ok := number("OXBOW_SEEDS"); ok {
		return 0, n
	}
	if testing.Short() || invariant.Enabled { // with the race detector a seed takes ten times as long
		few /= 8
	}
	return 0, uint64(few)
}

// traceTail is how many lines of a failed world are shown.
func traceTail() int {
	if os.Getenv("OXBOW_SEED") != "" {
		return 100000 // asked for
	}
	return 60
}
