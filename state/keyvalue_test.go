package state_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestEmptyIsNotNull: keys and values of zero bytes are keys and values, in cache, engine and changelog.
func TestEmptyIsNotNull(t *testing.T) {
	p := newPlace(t, nil)
	s := keyValue(t, p, serde.Bytes)
	p.time = 42
	must(t, s.Put("", nil))
	must(t, s.Put("k", []byte{}))
	p.units.Commit()
	for _, when := range []string{"dirty", "committed", "from the engine"} {
		for _, k := range []string{"", "k"} {
			if v, ok, err := s.Get(k); err != nil || !ok || len(v) != 0 {
				t.Errorf("%s: get %q: %v, %v, %v", when, k, v, ok, err)
			}
		}
		switch when {
		case "dirty":
			p.commit(t, s)
		case "committed":
			must(t, s.Close())
		}
	}
	if len(p.log.recs) != 2 || p.log.recs[0].Value == nil || p.log.recs[1].Value == nil || p.log.recs[0].Time != 42 {
		t.Errorf("changelog: %+v", p.log.recs)
	}
}

// TestPlainStoreWithoutLooking: a put or a delete of a key that was never read is undone to "not known", not to "absent".
func TestPlainStoreWithoutLooking(t *testing.T) {
	p := newPlace(t, nil)
	s := keyValue(t, p, num{})
	must(t, s.Put("a", 1))
	must(t, s.Put("b", 2))
	p.units.Commit()
	p.commit(t, s)
	must(t, s.Close()) // the cache is empty now
	must(t, s.Put("a", 10))
	must(t, s.Delete("b"))
	must(t, s.Put("c", 30))
	p.units.Rollback()
	for k, want := range map[string]int64{"a": 1, "b": 2} {
		if v, ok, err := s.Get(k); v != want || !ok || err != nil {
			t.Errorf("get %s after rollback: %d, %v, %v", k, v, ok, err)
		}
	}
	if _, ok, _ := s.Get("c"); ok {
		t.Error("c is there after rollback")
	}
	if had, ok, err := s.PutIfAbsent("a", 9); had != 1 || !ok || err != nil {
		t.Errorf("put if absent: %d, %v, %v", had, ok, err)
	}
	if _, ok, err := s.PutIfAbsent("d", 4); ok || err != nil {
		t.Errorf("put if absent: %v, %v", ok, err)
	}
	must(t, s.Delete("b"))
	p.units.Commit()
	p.log.recs = nil
	p.commit(t, s)
	var got []string
	for _, r := range p.log.recs {
		got = append(got, fmt.Sprintf("%s=%x", r.Key, r.Value))
	}
	if want := []string{"b=", "d=0000000000000004"}; !slices.Equal(got, want) {
		t.Errorf("changelog %v, want %v", got, want)
	}
}

// TestNothingForWhatWasNeverThere: set and deleted between two commits leaves no trace (S4).
func TestNothingForWhatWasNeverThere(t *testing.T) {
	p := newPlace(t, nil)
	tab := table(t, p, num{})
	e, err := tab.Find("k")
	must(t, err)
	for _, when := range []string{"new", "committed and deleted before"} {
		must(t, tab.Set(e, 1, 1))
		p.units.Commit()
		must(t, tab.Delete(e, 2))
		p.units.Commit()
		p.log.recs = nil
		p.commit(t, tab)
		if len(p.log.recs) != 0 || len(p.rows(t)) != 0 {
			t.Errorf("%s: changelog %v, engine %v", when, p.log.recs, p.rows(t))
		}
		must(t, tab.Set(e, 1, 3))
		p.units.Commit()
		p.commit(t, tab)
		must(t, tab.Delete(e, 4))
		p.units.Commit()
		p.commit(t, tab)
		if n := len(p.log.recs); n != 2 || p.log.recs[1].Value != nil {
			t.Errorf("%s: changelog %v, want a value and a tombstone", when, p.log.recs)
		}
	}
}

// TestStoredIsStored: a value that was put or read is changed by its owner, the store's is not (S6).
func TestStoredIsStored(t *testing.T) {
	for name, vals := range map[string]serde.Serde[*deep]{"encoded": asJSON[*deep]{}, "cloned": cloning{}} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, nil)
			tab := table(t, p, vals)
			mine := &deep{List: []int{1}, Map: map[string]int{"a": 1}}
			e, err := tab.Find("k")
			must(t, err)
			must(t, tab.Note(e, record.Some(mine), 0, record.Headers{}))
			must(t, tab.Set(e, mine, 1))
			spoil := func(d *deep) { d.List[0], d.Map["a"] = 99, 99 }
			spoil(mine)
			p.units.Commit()
			check := func(what string, d *deep) {
				t.Helper()
				if b, _ := json.Marshal(d); string(b) != `{"List":[1],"Map":{"a":1}}` {
					t.Errorf("%s: %s", what, b)
				}
			}
			v, _, _, err := tab.Value(e)
			must(t, err)
			check("after the put", v)
			spoil(v)
			c, err := tab.All()
			must(t, err)
			for _, v := range c.Seq() {
				check("after the get", v)
				spoil(v)
			}
			p.units.Commit()
			row, ok, err := tab.NextRow()
			if !ok || err != nil {
				t.Fatal(ok, err)
			}
			now, _ := row.New.Get()
			old, _ := row.Old.Get()
			check("after the iteration", now)
			check("the old value", old)
			spoil(now)
			p.commit(t, tab)
			if got := p.rows(t)["k"]; !strings.HasSuffix(got, `{"List":[1],"Map":{"a":1}}`) {
				t.Errorf("engine holds %q", got)
			}
		})
	}
	t.Run("view", func(t *testing.T) {
		p := newPlace(t, nil)
		s := keyValue(t, p, serde.BytesView)
		must(t, s.Put("k", []byte("abc")))
		v, _, err := s.Get("k")
		must(t, err)
		v[0] = 'X'
		if v, _, _ := s.Get("k"); string(v) != "abc" {
			t.Errorf("store holds %q", v)
		}
	})
}

