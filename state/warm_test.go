package state_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

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
