package state_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"pgregory.net/rapid"
)

// The oracle: a store is a map, undo is a copy of the map, an iterator is a sorted list made when it is opened.

type mrow struct {
	val string // encoded
	ts  int64
}

type mnote struct {
	old   record.Opt[string]
	ts    int64
	hdr   string
	order int
}

type world struct {
	rows  map[string]mrow
	notes map[string]mnote
	order int
}

func (w world) clone() world {
	return world{maps.Clone(w.rows), maps.Clone(w.notes), w.order}
}

type miter struct {
	next  func() (string, mrow, bool)
	close func()
	want  []string
	level int // of the unit that opened it
}

// machine runs a table and its model side by side.
type machine[V any] struct {
	t      *rapid.T
	p      *place
	tab    *state.Table[string, V]
	vals   serde.Serde[V]
	draw   *rapid.Generator[V]
	now    world
	saved  []world // at the start of the unit, and of each nested one
	points []record.Savepoint
	iters  []miter
	frozen *world // what the frozen batch will make committed
	disk   world
	folded map[string]mrow // of the changelog
	read   int             // changelog records folded
}

var keyPool = []string{"", "\x00", "a", "a\x00", "ab", "abc", "b", strings.Repeat("k", 22), strings.Repeat("k", 23),
	strings.Repeat("k", 24), strings.Repeat("k", 24) + "z", strings.Repeat("long", 40), "\xff", "\xff\xff", "m1", "m2", "m3", "m4"}

func (m *machine[V]) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine[V]) enc(v V) string {
	b, err := m.vals.Append(nil, v)
	m.must(err)
	return string(b)
}

func (m *machine[V]) key() string { return rapid.SampledFrom(keyPool).Draw(m.t, "key") }

func (m *machine[V]) get(k string) {
	v, ts, ok, err := m.tab.Get(k)
	m.must(err)
	want, has := m.now.rows[k]
	if ok != has || ok && (m.enc(v) != want.val || ts != want.ts) {
		m.t.Fatalf("get %q: %v at %d, there=%v; want %q at %d, there=%v", k, v, ts, ok, want.val, want.ts, has)
	}
}

// update writes or deletes a row, and may note it.
func (m *machine[V]) update() {
	k, ts := m.key(), rapid.Int64Range(0, 99).Draw(m.t, "ts")
	e, err := m.tab.Find(k)
	m.must(err)
	v, _, ok, err := m.tab.Value(e)
	m.must(err)
	old := record.OptOf(v, ok)
	wasOld := record.None[string]()
	if ok {
		wasOld = record.Some(m.enc(v))
	}
	note := rapid.IntRange(0, 2).Draw(m.t, "note") // not, before the update, after it
	var h record.Headers
	if n := rapid.IntRange(0, 2).Draw(m.t, "headers"); note > 0 && n > 0 {
		h = h.With("h", []byte(strings.Repeat("x", n*7)))
	}
	if note == 1 {
		m.tab.NoteRow(e, ts, h)
	}
	if rapid.IntRange(0, 3).Draw(m.t, "delete") == 0 {
		m.must(m.tab.Delete(e, ts))
		delete(m.now.rows, k)
	} else {
		v := m.draw.Draw(m.t, "value")
		m.must(m.tab.Set(e, v, ts))
		m.now.rows[k] = mrow{m.enc(v), ts}
	}
	if note > 0 {
		if note == 2 {
			m.must(m.tab.Note(e, old, ts, h))
		}
		n, had := m.now.notes[k]
		if !had {
			n.old = wasOld
		}
		m.now.order++
		n.ts, n.hdr, n.order = ts, string(h.Raw()), m.now.order
		m.now.notes[k] = n
	}
}

// announce warms keys of which some are looked up then, in this order or another.
func (m *machine[V]) announce() {
	var keys [][]byte
	for range rapid.IntRange(0, state.WarmMost).Draw(m.t, "announced") {
		keys = append(keys, []byte(m.key()))
	}
	m.tab.Warm(keys)
	for _, k := range keys {
		switch rapid.IntRange(0, 3).Draw(m.t, "look up") {
		case 0, 1:
			m.get(string(k))
		case 2:
			m.update()
		}
	}
}

