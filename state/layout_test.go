package state

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// sign is -1, 0 or 1.
func sign(n int) int { return cmp.Compare(n, 0) }

func layouts() []*segments {
	return []*segments{
		newSegments(KindWindow, 10, 150_000, false), newSegments(KindWindow, 10, math.MaxInt64, true),
		newSegments(KindSession, 0, 1, false), newSegments(KindSession, 0, 7*24*3600*1000, true),
	}
}

// FuzzWindowKey reads bytes as a key of a window store and as one of a session store: what is read is written as it was.
func FuzzWindowKey(f *testing.F) {
	f.Add([]byte("k\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00"))
	f.Add([]byte("k\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, b []byte) {
		key, start, seq, err := splitWindow(b)
		if (err == nil) != (len(b) >= 12) {
			t.Fatalf("%x: %v", b, err)
		}
		if got := appendWindow(bytes.Clone(key), start, seq); err == nil && !bytes.Equal(got, b) {
			t.Errorf("window key %x is written as %x", b, got)
		}
		key, start, end, err := splitSession(b)
		if (err == nil) != (len(b) >= 16) {
			t.Fatalf("%x: %v", b, err)
		}
		if got := appendSession(bytes.Clone(key), start, end); err == nil && !bytes.Equal(got, b) {
			t.Errorf("session key %x is written as %x", b, got)
		}
	})
}

// FuzzEngineKey brings two changelog records into the engine: keys come back as they were, and the order of the cache is that of
// the engine.
func FuzzEngineKey(f *testing.F) {
	f.Add([]byte("a\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00"), []byte("a\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00"), int64(5))
	f.Add(make([]byte, 12), make([]byte, 16), int64(-1))
	f.Fuzz(func(t *testing.T, a, b []byte, time int64) {
		for _, g := range layouts() {
			var engine [2][]byte
			for n, key := range [][]byte{a, b} {
				k, v, err := g.changelogRow(true)(nil, record.Raw{Key: key, Value: []byte("v"), Time: time})
				if valid := len(key) >= g.kind.SuffixLen() && g.timeOf(key) >= 0; (err == nil) != valid {
					t.Fatalf("%s key %x: %v", g.kind, key, err)
				} else if !valid {
					return
				}
				back, ok := g.storeKey(k)
				if !ok || !bytes.Equal(back, key) || len(v) != 9 {
					t.Fatalf("%s key %x comes back as %x", g.kind, key, back)
				}
				if bytes.Equal(k, g.clockKey()) || g.kind.Compare(k, g.segmentStart(0)) < 0 {
					t.Fatalf("%s key %x lies below all segments", g.kind, k)
				}
				segment := g.segment(g.timeOf(key))
				if g.kind.Compare(k, g.segmentStart(segment)) < 0 || g.kind.Compare(k, g.segmentStart(segment+1)) >= 0 {
					t.Fatalf("%s key %x lies beside its segment %d", g.kind, k, segment)
				}
				engine[n] = k
			}
			if want, got := sign(g.kind.Compare(engine[0], engine[1])), sign(g.compare(a, b)); got != want {
				t.Fatalf("%s keys %x and %x: %d in the cache, %d in the engine", g.kind, a, b, got, want)
			}
		}
	})
}

// The bytes of keys are those of Kafka Streams, as it wrote them.
func TestKeyVectors(t *testing.T) {
	file, err := os.ReadFile("../integration/conformance/testdata/cases/wire-formats.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Vectors []struct {
			Kind   string
			Input  json.RawMessage
			Output json.RawMessage
		}
	}
	if err := json.Unmarshal(file, &all); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, v := range all.Vectors {
		if v.Kind != "window_store_key" && v.Kind != "session_store_key" {
			continue
		}
		seen[v.Kind]++
		var in struct {
			Key        string
			Start, End int64
			Seq        uint32
		}
		var out struct{ Hex string }
		if err := json.Unmarshal(v.Input, &in); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(v.Output, &out); err != nil {
			t.Fatal(err)
		}
		want, err := hex.DecodeString(out.Hex)
		if err != nil {
			t.Fatal(err)
		}
		keys := serde.Serde[record.Windowed[string]](windowKeys[string]{serde.String, in.End - in.Start})
		k := record.MakeWindowed(in.Key, in.Start, in.End)
		if v.Kind == "session_store_key" {
			keys = sessionKeys[string]{serde.String}
		} else if in.End == 0 {
			k.End = k.Start
		}
		got, err := keys.Append(nil, k)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s %+v: %x (%v), want %x", v.Kind, in, got, err, want)
		}
		if back, err := keys.Decode(want); err != nil || back.Key != in.Key || !back.Start.Equal(k.Start) {
			t.Errorf("%s %x: %v (%v)", v.Kind, want, back, err)
		}
	}
	if seen["window_store_key"] < 3 || seen["session_store_key"] < 3 {
		t.Errorf("vectors seen: %v", seen)
	}
}
