package state

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestFlatType(t *testing.T) {
	type inner struct {
		A int
		s string
	}
	type nested struct {
		N  inner
		Xs [3]inner
		f  float64
	}
	for _, c := range []struct {
		v    any
		flat bool
		strs int
	}{
		{int64(0), true, 0}, {"", true, 1}, {[16]byte{}, true, 0}, {nested{}, true, 4}, {struct{}{}, true, 0},
		{[0]string{}, true, 0}, {[40]string{}, false, 0},
		{[]byte{}, false, 0}, {&inner{}, false, 0}, {map[string]int{}, false, 0}, {time.Time{}, false, 0},
		{struct{ X any }{}, false, 0}, {[2][]int{}, false, 0}, {func() {}, false, 0}, {struct{ c chan int }{}, false, 0},
	} {
		strs, flat := flatType(reflect.TypeOf(c.v))
		if flat != c.flat || flat && len(strs) != c.strs {
			t.Errorf("%T: flat %v with %d strings, want %v with %d", c.v, flat, len(strs), c.flat, c.strs)
		}
	}
	v := nested{N: inner{1, "ab"}, Xs: [3]inner{{s: "c"}, {}, {s: "def"}}}
	strs, _ := flatType(reflect.TypeFor[nested]())
	if n := stringBytes(&v, strs); n != 6 {
		t.Errorf("%d bytes of strings, want 6", n)
	}
}

func TestSortByKey(t *testing.T) {
	for _, n := range []int{0, 1, 2, 100, 127, 128, 1000, 30_000} {
		for name, key := range map[string]func(r *rand.Rand) []byte{
			"any":    func(r *rand.Rand) []byte { return randomBytes(r, r.IntN(12)) },
			"prefix": func(r *rand.Rand) []byte { return fmt.Appendf(nil, "a common prefix %d", r.IntN(1_000_000)) },
			"zeroes": func(r *rand.Rand) []byte { return make([]byte, r.IntN(20)) },
			"tails": func(r *rand.Rand) []byte {
				return fmt.Appendf(nil, "%d-a long part in the middle-%d", r.IntN(3), r.IntN(99))
			},
		} {
			r := rand.New(rand.NewPCG(1, uint64(n)))
			keys := make([][]byte, n)
			ids := make([]uint32, n)
			for i := range keys {
				keys[i], ids[i] = key(r), uint32(i)
			}
			sortByKey(ids, func(i uint32) []byte { return keys[i] })
			if !slices.IsSortedFunc(ids, func(a, b uint32) int { return bytes.Compare(keys[a], keys[b]) }) {
				t.Errorf("%d keys %q are not sorted", n, name)
			}
			slices.Sort(ids)
			for i, id := range ids {
				if id != uint32(i) {
					t.Fatalf("%d keys %q: %d is lost", n, name, i)
				}
			}
		}
	}
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.IntN(3)) * 127
	}
	return b
}

// TestArena puts and releases spans of any size: none overlap, and what is released is used again.
func TestArena(t *testing.T) {
	for u := uint32(1); u < 1<<20; u = u*9/8 + 1 {
		cls, size := class(u)
		if c2, s2 := class(size); size < u || size > u+u/4+1 || cls != c2 || size != s2 || cls >= classes {
			t.Fatalf("%d units: class %d of %d units; those are class %d of %d", u, cls, size, c2, s2)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		var a arena
		held := map[span][]byte{}
		live := int64(0)
		for range rapid.IntRange(1, 60).Draw(t, "ops") {
			if rapid.IntRange(0, 2).Draw(t, "op") == 0 && len(held) > 0 {
				for s := range held {
					a.release(s)
					live -= int64(s.n)
					delete(held, s)
					break
				}
				continue
			}
			n := rapid.SampledFrom([]int{0, 1, 8, 9, 64, 65, 200, 5000, 100_000, 300_000, 600_000}).Draw(t, "size")
			b := bytes.Repeat([]byte{byte(len(held) + 1)}, n)
			s := a.put(b)
			if n > 0 {
				held[s] = b
				live += int64(n)
			}
		}
		for s, b := range held {
			if !bytes.Equal(a.bytes(s), b) {
				t.Fatalf("span %v is overwritten", s)
			}
		}
		if a.live < live || a.live > live*5/4+int64(len(held))*16 {
			t.Fatalf("%d bytes live by the arena's count, %d held", a.live, live)
		}
	})
}
