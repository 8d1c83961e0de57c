package state_test

import (
	"fmt"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/memstore"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// A view of a versioned store sees what is committed, and not what its task has written since.
func TestVersionedViewSeesWhatIsCommitted(t *testing.T) {
	e := memstore.New()
	defer e.Close()
	space, err := e.Space(record.TaskID{})
	if err != nil {
		t.Fatal(err)
	}
	spec := state.VersionedSpec("s", serde.String, serde.Int64, state.VersionedConfig{History: 100_000})
	rows, err := space.Store(spec.Name, spec.Kind)
	if err != nil {
		t.Fatal(err)
	}
	units := new(record.Units)
	opened, err := spec.Open(&state.Env{Units: units, Engine: rows})
	if err != nil {
		t.Fatal(err)
	}
	store := opened.(*state.Versioned[string, int64])
	put := func(v, ts int64) {
		t.Helper()
		if _, _, err := store.Put("k", record.Some(v), ts); err != nil {
			t.Fatal(err)
		}
		units.Commit()
	}
	commit := func() {
		t.Helper()
		b := space.Batch()
		if err := store.Freeze(b, nil); err != nil {
			t.Fatal(err)
		}
		if err := b.Commit(); err != nil {
			t.Fatal(err)
		}
		store.Applied()
	}
	view := spec.View.(*state.VersionedView[string, int64])
	sees := func(want string) {
		t.Helper()
		s, err := view.Open(rows, record.TaskID{})
		if err != nil {
			t.Fatal(err)
		}
		v, from, ok, err := s.Get("k")
		then, was, err2 := s.GetAsOf("k", 15)
		list, err3 := s.Range("k", 0, 100)
		if got := fmt.Sprint(v, from, ok, " ", then.Value, was, " ", len(list)); got != want || err != nil || err2 != nil || err3 != nil {
			t.Errorf("%s, want %s; %v %v %v", got, want, err, err2, err3)
		}
	}
	put(1, 10)
	sees("0 0 false 0 false 0")
	commit()
	sees("1 10 true 1 true 1")
	put(2, 20)
	sees("1 10 true 1 true 1")
	commit()
	sees("2 20 true 1 true 2")
}
