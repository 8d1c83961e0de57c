package state_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"pgregory.net/rapid"
)

// TestRestoreAgainstModel restores random changelogs in rounds of random size, over what the engine holds already.
func TestRestoreAgainstModel(t *testing.T) {
	spec := state.TableSpec("s", serde.String, serde.String)
	rapid.Check(t, func(rt *rapid.T) {
		p := newPlace(t, nil)
		want := map[string]string{}
		next := int64(0)
		for range rapid.IntRange(1, 3).Draw(rt, "restores") {
			room := rapid.SampledFrom([]int64{1, 1 << 10, 300 << 10, 0}).Draw(rt, "room")
			r := state.NewRestorer(p.engine, &spec, state.StoredOffset{Changelog: next}, room)
			n := rapid.IntRange(0, 60).Draw(rt, "records")
			for range n {
				rec := record.Raw{
					Key:    []byte(rapid.SampledFrom(keyPool).Draw(rt, "key")),
					Time:   rapid.Int64Range(0, 255).Draw(rt, "time"),
					Offset: next + rapid.Int64Range(0, 3).Draw(rt, "gap"),
				}
				if rapid.IntRange(0, 3).Draw(rt, "tombstone") > 0 {
					rec.Value = []byte(strings.Repeat("v", rapid.SampledFrom([]int{0, 3, 90, 5000}).Draw(rt, "value")))
					want[string(rec.Key)] = "\x00\x00\x00\x00\x00\x00\x00" + string([]byte{byte(rec.Time)}) + string(rec.Value)
				} else {
					delete(want, string(rec.Key))
				}
				if err := r.Add(rec, rec.Time+7); err != nil {
					rt.Fatal(err)
				}
				next = rec.Offset + 1
			}
			o := state.StoredOffset{Changelog: next, BrokerTime: 5, Position: []byte("p")}
			if err := r.Finish(o); err != nil {
				rt.Fatal(err)
			}
			if got := p.rows(t); !maps.Equal(got, want) {
				rt.Fatalf("engine holds %.300q, want %.300q", got, want)
			}
			if at, ok, err := p.space.Offset("s"); err != nil || !ok || at.Changelog != next || at.BrokerTime != 5 {
				rt.Fatalf("stored offset %+v, %v, %v, want %d", at, ok, err, next)
			}
			s := r.Stats()
			if s.Records != int64(n) || s.Rows > s.Records || room == 0 && s.Rounds != 1 || room == 1 && s.Rows != s.Records {
				rt.Fatalf("%+v after %d records with room for %d bytes", s, n, room)
			}
		}
	})
}

// TestRestoreInRounds reads the offsets between rounds: each is that of what the engine holds.
func TestRestoreInRounds(t *testing.T) {
	p := newPlace(t, nil)
	spec := state.KeyValueSpec("s", serde.String, serde.String)
	r := state.NewRestorer(p.engine, &spec, state.StoredOffset{Changelog: 100, Position: []byte("x")}, 512<<10)
	for i := range 20_000 {
		rec := record.Raw{Key: fmt.Appendf(nil, "key-%06d", i*7919%20_000), Value: make([]byte, 100), Offset: int64(100 + i)}
		before := r.Stats().Rounds
		if err := r.Add(rec, int64(i)); err != nil {
			t.Fatal(err)
		}
		if r.Stats().Rounds == before {
			continue
		}
		at, ok, err := p.space.Offset("s")
		if err != nil || !ok || at.Changelog != rec.Offset || at.BrokerTime != int64(i-1) || string(at.Position) != "x" {
			t.Fatalf("after a round before offset %d the engine stands at %+v, %v, %v", rec.Offset, at, ok, err)
		}
		if rows := len(p.rows(t)); rows != i {
			t.Fatalf("%d rows in the engine after %d records", rows, i)
		}
	}
	if n := r.Stats().Rounds; n < 3 || n > 30 {
		t.Errorf("%d rounds for 20 000 records in 512 KiB", n)
	}
}

func TestRestoreRefuses(t *testing.T) {
	p := newPlace(t, nil)
	spec := state.KeyValueSpec("s", serde.String, serde.String)
	r := state.NewRestorer(p.engine, &spec, state.StoredOffset{Changelog: 5}, 0)
	for _, c := range []struct {
		rec  record.Raw
		want string
	}{
		{record.Raw{Key: []byte("k"), Offset: 4}, "store s: restore at changelog offset 4: record out of order, 5 is next"},
		{record.Raw{Value: []byte("v"), Offset: 9}, "store s: restore at changelog offset 9: record without a key"},
	} {
		if err := r.Add(c.rec, 0); err == nil || err.Error() != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
	if err := r.Finish(state.StoredOffset{Changelog: 4}); err == nil {
		t.Error("a restore that ends before its start succeeds")
	}
}
