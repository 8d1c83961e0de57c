package state_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/internal/seeds"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/memstore"
)

// Rows of several stores come as those of one store that holds them all would, in both directions and every range.
func TestMergeIsOneStore(t *testing.T) {
	seed := seeds.Single(t)
	rnd := rand.New(rand.NewPCG(seed, 0))
	e := memstore.New()
	defer e.Close()
	open := func(p int32) (state.Space, state.EngineStore) {
		s, err := e.Space(record.TaskID{Partition: p})
		if err != nil {
			t.Fatal(err)
		}
		es, err := s.Store("s", state.KindKeyValue)
		if err != nil {
			t.Fatal(err)
		}
		return s, es
	}
	const parts = 4
	var stores []state.EngineStore
	var batches []state.Batch
	for p := range int32(parts + 1) { // the last one holds all
		s, es := open(p)
		stores, batches = append(stores, es), append(batches, s.Batch())
	}
	for i := range 500 {
		k := fmt.Appendf(nil, "%03d", rnd.IntN(1000))
		p := int(k[1]+k[2]) % parts
		for _, to := range []int{p, parts} {
			if err := batches[to].Set(stores[to], k, fmt.Append(nil, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, b := range batches {
		if err := b.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	walk := func(of []state.EngineStore, lower, upper []byte, reverse bool) (got []string) {
		var its []state.Iterator
		for _, s := range of {
			it, err := s.Iter(lower, upper, reverse)
			if err != nil {
				t.Fatal(err)
			}
			its = append(its, it)
		}
		m := state.Merge(state.KindKeyValue.Compare, reverse, its)
		for m.Next() {
			got = append(got, string(m.Key())+"="+string(m.Value()))
		}
		if m.Next() || m.Err() != nil || m.Close() != nil {
			t.Error("after the end:", m.Err())
		}
		return got
	}
	for range 50 {
		lower, upper := fmt.Appendf(nil, "%03d", rnd.IntN(1000)), fmt.Appendf(nil, "%03d", rnd.IntN(1000))
		reverse := rnd.IntN(2) == 0
		if got, want := walk(stores[:parts], lower, upper, reverse), walk(stores[parts:], lower, upper, reverse); !slices.Equal(got, want) {
			t.Fatalf("[%s, %s) reverse %v: %v, want %v", lower, upper, reverse, got, want)
		}
	}
	if err := e.Close(); err != nil {
		t.Error("an iterator is left open:", err)
	}
}
