package state_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// TestWarmIsAHint warms keys that are cached, deleted, unknown, null and long, in a small cache, between updates.
func TestWarmIsAHint(t *testing.T) {
	run := func(warm bool) (rows string, total int64) {
		b := state.NewBudget(64<<10, 0, 0)
		p := newPlace(t, b)
		nums := table(t, p, num{})
		texts := table(t, newPlace(t, nil), serde.Bytes)
		name := func(i int) string { return fmt.Sprint("key", i, strings.Repeat("x", i%3*20)) }
		var out strings.Builder
		for i := range 3000 {
			if warm {
				keys := [][]byte{nil, {}}
				for j := range 20 { // more than one call takes
					keys = append(keys, []byte(name((i*7+j*13)%900)))
				}
				nums.Warm(keys)
				texts.Warm(keys)
				nums.Warm(nil)
			}
			k := name(i * 31 % 700)
			update(t, p, nums, k, func(v int64) int64 { return v + 1 }, int64(i))
			e, err := texts.Find(k)
			if err != nil {
				t.Fatal(err)
			}
			if i%5 == 0 {
				err = texts.Delete(e, int64(i))
			} else {
				err = texts.Set(e, bytes.Repeat([]byte{byte(i)}, i%400), int64(i))
			}
			if err != nil {
				t.Fatal(err)
			}
			v, ts, ok, err := texts.Get(name(i * 17 % 800))
			fmt.Fprintln(&out, v, ts, ok, err)
			n, ts, ok, err := nums.Get(name(i * 17 % 800))
			fmt.Fprintln(&out, n, ts, ok, err)
		}
		return out.String(), int64(nums.DirtyBytes())
	}
	cold, coldDirty := run(false)
	warm, warmDirty := run(true)
	if cold != warm || coldDirty != warmDirty {
		t.Fatalf("warming keys changed what a store holds (dirty %d and %d bytes)", coldDirty, warmDirty)
	}
}

// TestReaderKeepsItsView shows that a view lives until the next call of its own reader, whatever happens to the row.
func TestReaderKeepsItsView(t *testing.T) {
	p := newPlace(t, state.NewBudget(1<<10, 0, 0))
	tab, err := state.OpenTable(&p.env, serde.BytesView, serde.BytesView)
	if err != nil {
		t.Fatal(err)
	}
	set := func(k, v string) {
		e, err := tab.Find([]byte(k))
		if err != nil {
			t.Fatal(err)
		}
		if err := tab.Set(e, []byte(v), 7); err != nil {
			t.Fatal(err)
		}
	}
	set("a", "first")
	set("b", "")
	one, two := tab.Reader(), tab.Reader()
	v, ts, ok, err := one([]byte("a"))
	if string(v) != "first" || ts != 7 || !ok || err != nil {
		t.Fatalf("a: %q, %d, %v, %v", v, ts, ok, err)
	}
	w, _, ok, err := two([]byte("b"))
	if w == nil || len(w) != 0 || !ok || err != nil {
		t.Fatalf("b: %q, %v, %v", w, ok, err)
	}
	if _, _, ok, err := two([]byte("c")); ok || err != nil {
		t.Fatalf("c, which is not there: %v, %v", ok, err)
	}
	set("a", "other")
	for i := range 500 {
		set(fmt.Sprint("k", i), "fills the arena")
	}
	p.units.Commit()
	if string(v) != "first" {
		t.Fatalf("the view of a became %q", v)
	}
	k := []byte("a")
	if n := testing.AllocsPerRun(100, func() { _, _, _, _ = one(k) }); n != 0 {
		t.Fatalf("a read allocates %v times", n)
	}
}

// TestRowsShowViews shows that a row of views lives until the next one is taken, and that taking it allocates nothing.
func TestRowsShowViews(t *testing.T) {
	p := newPlace(t, nil)
	tab, err := state.OpenTable(&p.env, serde.BytesView, serde.BytesView)
	if err != nil {
		t.Fatal(err)
	}
	const rows = 400
	keys := make([][]byte, rows)
	for i := range keys {
		keys[i] = fmt.Append(nil, "key", i)
	}
	write := func(i int, v []byte, old record.Opt[[]byte]) {
		e, err := tab.Find(keys[i])
		if err == nil {
			err = tab.Note(e, old, int64(i), record.Headers{})
		}
		if err == nil {
			err = tab.Set(e, v, int64(i))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range rows {
		write(i, keys[i][:i%6], record.Some(keys[i]))
	}
	p.units.Commit()
	i := 0
	take := func() {
		row, ok, err := tab.NextRow()
		if !ok || err != nil {
			t.Fatalf("row %d: %v, %v", i, ok, err)
		}
		if i%7 == 0 { // the row is written while it is looked at
			write(i, bytes.Repeat([]byte("z"), 50), record.None[[]byte]())
			p.units.Commit()
		}
		v, _ := row.New.Get()
		old, _ := row.Old.Get()
		if !bytes.Equal(row.Key, keys[i]) || !bytes.Equal(v, keys[i][:i%6]) || v == nil || !bytes.Equal(old, keys[i]) {
			t.Fatalf("row %d: %q, %q, was %q", i, row.Key, v, old)
		}
		i++
	}
	for range 8 {
		take()
	}
	if n := testing.AllocsPerRun(5, take); n != 0 {
		t.Fatalf("a row allocates %v times", n)
	}
	for i < rows {
		take()
	}
}
