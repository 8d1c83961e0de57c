package storetest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

var task0 = record.TaskID{Sub: 0, Partition: 3}

// opened is an engine with one space and one store in it.
type opened struct {
	state.Engine
	space state.Space
	store state.EngineStore
}

func open(t *testing.T, p Place, kind state.Kind) opened {
	t.Helper()
	e, err := p.Open()
	must(t, err)
	s, err := e.Space(task0)
	must(t, err)
	es, err := s.Store("s", kind)
	must(t, err)
	return opened{e, s, es}
}

func (o opened) close(t *testing.T) {
	t.Helper()
	must(t, o.space.Close())
	must(t, o.Engine.Close())
}

// put commits one value under keys "000".."nnn" together with an offset.
func (o opened) put(t *testing.T, n int, value string, offset int64) {
	t.Helper()
	b := o.space.Batch()
	for i := range n {
		must(t, b.Set(o.store, fmt.Appendf(nil, "%03d", i), []byte(value)))
	}
	must(t, b.SetOffset("s", state.StoredOffset{Changelog: offset}))
	must(t, b.Commit())
}

func (o opened) rows(t *testing.T) []row {
	t.Helper()
	it, err := o.store.Iter(nil, nil, false)
	must(t, err)
	rows, err := collect(it)
	must(t, err)
	return rows
}

// An iterator over many keys (more than one node or block) is opened, then the store is rewritten, cut and wiped.
func testSnapshot(t *testing.T, place func() Place) {
	for _, reverse := range []bool{false, true} {
		o := open(t, place(), state.KindKeyValue)
		o.put(t, 900, "old", 1)
		it, err := o.store.Iter(nil, nil, reverse)
		must(t, err)
		n := 0
		step := func() {
			for range 200 {
				if !it.Next() {
					t.Fatalf("iterator ended at row %d: %v", n, it.Err())
				}
				want := n
				if reverse {
					want = 899 - n
				}
				if string(it.Key()) != fmt.Sprintf("%03d", want) || string(it.Value()) != "old" {
					t.Fatalf("row %d, reverse %v: got %s=%s", n, reverse, it.Key(), it.Value())
				}
				n++
			}
		}
		step()
		o.put(t, 950, "new", 2)
		step()
		b := o.space.Batch()
		must(t, b.DeleteRange(o.store, []byte("100"), []byte("800")))
		must(t, b.Commit())
		step()
		must(t, o.space.Wipe())
		step()
		must(t, it.Close())
		if rows := o.rows(t); len(rows) != 0 {
			t.Fatalf("%d rows after a wipe", len(rows))
		}
		o.close(t)
	}
}

// Readers run beside a writer: every scan sees one value in all rows, and offsets and values only grow.
func testVisibility(t *testing.T, place func() Place) {
	o := open(t, place(), state.KindKeyValue)
	const rows, commits = 200, 60
	write := func(i int) error {
		v := binary.BigEndian.AppendUint64(nil, uint64(i))
		if i%10 == 9 {
			in, err := o.store.Ingester()
			if err != nil {
				return err
			}
			for r := range rows {
				if err := in.Add(fmt.Appendf(nil, "%03d", r), v); err != nil {
					return err
				}
			}
			return in.Finish(state.StoredOffset{Changelog: int64(i)})
		}
		b := o.space.Batch()
		for r := range rows {
			if err := b.Set(o.store, fmt.Appendf(nil, "%03d", r), v); err != nil {
				return err
			}
		}
		if err := b.SetOffset("s", state.StoredOffset{Changelog: int64(i)}); err != nil {
			return err
		}
		return b.Commit()
	}
	must(t, write(0))
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := readWhole(o, rows, done); err != nil {
				t.Error(err)
			}
		})
	}
	for i := 1; i < commits; i++ {
		if err := write(i); err != nil {
			t.Error(err)
			break
		}
	}
	close(done)
	wg.Wait()
	o.close(t)
}

func readWhole(o opened, rows int, done chan struct{}) error {
	var last []byte
	for {
		select {
		case <-done:
			return nil
		default:
		}
		before, _, err := o.space.Offset("s")
		if err != nil {
			return err
		}
		it, err := o.store.Iter(nil, nil, false)
		if err != nil {
			return err
		}
		got, err := collect(it)
		if err != nil {
			return err
		}
		if len(got) != rows {
			return fmt.Errorf("a scan saw %d rows, want %d", len(got), rows)
		}
		for _, r := range got {
			if !bytes.Equal(r.value, got[0].value) {
				return fmt.Errorf("a scan saw two commits: %v and %v", got[0], r)
			}
		}
		v, ok, err := o.store.Get(nil, []byte("007"))
		if err != nil || !ok {
			return fmt.Errorf("get: %v %w", ok, err)
		}
		if bytes.Compare(got[0].value, last) < 0 || bytes.Compare(v, got[0].value) < 0 {
			return fmt.Errorf("time went back: scan %x after %x, then get %x", got[0].value, last, v)
		}
		if at := binary.BigEndian.Uint64(got[0].value); at < uint64(before.Changelog) {
			return fmt.Errorf("offset %d was visible before its data (%d)", before.Changelog, at)
		}
		last = v
	}
}

