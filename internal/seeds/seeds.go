package seeds

import (
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/invariant"
)

// The variables; docs/testing.md says what they mean.
const (
	One   = "OXBOW_SEED"
	Many  = "OXBOW_SEEDS"
	Base  = "OXBOW_SEED_BASE"
	Loops = "OXBOW_LOOPS"
)

// Of returns the first seed of a test and how many it tries.
func Of(t testing.TB, few int) (first uint64, n int) {
	t.Helper()
	if first, ok := number(t, One); ok { // S1
		t.Logf("seed %d alone", first)
		return first, 1
	}
	if testing.Short() || invariant.Enabled { // with the race detector a seed takes ten times as long
		few = max(few/8, 1)
	}
	first, n = start(t), Count(t, Many, few)
	t.Logf("%d seeds from %s=%d on", n, One, first)
	return first, n
}

// Single returns the seed of a test that tries one.
func Single(t testing.TB) uint64 {
	t.Helper()
	first, ok := number(t, One)
	if !ok {
		first = start(t)
	}
	t.Logf("%s=%d", One, first)
	return first
}

// Alone tells whether one seed was asked for: then a test may say all that it knows.
func Alone() bool { return os.Getenv(One) != "" }

// Count returns how many times something is done: what the variable says, else def.
func Count(t testing.TB, variable string, def int) int {
	t.Helper()
	n, ok := number(t, variable)
	switch {
	case !ok:
		return def
	case n == 0 || n > 1<<30:
		t.Fatalf("%s=%d: want a number from 1 on", variable, n)
	}
	return int(n)
}

// start is S3. Seeds have 48 bits, so that there is room after the first one.
func start(t testing.TB) uint64 {
	t.Helper()
	base, ok := number(t, Base)
	if !ok {
		return rand.Uint64() >> 16
	}
	h := fnv.New64a()
	h.Write(strconv.AppendUint(nil, base, 10)) // never fails
	h.Write([]byte(t.Name()))
	return h.Sum64() >> 16
}

func number(t testing.TB, variable string) (uint64, bool) {
	t.Helper()
	s := os.Getenv(variable)
	if s == "" {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatalf("%s=%q: want a whole number", variable, s)
	}
	return n, true
}
