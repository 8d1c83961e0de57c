package state_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/memstore"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// storePlace is a task with one store of a spec.
func storePlace(t testing.TB, spec state.Spec, b *state.Budget) (*place, state.Store) {
	t.Helper()
	p := &place{test: t}
	id := record.TaskID{Sub: 0, Partition: 3}
	var err error
	if p.space, err = memstore.New().Space(id); err != nil {
		t.Fatal(err)
	}
	if p.engine, err = p.space.Store("s", spec.Kind); err != nil {
		t.Fatal(err)
	}
	p.env = state.Env{Task: id, Units: &p.units, Engine: p.engine, Budget: b, Time: &p.time}
	s, err := spec.Open(&p.env)
	if err != nil {
		t.Fatal(err)
	}
	return p, s
}

// windows shows the rest of a cursor: key@start-end=value.
func windows[V any](t testing.TB, c *state.Cursor[record.Windowed[string], V], err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for c.Next() {
		k := c.Key()
		fmt.Fprintf(&b, "%s@%d-%d=%v ", k.Key, k.Start.UnixMilli(), k.End.UnixMilli(), c.Value())
	}
	if c.Err() != nil {
		t.Fatal(c.Err())
	}
	return strings.TrimSpace(b.String())
}

func setWindow(t testing.TB, w *state.WindowTable[string, int64], k string, start, v int64) {
	t.Helper()
	e, err := w.FindWindow(k, start)
	if err = errors.Join(err, w.Set(e, v, start)); err != nil {
		t.Fatal(err)
	}
}

func logKeys(p *place) (keys []string) {
	for _, r := range p.log.recs {
		keys = append(keys, hex.EncodeToString(r.Key))
	}
	return keys
}

// A row is found as long as its start is later than stream time - retention, and stream time is undone with its unit.
func TestWindowRetention(t *testing.T) {
	const minute = 60_000
	spec := state.WindowSpec("s", serde.String, num{}, state.WindowConfig{Size: minute, Retention: 5 * minute})
	if got := spec.TopicConfig["cleanup.policy"] + " " + spec.TopicConfig["retention.ms"]; got != "compact,delete 86700000" {
		t.Errorf("changelog configuration %s", got)
	}
	p, s := storePlace(t, spec, nil)
	w := s.(*state.WindowTable[string, int64])
	setWindow(t, w, "a", 0, 1)
	setWindow(t, w, "b", minute, 2)
	setWindow(t, w, "a", 4*minute, 3)
	p.units.Commit()
	p.commit(t, w)
	if got := fmt.Sprint(logKeys(p)); got != "[610000000000000000"+"00000000 62000000000000ea60"+"00000000 61000000000003a980"+"00000000]" {
		t.Errorf("changelog keys %s", got)
	}
	const all = "a@0-60000=1 b@60000-120000=2 a@240000-300000=3"
	c, err := w.FetchAll(0, math.MaxInt64)
	if got := windows(t, c, err); got != all {
		t.Errorf("all: %s", got)
	}
	p.units.Commit()

	setWindow(t, w, "a", 5*minute, 4) // what starts at 0 is not visible any more
	if _, _, ok, err := w.Get(record.MakeWindowed("a", 0, minute)); ok || err != nil {
		t.Errorf("the expired row is there: %v %v", ok, err)
	}
	c, err = w.Fetch("a", 0, math.MaxInt64, true)
	if got := windows(t, c, err); got != "a@300000-360000=4 a@240000-300000=3" {
		t.Errorf("reverse: %s", got)
	}
	setWindow(t, w, "a", 0, 9) // does nothing
	p.units.Rollback()
	c, err = w.FetchAll(0, math.MaxInt64)
	if got := windows(t, c, err); got != all {
		t.Errorf("after the unit was undone: %s", got)
	}
	p.units.Commit()

	n := len(p.log.recs)
	setWindow(t, w, "c", 20*minute, 5)
	p.units.Commit()
	p.commit(t, w)
	if rows := p.rows(t); len(rows) != 2 || len(p.log.recs) != n+1 { // the row and the stream time
		t.Errorf("the engine has %d rows, the changelog %d more records", len(rows), len(p.log.recs)-n)
	}
}

// The engine of a store that was restored answers as the one it was restored from.
func TestWindowRestore(t *testing.T) {
	spec := state.SessionSpec("s", serde.String, num{}, state.SessionConfig{Retention: 200_000})
	p, s := storePlace(t, spec, nil)
	w := s.(*state.SessionTable[string, int64])
	for i := range int64(9) {
		e, err := w.FindSession("k", i*50_000, i*50_000+i)
		if err = errors.Join(err, w.Set(e, i, i)); err != nil {
			t.Fatal(err)
		}
		p.units.Commit()
		p.commit(t, w)
	}
	q, s2 := storePlace(t, spec, nil)
	r := state.NewRestorer(q.engine, &spec, state.StoredOffset{}, 1)
	for i, rec := range p.log.recs {
		rec.Offset = int64(i)
		if err := r.Add(rec, 0); err != nil {
			t.Fatal(err)
		}
	}
	s2.Close()
	s2, err := spec.Open(&q.env)
	if err = errors.Join(err, r.Finish(state.StoredOffset{Changelog: 9})); err != nil {
		t.Fatal(err)
	}
	if s2, err = spec.Open(&q.env); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*state.SessionTable[string, int64]{w, s2.(*state.SessionTable[string, int64])} {
		c, err := s.FindOverlapping("k", 0, 350_000)
		if got := windows(t, c, err); got != "k@250000-250005=5 k@300000-300006=6 k@350000-350007=7" {
			t.Errorf("got %s", got)
		}
	}
}

func TestJoinStoreKeepsDuplicates(t *testing.T) {
	spec := state.JoinStoreSpec("s", serde.String, serde.String, state.WindowConfig{Size: 10, Retention: 100})
	p, s := storePlace(t, spec, nil)
	j := s.(*state.JoinStore[string, string])
	show := func() string {
		c, err := j.Fetch("k", 5, 20)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for c.Next() {
			fmt.Fprintf(&b, "%d%s ", c.Time(), c.Value())
		}
		if c.Err() != nil {
			t.Fatal(c.Err())
		}
		return b.String()
	}
	for i, v := range []string{"a", "b", "c", "d"} {
		if err := j.Put("k", []int64{20, 5, 5, 21}[i], v); err != nil {
			t.Fatal(err)
		}
		p.units.Commit()
		if i%2 == 1 {
			p.commit(t, j)
		}
	}
	if err := errors.Join(j.Put("k", 5, "e"), j.Put("kk", 5, "x")); err != nil {
		t.Fatal(err)
	}
	if got := show(); got != "5b 5c 5e 20a " {
		t.Errorf("got %s", got)
	}
	p.units.Rollback()
	if got := show(); got != "5b 5c 20a " {
		t.Errorf("after the unit was undone: %s", got)
	}
}