// Keys that are prefixes of each other, empty keys, keys of 0xff, and their neighbours in the next store.
func testBounds(t *testing.T, place func() Place) {
	o := open(t, place(), state.KindKeyValue)
	other, err := o.space.Store("t", state.KindKeyValue)
	must(t, err)
	keys := []string{"", "\x00", "a", "a\x00", "ab", "b", "\xff", "\xff\xff"}
	b := o.space.Batch()
	for _, k := range keys {
		must(t, b.Set(o.store, []byte(k), []byte("v"+k)))
		must(t, b.Set(other, []byte(k), []byte("w")))
	}
	must(t, b.Commit())
	scan := func(lower, upper []byte, want ...string) {
		t.Helper()
		for _, reverse := range []bool{false, true} {
			it, err := o.store.Iter(lower, upper, reverse)
			must(t, err)
			got, err := collect(it)
			must(t, err)
			var rows []row
			for i := range want {
				k := want[i]
				if reverse {
					k = want[len(want)-1-i]
				}
				rows = append(rows, row{[]byte(k), []byte("v" + k)})
			}
			if d := diff(got, rows); d != "" {
				t.Errorf("[%q, %q) reverse %v: %s", lower, upper, reverse, d)
			}
		}
	}
	scan(nil, nil, keys...)
	scan([]byte{}, nil, keys...)
	scan(nil, []byte{})
	scan([]byte("a"), []byte("b"), "a", "a\x00", "ab")
	scan([]byte("b"), []byte("a"))
	scan([]byte("a"), []byte("a"))
	scan([]byte("a"), state.PrefixEnd([]byte("a")), "a", "a\x00", "ab")
	scan([]byte("\xff"), state.PrefixEnd([]byte("\xff")), "\xff", "\xff\xff")
	scan([]byte("\xff\xff\xff"), nil)
	scan(nil, []byte("\x00"), "")

	b = o.space.Batch()
	must(t, b.DeleteRange(o.store, nil, []byte("b")))
	must(t, b.Set(o.store, []byte("ab"), []byte("vab")))
	must(t, b.Commit())
	scan(nil, nil, "ab", "b", "\xff", "\xff\xff")
	b = o.space.Batch()
	must(t, b.DeleteRange(o.store, nil, nil))
	must(t, b.Commit())
	scan(nil, nil)
	it, err := other.Iter(nil, nil, false)
	must(t, err)
	if got, err := collect(it); err != nil || len(got) != len(keys) {
		t.Errorf("the next store has %d rows left, want %d (%v)", len(got), len(keys), err)
	}
	o.close(t)
}

func testOffsets(t *testing.T, place func() Place) {
	o := open(t, place(), state.KindKeyValue)
	if _, ok, err := o.space.Offset("s"); ok || err != nil {
		t.Fatalf("offset of a new store: %v %v", ok, err)
	}
	if _, ok, err := o.space.Offset("unknown"); ok || err != nil {
		t.Fatalf("offset of an unknown store: %v %v", ok, err)
	}
	want := state.StoredOffset{Changelog: 1 << 50, BrokerTime: 1_700_000_000_000, Position: []byte{1, 0, 2}}
	b := o.space.Batch()
	must(t, b.Set(o.store, []byte("k"), nil))
	must(t, b.SetOffset("s", want))
	if _, ok, _ := o.space.Offset("s"); ok {
		t.Fatal("an offset was visible before its commit")
	}
	if b.Len() == 0 {
		t.Fatal("a batch with an offset has length 0")
	}
	must(t, b.Commit())
	got, ok, err := o.space.Offset("s")
	if err != nil || !ok || !sameOffset(got, want) {
		t.Fatalf("offset %+v %v %v, want %+v", got, ok, err, want)
	}
	got.Position[0] = 9 // belongs to the caller
	if again, _, _ := o.space.Offset("s"); !sameOffset(again, want) {
		t.Fatalf("offset %+v, want %+v", again, want)
	}
	if v, ok, err := o.store.Get(nil, []byte("k")); !ok || len(v) != 0 || err != nil {
		t.Fatalf("a nil value was stored as %q %v %v, want an empty one", v, ok, err)
	}
	o.close(t)
}

