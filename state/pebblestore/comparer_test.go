package pebblestore

import (
	"bytes"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"pgregory.net/rapid"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

var allKinds = []state.Kind{state.KindKeyValue, state.KindWindow, state.KindSession, state.KindVersioned, state.KindBuffer}

// drawAnyKey draws a key of a store, a prefix of one, a record, a bound, or bytes that are none of these: Pebble compares
// whatever separators it has made.
func drawAnyKey(t *rapid.T, label string) []byte {
	alphabet := []byte{0, 1, 9, 13, 17, 'a', 0xfe, 0xff}
	if rapid.IntRange(0, 9).Draw(t, label+" wild") == 0 {
		return rapid.SliceOfN(rapid.SampledFrom(alphabet), 1, 20).Draw(t, label)
	}
	kind := rapid.SampledFrom(append([]state.Kind{kindRecord}, allKinds...)).Draw(t, label+" kind")
	id := record.TaskID{Partition: rapid.Int32Range(0, 1).Draw(t, label+" partition")}
	p := makePrefix(id, uint32(rapid.IntRange(1, 2).Draw(t, label+" store")), byte(kind))
	user := rapid.SliceOfN(rapid.SampledFrom(alphabet), 0, 4).Draw(t, label)
	suffix := make([]byte, kind.SuffixLen())
	for i := range suffix {
		if i == 0 || i == len(suffix)-1 {
			suffix[i] = rapid.SampledFrom(alphabet).Draw(t, label+" suffix")
		}
	}
	key := appendKey(nil, &p, kind.SuffixLen(), append(user, suffix...))
	switch rapid.IntRange(0, 5).Draw(t, label+" form") {
	case 0:
		return key[:comparer.Split(key)]
	case 1:
		return append(key, rapid.SampledFrom(alphabet).Draw(t, label+" more"))
	}
	return key
}

func sign(n int) int { return max(-1, min(1, n)) }

// What Pebble asks of a comparer (its base.Comparer, and what its own checker tries).
func TestComparerLaws(t *testing.T) {
	c := comparer
	rapid.Check(t, func(t *rapid.T) {
		a, b, d := drawAnyKey(t, "a"), drawAnyKey(t, "b"), drawAnyKey(t, "d")
		ab, bd, ad := sign(c.Compare(a, b)), sign(c.Compare(b, d)), sign(c.Compare(a, d))

		// A total order.
		if c.Compare(a, a) != 0 || sign(c.Compare(b, a)) != -ab || ab <= 0 && bd <= 0 && ad > 0 {
			t.Fatalf("no order: a?b %d, b?d %d, a?d %d", ab, bd, ad)
		}
		if c.Equal(a, b) != (ab == 0) {
			t.Fatalf("equal %v, compare %d", c.Equal(a, b), ab)
		}
		// It is that of prefix, then suffix.
		na, nb := c.Split(a), c.Split(b)
		want := bytes.Compare(a[:na], b[:nb])
		if want == 0 {
			want = c.ComparePointSuffixes(a[na:], b[nb:])
		}
		if ab != sign(want) || c.CompareRangeSuffixes(a[na:], b[nb:]) != c.ComparePointSuffixes(a[na:], b[nb:]) {
			t.Fatalf("compare %d, by prefix and suffix %d", ab, want)
		}
		// A prefix is a key without suffix, and comes before its keys.
		if c.Split(a[:na]) != na || c.Compare(a[:na], a) > 0 || na < len(a) && c.Compare(a[:na], a) == 0 {
			t.Fatalf("prefix %x of %x", a[:na], a)
		}
		if x, y := c.AbbreviatedKey(a), c.AbbreviatedKey(b); x < y && ab >= 0 || x > y && ab <= 0 {
			t.Fatalf("abbreviated %x and %x, compare %d", x, y, ab)
		}
		dst := []byte("dst")
		if ab < 0 {
			s := c.Separator(slices.Clone(dst), a, b)
			if !bytes.HasPrefix(s, dst) || c.Compare(a, s[3:]) > 0 || c.Compare(s[3:], b) >= 0 {
				t.Fatalf("separator %x", s[3:])
			}
		}
		s := c.Successor(slices.Clone(dst), a)
		if !bytes.HasPrefix(s, dst) || c.Compare(a, s[3:]) > 0 {
			t.Fatalf("successor %x", s[3:])
		}
		// The immediate successor of a prefix is the least prefix behind it, and behind all keys that have that prefix.
		i := c.ImmediateSuccessor(slices.Clone(dst), a[:na])[3:]
		if c.Split(i) != len(i) || c.Compare(a[:na], i) >= 0 || c.Compare(a, i) >= 0 {
			t.Fatalf("immediate successor %x of %x", i, a[:na])
		}
		if p := b[:nb]; c.Compare(a[:na], p) < 0 && c.Compare(p, i) < 0 {
			t.Fatalf("%x lies between prefix %x and its immediate successor %x", p, a[:na], i)
		}
	})
}

// The order of database keys is the order that the seam promises, and keys come back as they were.
func TestKeyLayout(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom(allKinds).Draw(t, "kind")
		n := kind.SuffixLen()
		draw := func(label string) []byte {
			return rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 9, 13, 17, 'a', 0xff}), n, n+4).Draw(t, label)
		}
		a, b := draw("a"), draw("b")
		p := makePrefix(record.TaskID{Sub: 1, Partition: 2}, 3, byte(kind))
		ka, kb := appendKey(nil, &p, n, a), appendKey(nil, &p, n, b)
		if got, want := sign(compare(ka, kb)), sign(kind.Compare(a, b)); got != want {
			t.Fatalf("order %d, want %d", got, want)
		}
		if len(ka) != encodedLen(n, a) || !bytes.Equal(storeKey(new([]byte), n, ka), a) {
			t.Fatalf("key %x became %x", a, ka)
		}
		if at := split(ka); n > 0 && at != len(ka)-n-1 || n == 0 && at != len(ka) {
			t.Fatalf("split of %x at %d", ka, at)
		}
		end := makePrefix(record.TaskID{Sub: 1, Partition: 2}, 3, byte(kind)+1)
		if compare(p[:], ka) > 0 || compare(ka, end[:]) >= 0 {
			t.Fatalf("key %x is not within the bounds of its store", ka)
		}
		lower, upper := taskRange(record.TaskID{Sub: 1, Partition: 2})
		if compare(lower, ka) > 0 || compare(ka, upper) >= 0 {
			t.Fatalf("key %x is not within the bounds of its task", ka)
		}
	})
}

