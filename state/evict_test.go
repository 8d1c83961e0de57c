package state_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// counting counts how often the engine is asked.
type counting struct {
	state.EngineStore
	gets int
}

func (c *counting) Get(dst, key []byte) ([]byte, bool, error) {
	c.gets++
	return c.EngineStore.Get(dst, key)
}

// unwrapped is a batch for a store that counts.
type unwrapped struct{ state.Batch }

func (u unwrapped) Set(s state.EngineStore, key, value []byte) error {
	return u.Batch.Set(s.(*counting).EngineStore, key, value)
}

// TestHotKeysStay: what is in the cache is not asked for again, absent keys included (S3).
func TestHotKeysStay(t *testing.T) {
	p := newPlace(t, nil)
	b := p.space.Batch()
	if err := errors.Join(b.Set(p.engine, []byte("x"), make([]byte, 16)), b.Commit()); err != nil {
		t.Fatal(err)
	}
	e := &counting{EngineStore: p.engine}
	p.env.Engine = e
	tab := table(t, p, num{})
	for range 5 {
		for i := range 100 {
			if _, err := tab.Find(fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if e.gets != 100 {
		t.Errorf("the engine was asked %d times for 100 keys", e.gets)
	}
}

// TestNewStoreIsNotAskedFor: as long as all that the engine has is cached, a new key is not looked for there.
func TestNewStoreIsNotAskedFor(t *testing.T) {
	b := state.NewBudget(0, 0, 1)
	b.KeepLeast(1000)
	p := newPlace(t, b)
	e := &counting{EngineStore: p.engine}
	p.env.Engine = e
	tab := table(t, p, num{})
	add := func(from, to int) {
		for i := from; i < to; i++ {
			update(t, p, tab, fmt.Sprint(i), func(v int64) int64 { return v + 1 }, int64(i))
			for _, ok, _ := tab.NextRow(); ok; _, ok, _ = tab.NextRow() {
			}
			if i%100 == 99 {
				p.batch = p.space.Batch()
				must(t, tab.Freeze(unwrapped{p.batch}, &p.log))
				must(t, p.apply(tab))
			}
		}
	}
	add(0, 1000)
	if e.gets != 0 {
		t.Errorf("the engine was asked %d times, and everything is cached", e.gets)
	}
	add(1000, 2000) // forgets some of those before
	if e.gets == 0 {
		t.Errorf("the engine was never asked after rows were forgotten")
	}
	add(0, 1000)
	for i := range 1000 {
		if v, _, _, err := tab.Get(fmt.Sprint(i)); v != 2 || err != nil {
			t.Fatalf("key %d has %d, %v", i, v, err)
		}
	}
}

// TestMemoryIsBounded reads far more rows than the budget has room for: the cache stays near its limit, and hot rows stay.
func TestMemoryIsBounded(t *testing.T) {
	const rows, limit = 40_000, 1 << 20
	for _, long := range []bool{false, true} {
		p := newPlace(t, nil)
		b := state.NewBudget(0, 0, limit)
		p.env.Budget = b
		s := keyValue(t, p, serde.Bytes)
		name := func(i int) string {
			if long {
				return fmt.Sprintf("a key that does not fit into a slot %08d", i)
			}
			return fmt.Sprintf("%08d", i)
		}
		for i := range rows {
			must(t, s.Put(name(i), make([]byte, 50)))
			p.units.Commit()
			if i%1000 == 999 {
				p.commit(t, s)
			}
		}
		if n := b.Total(); n > limit*5/4+1000*200 {
			t.Errorf("caches take %d bytes after writes, 1000 rows a commit; the limit is %d", n, limit)
		}
		must(t, s.Close())
		e := &counting{EngineStore: p.engine}
		p.env.Engine = e
		s = keyValue(t, p, serde.Bytes)
		for i := range rows {
			if v, ok, err := s.Get(name(i)); len(v) != 50 || !ok || err != nil {
				t.Fatal(i, v, ok, err)
			}
			for hot := range 20 {
				if _, _, err := s.Get(name(hot)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if hot := e.gets - rows; hot > 200 {
			t.Errorf("hot keys were loaded %d times", hot)
		}
		if n := b.Total(); n > limit*5/4 {
			t.Errorf("caches take %d bytes, the limit is %d", n, limit)
		}
	}
}

// TestDirtyRowsAreNotEvicted: uncommitted rows outlive any pressure (S1).
func TestDirtyRowsAreNotEvicted(t *testing.T) {
	b := state.NewBudget(1000, 0, 1)
	p := newPlace(t, b)
	tab := table(t, p, num{})
	for i := range 3000 {
		update(t, p, tab, fmt.Sprint(i), func(int64) int64 { return int64(i) }, 1)
	}
	if !b.CommitDue() {
		t.Errorf("no commit due at %d dirty bytes", b.Dirty())
	}
	for i := range 3000 {
		if v, _, ok, err := tab.Get(fmt.Sprint(i)); v != int64(i) || !ok || err != nil {
			t.Fatal(i, v, ok, err)
		}
	}
	if n := len(p.rows(t)); n != 0 {
		t.Errorf("the engine has %d uncommitted rows", n)
	}
}

// TestUpdateAllocatesNothing on hot keys.
func TestUpdateAllocatesNothing(t *testing.T) {
	p := newPlace(t, state.NewBudget(0, 0, 0))
	tab := table(t, p, num{})
	inc := func(v int64) int64 { return v + 1 }
	update(t, p, tab, "k", inc, 1)
	if n := testing.AllocsPerRun(1000, func() { update(t, p, tab, "k", inc, 1) }); n != 0 {
		t.Errorf("%v allocations per update", n)
	}
}

// TestSessionsAreFoundWithoutAllocations in a run that is known.
func TestSessionsAreFoundWithoutAllocations(t *testing.T) {
	spec := state.SessionSpec("s", serde.String, num{}, state.SessionConfig{Retention: 1000})
	p, store := storePlace(t, spec, nil)
	s := store.(*state.SessionTable[string, int64])
	if err := s.Put("k", 10, 20, 1); err != nil {
		t.Fatal(err)
	}
	p.units.Commit()
	found := 0
	look := func() {
		rows, err := s.FindOverlapping("k", 15, 25)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			found++
		}
		rows.Close()
		p.units.Commit()
	}
	look()
	if n := testing.AllocsPerRun(1000, look); n != 0 || found != 1002 {
		t.Errorf("%v allocations per look, %d sessions found, want 0 and 1002", n, found)
	}
}

// update is what a count does with a record.
func update[V any](b testing.TB, p *place, t *state.Table[string, V], k string, next func(V) V, ts int64) {
	e, err := t.Find(k)
	if err != nil {
		b.Fatal(err)
	}
	v, was, ok, err := t.Value(e)
	if err != nil {
		b.Fatal(err)
	}
	old := record.OptOf(v, ok)
	if err := t.Set(e, next(v), max(was, ts)); err != nil {
		b.Fatal(err)
	}
	if err := t.Note(e, old, ts, record.Headers{}); err != nil {
		b.Fatal(err)
	}
	p.units.Commit()
}