func testIngest(t *testing.T, place func() Place) {
	o := open(t, place(), state.KindKeyValue)
	o.put(t, 10, "old", 1)
	in, err := o.store.Ingester()
	must(t, err)
	must(t, in.Add([]byte("001"), nil))
	must(t, in.Add([]byte("002"), []byte("new")))
	must(t, in.Add([]byte("0020"), []byte{}))
	if rows := o.rows(t); len(rows) != 10 {
		t.Fatalf("%d rows before the ingest is finished, want 10", len(rows))
	}
	must(t, in.Finish(state.StoredOffset{Changelog: 2}))
	if _, ok, _ := o.store.Get(nil, []byte("001")); ok {
		t.Error("the deleted key is there")
	}
	if v, ok, _ := o.store.Get(nil, []byte("002")); !ok || string(v) != "new" {
		t.Errorf("002 = %q %v", v, ok)
	}
	if v, ok, _ := o.store.Get(nil, []byte("0020")); !ok || len(v) != 0 {
		t.Errorf("0020 = %q %v", v, ok)
	}
	if got, ok, _ := o.space.Offset("s"); !ok || got.Changelog != 2 {
		t.Errorf("offset %+v %v, want 2", got, ok)
	}
	// Written after an ingest is newer than it.
	o.put(t, 3, "newer", 3)
	if v, _, _ := o.store.Get(nil, []byte("002")); string(v) != "newer" {
		t.Errorf("002 = %q after a later commit", v)
	}
	in, err = o.store.Ingester()
	must(t, err)
	must(t, in.Finish(state.StoredOffset{Changelog: 4}))
	if got, _, _ := o.space.Offset("s"); got.Changelog != 4 {
		t.Errorf("offset %+v after an empty ingest, want 4", got)
	}
	o.close(t)
}

func testWipe(t *testing.T, place func() Place) {
	o := open(t, place(), state.KindKeyValue)
	neighbours := []record.TaskID{{Sub: 0, Partition: 2}, {Sub: 0, Partition: 4}, {Sub: 1, Partition: 0}}
	for _, id := range neighbours {
		s, err := o.Engine.Space(id)
		must(t, err)
		es, err := s.Store("s", state.KindKeyValue)
		must(t, err)
		opened{o.Engine, s, es}.put(t, 5, id.String(), 7)
		must(t, s.Close())
	}
	o.put(t, 5, "v", 1)
	must(t, o.space.Wipe())
	if rows := o.rows(t); len(rows) != 0 {
		t.Errorf("%d rows after a wipe", len(rows))
	}
	if _, ok, err := o.space.Offset("s"); ok || err != nil {
		t.Errorf("an offset after a wipe (%v)", err)
	}
	if ids, err := o.Tasks(); fmt.Sprint(ids) != fmt.Sprint(neighbours) || err != nil {
		t.Errorf("tasks %v %v, want %v", ids, err, neighbours)
	}
	o.put(t, 2, "again", 1) // the store that was opened before goes on
	if rows := o.rows(t); len(rows) != 2 {
		t.Errorf("%d rows after a wipe and a commit, want 2", len(rows))
	}
	must(t, o.space.Wipe())
	if _, err := o.space.Store("s", state.KindWindow); err != nil {
		t.Errorf("a wiped store cannot change its kind: %v", err)
	}
	o.close(t)
}

// The order of kinds with a suffix: all times of a key together, shorter keys first.
func testKinds(t *testing.T, place func() Place) {
	for _, kind := range []state.Kind{state.KindWindow, state.KindSession} {
		o := open(t, place(), kind)
		key := func(k string, at uint64) []byte {
			b := binary.BigEndian.AppendUint64([]byte(k), at)
			return append(b, make([]byte, kind.SuffixLen()-8)...)
		}
		want := []row{
			{key("", 5), []byte("1")}, {key("a", 1), []byte("2")}, {key("a", 1<<60), []byte("3")},
			{key("a\x00", 0), []byte("4")}, {key("ab", 0), []byte("5")}, {key("b", 0), []byte("6")},
		}
		b := o.space.Batch()
		for i := range want {
			r := want[(i*5+2)%len(want)]
			must(t, b.Set(o.store, r.key, r.value))
		}
		must(t, b.Commit())
		if d := diff(o.rows(t), want); d != "" {
			t.Errorf("%s: %s", kind, d)
		}
		it, err := o.store.Iter(key("a", 0), key("a", 1<<62), true)
		must(t, err)
		got, err := collect(it)
		must(t, err)
		if d := diff(got, []row{want[2], want[1]}); d != "" {
			t.Errorf("%s: times of one key in reverse: %s", kind, d)
		}
		o.close(t)
	}
}

