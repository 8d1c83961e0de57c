package state_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/memstore"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// logOf keeps the last value of each key.
type logOf map[string]string

func (l logOf) Append(_ int64, key, value []byte, h record.Headers) error {
	l[fmt.Sprintf("%x", key)] = fmt.Sprintf("%x headers %d", value, h.Len())
	return nil
}

// TestUnmatchedBytes: the changelog is that of Kafka Streams' list-value store: time, 1 for left, key; a list of values of any
// length (1), their number, and each one's length, side and bytes.
func TestUnmatchedBytes(t *testing.T) {
	e := memstore.New()
	space, _ := e.Space(record.TaskID{})
	es, err := space.Store("s", state.KindBuffer)
	if err != nil {
		t.Fatal(err)
	}
	var units record.Units
	s, err := state.OpenUnmatched(&state.Env{Units: &units, Engine: es}, serde.String, serde.String, serde.Int64, state.UnmatchedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{s.PutLeft("k", 258, "v"), s.PutLeft("k", 258, "ww"), s.PutRight("k", 258, 7), s.PutRight("", 1, 7),
		s.Match(false, "", 1)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	units.Commit()
	log, b := logOf{}, space.Batch()
	if err := s.Freeze(b, log); err != nil {
		t.Fatal(err)
	}
	want := logOf{
		"0000000000000102016b": "0100000002" + "00000002" + "0176" + "00000003" + "017777" + " headers 0",
		"0000000000000102006b": "0100000001" + "00000009" + "00" + "0000000000000007" + " headers 0",
	}
	if fmt.Sprint(log) != fmt.Sprint(want) {
		t.Errorf("changelog %v, want %v", log, want)
	}
}

// FuzzUnmatched: a changelog record is refused, or its values can be walked through.
func FuzzUnmatched(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x01\x02\x01k"), []byte("\x01\x00\x00\x00\x01\x00\x00\x00\x02\x01v"))
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x01\x02\x00"), []byte("\x01\x00\x00\x00\x00"))
	spec := state.UnmatchedSpec("s", serde.Bytes, serde.Bytes, serde.Bytes, state.UnmatchedConfig{})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if _, _, err := spec.FromChangelog(nil, record.Raw{Key: key, Value: value}); err != nil || value == nil {
			return
		}
		e := memstore.New()
		space, _ := e.Space(record.TaskID{})
		es, _ := space.Store("s", state.KindBuffer)
		b := space.Batch()
		if err := b.Set(es, key, value); err != nil {
			t.Fatal(err)
		}
		if err := b.Commit(); err != nil {
			t.Fatal(err)
		}
		var units record.Units
		s, err := state.OpenUnmatched(&state.Env{Units: &units, Engine: es}, serde.Bytes, serde.Bytes, serde.Bytes, state.UnmatchedConfig{})
		if err != nil {
			t.Fatal(err)
		}
		rows, err := s.TakeDue(1<<63 - 1)
		if err != nil {
			t.Fatal(err)
		}
		n := 5
		for _, u := range rows {
			for {
				v, ok, err := u.Next()
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				n += 5 + len(v)
			}
			if !bytes.Equal(u.Key, key[9:]) || n != len(value) {
				t.Fatalf("key %q, %d bytes of values; the record has %q, %d", u.Key, n, key[9:], len(value))
			}
		}
	})
}