func (m *machine[V]) openIter() {
	reverse := rapid.Bool().Draw(m.t, "reverse")
	var from, to record.Opt[string]
	prefix, byPrefix := "", false
	switch rapid.IntRange(0, 4).Draw(m.t, "bounds") {
	case 0:
		from = record.Some(m.key())
	case 1:
		to = record.Some(m.key())
	case 2:
		from, to = record.Some(m.key()), record.Some(m.key())
	case 3:
		prefix, byPrefix, reverse = m.key(), true, false
	}
	var c *state.Cursor[string, V]
	var err error
	switch {
	case byPrefix:
		c, err = m.tab.Prefix([]byte(prefix))
	case reverse:
		c, err = m.tab.ReverseRange(from, to)
	default:
		c, err = m.tab.Range(from, to)
	}
	m.must(err)
	var want []string
	for k, r := range m.now.rows {
		f, hasF := from.Get()
		t, hasT := to.Get()
		if hasF && k < f || hasT && k > t || !strings.HasPrefix(k, prefix) {
			continue
		}
		want = append(want, fmt.Sprintf("%q=%q@%d", k, r.val, r.ts))
	}
	keys := func(s string) string { var k string; fmt.Sscanf(s, "%q", &k); return k }
	sort.Slice(want, func(i, j int) bool { return (keys(want[i]) < keys(want[j])) != reverse })
	m.iters = append(m.iters, miter{want: want, level: len(m.points), close: c.Close, next: func() (string, mrow, bool) {
		ok := c.Next()
		m.must(c.Err())
		if !ok {
			return "", mrow{}, false
		}
		return c.Key(), mrow{m.enc(c.Value()), c.Time()}, true
	}})
}

func (m *machine[V]) stepIter() {
	if len(m.iters) == 0 {
		return
	}
	it := &m.iters[rapid.IntRange(0, len(m.iters)-1).Draw(m.t, "iter")]
	for range rapid.IntRange(1, 4).Draw(m.t, "steps") {
		k, r, ok := it.next()
		got := fmt.Sprintf("%q=%q@%d", k, r.val, r.ts)
		if !ok && len(it.want) == 0 {
			return
		}
		if !ok || len(it.want) == 0 || got != it.want[0] {
			m.t.Fatalf("iterator gives %s (%v), want %v", got, ok, it.want)
		}
		it.want = it.want[1:]
	}
}

func (m *machine[V]) nested() {
	n := len(m.points)
	switch rapid.IntRange(0, 2).Draw(m.t, "nested") {
	case 0:
		m.points = append(m.points, m.p.units.Begin())
		m.saved = append(m.saved, m.now.clone())
	case 1:
		if n > 0 {
			m.p.units.End(m.points[n-1])
			m.points, m.saved = m.points[:n-1], m.saved[:n]
			for i := range m.iters {
				m.iters[i].level = min(m.iters[i].level, n-1)
			}
		}
	case 2:
		if n > 0 {
			m.p.units.RollbackTo(m.points[n-1])
			m.now = m.saved[n]
			m.points, m.saved = m.points[:n-1], m.saved[:n]
			m.iters = slices.DeleteFunc(m.iters, func(it miter) bool { return it.level >= n })
		}
	}
}

// unit runs one outermost unit.
func (m *machine[V]) unit() {
	m.saved = append(m.saved[:0], m.now.clone())
	for range rapid.IntRange(1, 12).Draw(m.t, "ops") {
		switch rapid.IntRange(0, 8).Draw(m.t, "op") {
		case 8:
			m.announce()
		case 0:
			m.get(m.key())
		case 1:
			m.nested()
		case 2:
			m.openIter()
		case 3:
			m.stepIter()
		default:
			m.update()
		}
	}
	for n := len(m.points); n > 0; n-- {
		m.p.units.End(m.points[n-1])
	}
	m.points = m.points[:0]
	if rapid.IntRange(0, 2).Draw(m.t, "fails") == 0 {
		m.p.units.Rollback()
		m.now = m.saved[0]
	} else {
		m.p.units.Commit()
	}
	m.iters = nil
}

func (m *machine[V]) drain() {
	var want []string
	keys := slices.SortedFunc(maps.Keys(m.now.notes), func(a, b string) int { return m.now.notes[a].order - m.now.notes[b].order })
	for _, k := range keys {
		n := m.now.notes[k]
		r, ok := m.now.rows[k]
		if ok || n.old.IsSome() {
			want = append(want, fmt.Sprintf("%q new %v old %v at %d %q", k, record.OptOf(r.val, ok), n.old, n.ts, n.hdr))
		}
	}
	take := rapid.IntRange(0, len(want)+1).Draw(m.t, "rows")
	for n := 0; n < take; n++ {
		row, ok, err := m.tab.NextRow()
		m.must(err)
		if !ok {
			if n != len(want) {
				m.t.Fatalf("drain ends after %d rows, want %q", n, want)
			}
			m.now.notes = map[string]mnote{}
			return
		}
		opt := func(o record.Opt[V]) record.Opt[string] {
			if v, ok := o.Get(); ok {
				return record.Some(m.enc(v))
			}
			return record.None[string]()
		}
		got := fmt.Sprintf("%q new %v old %v at %d %q", row.Key, opt(row.New), opt(row.Old), row.Time, row.Headers.Raw())
		if n >= len(want) || got != want[n] {
			m.t.Fatalf("drain gives %s, want %q", got, want[n:])
		}
		delete(m.now.notes, row.Key)
		for _, k := range keys { // those that are skipped before it
			if k == row.Key {
				break
			}
			delete(m.now.notes, k)
		}
	}
}