func wantError(t *testing.T, what string, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", what)
		return
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%s: error %q does not say %q", what, err, p)
		}
	}
}

func testMisuse(t *testing.T, place func() Place) {
	o := open(t, place(), state.KindWindow)
	_, err := o.space.Store("s", state.KindSession)
	wantError(t, "another kind", err, "task 0_3", `"s"`, "window", "session")
	_, err = o.space.Store("../s", state.KindWindow)
	wantError(t, "a path as name", err, "task 0_3", "../s")
	_, err = o.space.Store("x", 0)
	wantError(t, "no kind", err, "task 0_3", `"x"`)
	_, err = o.Engine.Space(record.TaskID{Sub: -1})
	wantError(t, "negative task", err, "-1_0")

	b := o.space.Batch()
	short := []byte("12345678901")
	wantError(t, "short key", b.Set(o.store, short, nil), "task 0_3", `"s"`, "12 bytes")
	wantError(t, "short key", b.Delete(o.store, short), "task 0_3", `"s"`, "12 bytes")
	wantError(t, "short bound", b.DeleteRange(o.store, short, nil), "task 0_3", `"s"`, "12 bytes")
	_, _, err = o.store.Get(nil, short)
	wantError(t, "short key", err, "task 0_3", `"s"`, "12 bytes")
	_, err = o.store.Iter(nil, short, false)
	wantError(t, "short bound", err, "task 0_3", `"s"`, "12 bytes")
	wantError(t, "unknown store", b.SetOffset("nope", state.StoredOffset{}), "task 0_3", `"nope"`)

	space2, err := o.Engine.Space(record.TaskID{Sub: 0, Partition: 4})
	must(t, err)
	foreign, err := space2.Store("s", state.KindWindow)
	must(t, err)
	wantError(t, "foreign store", b.Set(foreign, make([]byte, 12), nil), "task 0_3", "not of this space")
	must(t, b.Commit())
	wantError(t, "spent batch", b.Commit(), "task 0_3", "closed")
	wantError(t, "spent batch", b.Set(o.store, make([]byte, 12), nil), "closed")

	in, err := o.store.Ingester()
	must(t, err)
	must(t, in.Add([]byte("b12345678901"), nil))
	wantError(t, "key again", in.Add([]byte("b12345678901"), nil), "task 0_3", `"s"`, "does not come after")
	wantError(t, "key before", in.Add([]byte("a12345678901"), nil), "does not come after")
	in.Abort()
	wantError(t, "aborted ingester", in.Finish(state.StoredOffset{}), "closed")
	if ids, err := o.Tasks(); len(ids) != 0 || err != nil {
		t.Errorf("misuse left state: %v %v", ids, err)
	}
	must(t, space2.Close())
	_, err = space2.Store("s", state.KindWindow)
	wantError(t, "closed space", err, "task 0_4", "closed")
	o.close(t)
}

func testClose(t *testing.T, place func() Place) {
	o := open(t, place(), state.KindKeyValue)
	o.put(t, 3, "v", 1)
	it, err := o.store.Iter(nil, nil, false)
	must(t, err)
	wantError(t, "close with an open iterator", o.Engine.Close(), "1 iterator")
	if !it.Next() || string(it.Key()) != "000" {
		t.Errorf("the iterator broke: %v", it.Err())
	}
	must(t, it.Close())
	must(t, it.Close())
	b := o.space.Batch()
	must(t, b.Set(o.store, []byte("k"), nil))
	must(t, o.Engine.Close())
	must(t, o.Engine.Close())
	for what, err := range map[string]error{
		"commit": b.Commit(), "flush": o.Engine.Flush(), "wipe": o.space.Wipe(),
		"get": func() error { _, _, err := o.store.Get(nil, []byte("k")); return err }(),
	} {
		if !errors.Is(err, state.ErrClosed) {
			t.Errorf("%s on a closed engine: %v", what, err)
		}
	}
}

func testReopen(t *testing.T, place func() Place) {
	p := place()
	o := open(t, p, state.KindKeyValue)
	o.put(t, 100, "v", 42)
	o.close(t)
	o = open(t, p, state.KindKeyValue)
	want := 0
	if p.Durable {
		want = 100
	}
	if rows := o.rows(t); len(rows) != want {
		t.Errorf("%d rows after reopen, want %d", len(rows), want)
	}
	off, ok, err := o.space.Offset("s")
	if ok != p.Durable || ok && off.Changelog != 42 || err != nil {
		t.Errorf("offset %+v %v %v after reopen", off, ok, err)
	}
	if p.Durable {
		_, err := o.space.Store("s", state.KindVersioned)
		wantError(t, "another kind after reopen", err, "task 0_3", `"s"`, "key-value", "versioned")
	}
	o.close(t)
}
