package state_test

import (
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/memstore"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// digester is a store that can be held against what it was.
type digester interface {
	state.Store
	Digest() (uint64, error)
}

// TestDigest: what a unit does to a store shows in its digest, is gone from it when the unit is undone, and is back when the unit
// runs again; also with rows that the engine has.
func TestDigest(t *testing.T) {
	for _, c := range []struct {
		name string
		kind state.Kind
		open func(*state.Env) (digester, func(n int64) error, error)
	}{
		{"suppress", state.KindBuffer, func(env *state.Env) (digester, func(int64) error, error) {
			s, err := state.OpenChangeBuffer(env, serde.String, serde.Int64)
			return s, func(n int64) error {
				if n%3 == 2 {
					s.RemoveFirst()
				}
				in := bufferContext()
				return s.Put(string(rune('a'+n%2)), n, record.Some(n), record.None[int64](), &in)
			}, err
		}},
		{"grace", state.KindBuffer, func(env *state.Env) (digester, func(int64) error, error) {
			s, err := state.OpenGraceBuffer(env, serde.String, serde.Int64)
			return s, func(n int64) error {
				if n%3 == 2 {
					s.RemoveFirst()
				}
				in := bufferContext()
				return s.Put("k", n, &in)
			}, err
		}},
		{"unmatched", state.KindBuffer, func(env *state.Env) (digester, func(int64) error, error) {
			s, err := state.OpenUnmatched(env, serde.String, serde.Int64, serde.Int64, state.UnmatchedConfig{LeftWait: 5, RightWait: 5})
			return s, func(n int64) error {
				if n == 4 {
					if _, err := s.TakeDue(100); err != nil {
						return err
					}
				}
				return s.PutLeft("k", n/2, n)
			}, err
		}},
		{"versioned", state.KindVersioned, func(env *state.Env) (digester, func(int64) error, error) {
			s, err := state.OpenVersioned(env, serde.String, serde.Int64, state.VersionedConfig{History: 5_000, Segment: 1_000})
			return s, func(n int64) error { // segments are left behind
				_, _, err := s.Put("k", record.OptOf(n, n%3 != 1), n*1_500)
				return err
			}, err
		}},
		{"join", state.KindWindow, func(env *state.Env) (digester, func(int64) error, error) {
			s, err := state.OpenJoinStore(env, serde.String, serde.Int64, state.WindowConfig{Size: 10, Retention: 20})
			return s, func(n int64) error { return s.Put("k", n, n) }, err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			space, _ := memstore.New().Space(record.TaskID{})
			e, err := space.Store("s", c.kind)
			if err != nil {
				t.Fatal(err)
			}
			var units record.Units
			s, put, err := c.open(&state.Env{Units: &units, Engine: e})
			if err != nil {
				t.Fatal(err)
			}
			sum := func() uint64 {
				t.Helper()
				d, err := s.Digest()
				if err != nil {
					t.Fatal(err)
				}
				return d
			}
			for n := range int64(9) {
				before := sum()
				if err := put(n); err != nil {
					t.Fatal(err)
				}
				after := sum()
				units.Rollback()
				if again := sum(); again != before || after == before {
					t.Fatalf("unit %d: digest %x becomes %x, and %x when it is undone", n, before, after, again)
				}
				if err := put(n); err != nil {
					t.Fatal(err)
				}
				if again := sum(); again != after {
					t.Fatalf("unit %d: digest %x, and %x when it is run again", n, after, again)
				}
				units.Commit()
				if n%2 == 1 {
					commitStore(t, space, s)
				}
			}
		})
	}
}

// commitStore writes a store to its engine.
func commitStore(t *testing.T, space state.Space, s state.Store) {
	t.Helper()
	b := space.Batch()
	if err := s.Freeze(b, nil); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	s.Applied()
}