// Names and numbers on disk. A change here is a new format.
func TestFormatIsPinned(t *testing.T) {
	if comparer.Name != "oxbow.1" || engineFormat != 1 || storeFormat != 1 || pebbleFormat != pebble.FormatFlushableIngestExcises {
		t.Error("the format has changed: say how state of the old one is read or refused")
	}
	p := makePrefix(record.TaskID{Sub: 1, Partition: 2}, 3, byte(state.KindWindow))
	got := appendKey(nil, &p, 12, []byte("key12345678abcd"))
	want := "\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x03\x02key\x0012345678abcd\x0d"
	if string(got) != want {
		t.Errorf("window key %q, want %q", got, want)
	}
	rec := storeRecord{format: 1, kind: state.KindKeyValue, hasOffset: true, offset: state.StoredOffset{Changelog: 5, BrokerTime: 6, Position: []byte("p")}}
	b := make([]byte, rec.len())
	rec.put(b)
	if want := "\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x06p"; string(b) != want {
		t.Errorf("record %q, want %q", b, want)
	}
	if r, err := parseRecord(b); err != nil || r.kind != rec.kind || !r.hasOffset || r.offset.Changelog != 5 || string(r.offset.Position) != "p" {
		t.Errorf("record came back as %+v, %v", r, err)
	}
}