// TestCodecErrors: what cannot be encoded is the put's error, and nothing of it stays (S5).
func TestCodecErrors(t *testing.T) {
	p := newPlace(t, nil)
	s := keyValue(t, p, asJSON[flat]{})
	err := s.Put("k", flat{Rate: math.NaN()})
	var ce *state.CodecError
	if !errors.As(err, &ce) || !strings.HasPrefix(err.Error(), `task 0_3: store s: key "k": encode value: `) {
		t.Fatalf("got %v", err)
	}
	p.units.Rollback()
	if s.DirtyBytes() != 0 {
		t.Errorf("%d dirty bytes", s.DirtyBytes())
	}
	must(t, s.Put("k", flat{Name: "n"}))
	p.units.Commit()
	p.commit(t, s)
	// Bytes that are no value.
	other := keyValue(t, p, num{})
	if _, _, err = other.Get("k"); !errors.As(err, &ce) || ce.Op != "decode value" || string(ce.Key) != "k" {
		t.Errorf("got %v", err)
	}
	c, err := other.All()
	must(t, err)
	if c.Next() || !errors.As(c.Err(), &ce) {
		t.Errorf("got %v", c.Err())
	}
}

// TestIteratorEnds with its unit, whatever the unit did.
func TestIteratorEnds(t *testing.T) {
	for name, end := range map[string]func(p *place){
		"commit":   func(p *place) { p.units.Commit() },
		"rollback": func(p *place) { p.units.Rollback() },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, nil)
			s := keyValue(t, p, num{})
			must(t, s.Put("a", 1))
			must(t, s.Put("b", 1))
			p.units.Commit()
			p.commit(t, s)
			c, err := s.All()
			must(t, err)
			if !c.Next() || c.Key() != "a" {
				t.Fatal(c.Key(), c.Err())
			}
			end(p)
			if c.Next() || c.Err() == nil || !strings.Contains(c.Err().Error(), "unit ended") {
				t.Errorf("key %q, error %v", c.Key(), c.Err())
			}
			must(t, p.space.Close()) // it refuses while iterators are open
		})
	}
}

// TestFreezeTwice: a freeze whose batch is not applied yet keeps its entries, and the next one is refused.
func TestFreezeTwice(t *testing.T) {
	p := newPlace(t, nil)
	s := keyValue(t, p, num{})
	must(t, s.Put("a", 1))
	p.units.Commit()
	must(t, p.freeze(s))
	must(t, s.Put("a", 2))
	p.units.Commit()
	if err := s.Freeze(p.space.Batch(), &p.log); err == nil || !strings.HasPrefix(err.Error(), "task 0_3: store s: freeze") {
		t.Errorf("got %v", err)
	}
	if v, _, _ := s.Get("a"); v != 2 {
		t.Errorf("got %d", v)
	}
	s.Reset()
	if _, ok, _ := s.Get("a"); ok {
		t.Error("a is there after a reset before its batch was applied")
	}
}

// TestFreezeFails: an error of the changelog names the store; after a reset the store is what the engine is.
func TestFreezeFails(t *testing.T) {
	p := newPlace(t, nil)
	s := keyValue(t, p, num{})
	must(t, s.Put("a", 1))
	must(t, s.Put("b", 1))
	p.units.Commit()
	p.log.fail = errors.New("no room")
	if err := p.freeze(s); !errors.Is(err, p.log.fail) || err.Error() != "task 0_3: store s: freeze: no room" {
		t.Errorf("got %v", err)
	}
	p.batch.Discard()
	s.Reset()
	if s.DirtyBytes() != 0 {
		t.Errorf("%d dirty bytes after reset", s.DirtyBytes())
	}
	p.log.fail = nil
	must(t, s.Put("b", 2))
	p.units.Commit()
	p.commit(t, s)
	if got := p.rows(t); len(got) != 1 || got["b"] != "\x00\x00\x00\x00\x00\x00\x00\x02" {
		t.Errorf("engine holds %q", got)
	}
}

// TestIteratorOverNestedRollback: an iterator that has looked at a nested unit's change forgets it when that is undone, though
// other changes take its place in the log.
func TestIteratorOverNestedRollback(t *testing.T) {
	p := newPlace(t, nil)
	s := keyValue(t, p, num{})
	for i, k := range []string{"a", "b", "c"} {
		must(t, s.Put(k, int64(i)))
	}
	c, err := s.All()
	must(t, err)
	point := p.units.Begin()
	must(t, s.Put("c", 50))
	if !c.Next() || c.Key() != "a" {
		t.Fatal(c.Key(), c.Err())
	}
	p.units.RollbackTo(point)
	must(t, s.Put("b", 60))
	var got []string
	for k, v := range c.Seq() {
		got = append(got, fmt.Sprint(k, v))
	}
	if want := []string{"b1", "c2"}; !slices.Equal(got, want) || c.Err() != nil {
		t.Errorf("got %v, %v, want %v", got, c.Err(), want)
	}
}
