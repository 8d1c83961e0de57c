package state_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// lruWorld is what an LRU must hold: rows, and their keys, the one used last at the end.
type lruWorld struct {
	rows  map[string]int64
	order []string
}

func (w lruWorld) clone() lruWorld { return lruWorld{maps.Clone(w.rows), slices.Clone(w.order)} }

func (w *lruWorld) use(k string) {
	w.drop(k)
	w.order = append(w.order, k)
}

func (w *lruWorld) drop(k string) {
	w.order = slices.DeleteFunc(w.order, func(o string) bool { return o == k })
}

// TestLRUAgainstModel runs random units over a map of three rows, undone in part and whole, with commits and resets. After a
// reset rows are in the order of their writes, so each write has a time of its own.
func TestLRUAgainstModel(t *testing.T) {
	const most = 3
	rapid.Check(t, func(rt *rapid.T) {
		p, s := storePlace(t, state.LRUSpec("s", most, serde.String, num{}), nil)
		l := s.(*state.LRU[string, int64])
		now := lruWorld{rows: map[string]int64{}}
		must := func(err error) {
			if err != nil {
				rt.Fatal(err)
			}
		}
		op := func() {
			k := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(rt, "key")
			p.time++
			switch rapid.IntRange(0, 3).Draw(rt, "op") {
			case 0, 1:
				must(l.Put(k, p.time))
				now.rows[k] = p.time
				if now.use(k); len(now.order) > most {
					delete(now.rows, now.order[0])
					now.order = now.order[1:]
				}
			case 2:
				v, ok, err := l.Get(k)
				must(err)
				if want, has := now.rows[k]; ok != has || v != want {
					rt.Fatalf("get %s: %d %v, want %d %v", k, v, ok, want, has)
				} else if has {
					now.use(k)
				}
			default:
				must(l.Delete(k))
				delete(now.rows, k)
				now.drop(k)
			}
			if n, err := l.Len(); err != nil || n != len(now.rows) {
				rt.Fatalf("%d rows (%v), want %v", n, err, now.rows)
			}
		}
		for range rapid.IntRange(1, 30).Draw(rt, "units") {
			saved := now.clone()
			for range rapid.IntRange(0, 4).Draw(rt, "ops") {
				op()
			}
			if rapid.Bool().Draw(rt, "nested") {
				inner, point := now.clone(), p.units.Begin()
				for range rapid.IntRange(0, 4).Draw(rt, "inner ops") {
					op()
				}
				p.units.RollbackTo(point)
				now = inner
			}
			if rapid.IntRange(0, 2).Draw(rt, "fails") == 0 {
				p.units.Rollback()
				now = saved
			} else {
				p.units.Commit()
			}
			if rapid.IntRange(0, 3).Draw(rt, "commit") == 0 {
				must(p.freeze(l))
				must(p.apply(l))
				if rapid.Bool().Draw(rt, "reset") {
					l.Reset()
					slices.SortFunc(now.order, func(a, b string) int { return int(now.rows[a] - now.rows[b]) })
				}
			}
		}
		must(p.freeze(l))
		must(p.apply(l))
		fold := map[string]int64{}
		for _, r := range p.log.recs {
			if r.Value == nil {
				delete(fold, string(r.Key))
			} else {
				fold[string(r.Key)] = r.Time
			}
		}
		if !maps.Equal(fold, now.rows) {
			rt.Fatalf("the changelog folds to %v, want %v", fold, now.rows)
		}
	})
}

func TestLRUKeepsTheOrderOfWrites(t *testing.T) {
	spec := state.LRUSpec("s", 2, serde.String, num{})
	p, _ := storePlace(t, spec, nil)
	r := state.NewRestorer(p.engine, &spec, state.StoredOffset{}, 0)
	for i, k := range []string{"c", "a", "b"} {
		if err := r.Add(record.Raw{Key: []byte(k), Value: make([]byte, 8), Time: int64(i), Offset: int64(i)}, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Finish(state.StoredOffset{Changelog: 3}); err != nil {
		t.Fatal(err)
	}
	s, err := spec.Open(&p.env)
	if err != nil {
		t.Fatal(err)
	}
	l := s.(*state.LRU[string, int64])
	if err := l.Put("d", 1); err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, k := range []string{"a", "b", "c", "d"} {
		if _, ok, err := l.Get(k); err != nil {
			t.Fatal(err)
		} else if ok {
			left = append(left, k)
		}
	}
	if fmt.Sprint(left) != "[b d]" {
		t.Errorf("%v are left", left)
	}
}