func (m *machine[V]) freeze() {
	if m.frozen != nil {
		return
	}
	m.must(m.p.freeze(m.tab))
	w := m.now.clone()
	m.frozen = &w
	if m.tab.DirtyBytes() != 0 {
		m.t.Fatalf("%d dirty bytes after a freeze", m.tab.DirtyBytes())
	}
	var last string
	for i, r := range m.p.log.recs[m.read:] {
		if i > 0 && string(r.Key) <= last {
			m.t.Fatalf("changelog: %q after %q", r.Key, last)
		}
		last = string(r.Key)
		if r.Value == nil {
			if _, ok := m.folded[last]; !ok && m.read+i == 0 {
				m.t.Fatalf("tombstone of %q, which was never there", last)
			}
			delete(m.folded, last)
		} else {
			m.folded[last] = mrow{string(r.Value), r.Time}
		}
	}
	m.read = len(m.p.log.recs)
	if !maps.Equal(m.folded, m.now.rows) {
		m.t.Fatalf("changelog folds to %v, want %v", m.folded, m.now.rows)
	}
}

func (m *machine[V]) apply() {
	if m.frozen == nil {
		return
	}
	m.must(m.p.apply(m.tab))
	m.disk, m.frozen = *m.frozen, nil
	want := map[string]string{}
	for k, r := range m.disk.rows {
		want[k] = string(binary.BigEndian.AppendUint64(nil, uint64(r.ts))) + r.val
	}
	if got := m.p.rows(m.p.tb()); !maps.Equal(got, want) {
		m.t.Fatalf("engine holds %q, want %q", got, want)
	}
}

func (m *machine[V]) reset() {
	m.tab.Reset()
	if m.frozen != nil {
		m.p.batch.Discard()
	}
	m.frozen = nil
	m.now = world{maps.Clone(m.disk.rows), map[string]mnote{}, 0}
	m.folded = maps.Clone(m.disk.rows)
	if n := m.tab.Noted() + m.tab.DirtyBytes(); n != 0 {
		m.t.Fatalf("%d notes and dirty bytes after a reset", n)
	}
}

// whole compares everything.
func (m *machine[V]) whole() {
	c, err := m.tab.All()
	m.must(err)
	got := map[string]mrow{}
	for k, v := range c.Seq() {
		got[k] = mrow{m.enc(v), c.Time()}
	}
	m.must(c.Err())
	if !maps.Equal(got, m.now.rows) {
		m.t.Fatalf("store holds %v, want %v", got, m.now.rows)
	}
	m.p.units.Commit()
}

func testTable[V any](t *testing.T, vals serde.Serde[V], draw *rapid.Generator[V]) {
	rapid.Check(t, func(rt *rapid.T) {
		limit := rapid.SampledFrom([]int64{0, 1}).Draw(rt, "cache limit")
		b := state.NewBudget(0, 0, limit)
		b.KeepLeast(3)
		p := newPlace(t, b)
		p.test = t
		m := &machine[V]{t: rt, p: p, tab: table(t, p, vals), vals: vals, draw: draw, folded: map[string]mrow{}}
		m.now = world{map[string]mrow{}, map[string]mnote{}, 0}
		m.disk = m.now.clone()
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			switch rapid.IntRange(0, 9).Draw(rt, "step") {
			case 0:
				m.freeze()
			case 1:
				m.apply()
			case 2:
				m.drain()
			case 3:
				if rapid.IntRange(0, 3).Draw(rt, "reset") == 0 {
					m.reset()
				}
			case 4:
				m.whole()
			default:
				m.unit()
			}
		}
		m.whole()
		m.must(errors.Join(m.tab.Close()))
		if b.Dirty() != 0 || b.Buffered() != 0 || b.Total() != 0 {
			rt.Fatalf("after close the budget counts %d dirty, %d buffered, %d in all", b.Dirty(), b.Buffered(), b.Total())
		}
	})
}

func TestTableAgainstModel(t *testing.T) {
	small := rapid.StringN(0, 40, -1)
	t.Run("fixed", func(t *testing.T) { testTable(t, num{}, rapid.Int64()) })
	t.Run("string", func(t *testing.T) { testTable(t, serde.String, small) })
	t.Run("bytes", func(t *testing.T) { testTable(t, serde.Bytes, rapid.SliceOfN(rapid.Byte(), 0, 60)) })
	t.Run("view", func(t *testing.T) { testTable(t, serde.BytesView, rapid.SliceOfN(rapid.Byte(), 0, 60)) })
	t.Run("flat", func(t *testing.T) {
		testTable(t, asJSON[flat]{}, rapid.Custom(func(t *rapid.T) flat {
			return flat{small.Draw(t, "name"), rapid.Float64Range(0, 9).Draw(t, "rate"), [2]string{small.Draw(t, "tag")}}
		}))
	})
	deeps := rapid.Custom(func(t *rapid.T) *deep { return &deep{List: rapid.SliceOfN(rapid.Int(), 0, 5).Draw(t, "list")} })
	t.Run("encoded", func(t *testing.T) { testTable(t, asJSON[*deep]{}, deeps) })
	t.Run("cloned", func(t *testing.T) { testTable[*deep](t, cloning{}, deeps) })
}
