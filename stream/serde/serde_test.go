package serde_test

import (
	"bytes"
	"encoding/hex"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

type point struct {
	X, Y int
	Name string `json:",omitempty"`
}

// codec is a Serde without its type, for tables.
type codec struct {
	name   string
	encode func() string                                    // of a sample
	decode func(b []byte) error                             // what Decode says
	trip   func(b []byte) (again []byte, err error)         // decode, then encode
	random func(t *rapid.T) (equal bool, b []byte, e error) // a random value there and back
}

func of[T any](name string, s serde.Serde[T], sample T, gen *rapid.Generator[T], equal func(a, b T) bool) codec {
	return codec{name,
		func() string {
			b, err := s.Append([]byte{7}, sample)
			if err != nil || b[0] != 7 {
				return "Append does not append"
			}
			return hex.EncodeToString(b[1:])
		},
		func(b []byte) error { _, err := s.Decode(b); return err },
		func(b []byte) ([]byte, error) {
			v, err := s.Decode(b)
			if err != nil {
				return nil, err
			}
			return s.Append(nil, v)
		},
		func(t *rapid.T) (bool, []byte, error) {
			v := gen.Draw(t, name)
			b, err := s.Append(nil, v)
			if err != nil {
				return false, b, err
			}
			got, err := s.Decode(b)
			return equal(v, got), b, err
		}}
}

func same[T comparable](a, b T) bool { return a == b }

func uuid(s string) serde.UUID {
	u, err := serde.ParseUUID(s)
	if err != nil {
		panic(err)
	}
	return u
}

var day = time.Date(2026, 11, 22, 3, 12, 41, 5e6, time.UTC)

var codecs = []codec{
	of("String", serde.String, "añ\x00", rapid.String(), same),
	of("Bytes", serde.Bytes, []byte{0, 255}, rapid.SliceOf(rapid.Byte()), bytes.Equal),
	of("BytesView", serde.BytesView, []byte{0, 255}, rapid.SliceOf(rapid.Byte()), bytes.Equal),
	of("Int8", serde.Int8, -2, rapid.Int8(), same),
	of("Int16", serde.Int16, 258, rapid.Int16(), same),
	of("Int32", serde.Int32, -2, rapid.Int32(), same),
	of("Int64", serde.Int64, 42, rapid.Int64(), same),
	of("Uint8", serde.Uint8, 200, rapid.Uint8(), same),
	of("Uint16", serde.Uint16, 65534, rapid.Uint16(), same),
	of("Uint32", serde.Uint32, 4294967294, rapid.Uint32(), same),
	of("Uint64", serde.Uint64, 1<<63, rapid.Uint64(), same),
	of("Float32", serde.Float32, 1.5, rapid.Float32(), same),
	of("Float64", serde.Float64, 1.5, rapid.Float64(), same),
	of("Bool", serde.Bool, true, rapid.Bool(), same),
	of("UUIDText", serde.UUIDText, uuid("00000000-0000-0001-0000-000000000002"),
		rapid.Custom(func(t *rapid.T) serde.UUID {
			return serde.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "u"))
		}), same),
	of("Time", serde.Time, day, rapid.Custom(func(t *rapid.T) time.Time {
		return time.UnixMilli(rapid.Int64Range(-1<<53, 1<<53).Draw(t, "ms")).UTC()
	}), same),
	of("JSON", serde.JSON[point](), point{X: 1, Y: -2}, rapid.Custom(func(t *rapid.T) point {
		return point{rapid.Int().Draw(t, "x"), rapid.Int().Draw(t, "y"), rapid.StringMatching("[a-zé]*").Draw(t, "n")}
	}), same),
	of("Opt", serde.Opt(serde.Int32), record.Some(int32(1)), rapid.Custom(func(t *rapid.T) record.Opt[int32] {
		return record.Some(rapid.Int32().Draw(t, "i"))
	}), same),
}

// TestVectors: the bytes are those of Kafka's serializers where it has one of the type.
func TestVectors(t *testing.T) {
	want := map[string]string{
		"String": "61c3b100", "Bytes": "00ff", "BytesView": "00ff", "Int8": "fe", "Int16": "0102", "Int32": "fffffffe",
		"Int64": "000000000000002a", "Uint8": "c8", "Uint16": "fffe", "Uint32": "fffffffe", "Uint64": "8000000000000000",
		"Float32": "3fc00000", "Float64": "3ff8000000000000", "Bool": "01",
		"UUIDText": hex.EncodeToString([]byte("00000000-0000-0001-0000-000000000002")),
		"Time":     "000001a2013ddc2d", "JSON": hex.EncodeToString([]byte(`{"X":1,"Y":-2}`)), "Opt": "00000001",
	}
	for _, c := range codecs {
		if got := c.encode(); got != want[c.name] {
			t.Errorf("%s: %s, want %s", c.name, got, want[c.name])
		}
	}
}

func TestThereAndBack(t *testing.T) {
	for _, c := range codecs {
		t.Run(c.name, rapid.MakeCheck(func(t *rapid.T) {
			if equal, b, err := c.random(t); !equal || err != nil {
				t.Fatalf("comes back otherwise from %x: %v", b, err)
			}
		}))
	}
}

// FuzzDecode: whatever the bytes, Decode answers a value or an error. What it takes comes back as the same value.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{"", "\x00", "12", "1234", "12345678", "null", "{", `{"X":1}`, strings.Repeat("a", 36)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, c := range codecs {
			once, err := c.trip(b)
			if err != nil {
				continue
			}
			twice, err := c.trip(once)
			if err != nil || !bytes.Equal(once, twice) {
				t.Errorf("%s: %x becomes %x, then %x (%v)", c.name, b, once, twice, err)
			}
		}
	})
}

func TestDecodeErrors(t *testing.T) {
	for _, c := range []struct {
		name, bytes, want string
	}{
		{"Int64", "abc", "got 3 bytes, want 8"},
		{"Int8", "", "got 0 bytes, want 1"},
		{"Uint16", "abc", "got 3 bytes, want 2"},
		{"Int32", "abc", "got 3 bytes, want 4"},
		{"Float32", "abc", "got 3 bytes, want 4"},
		{"Float64", "abc", "got 3 bytes, want 8"},
		{"Bool", "ab", "got 2 bytes, want 1"},
		{"Bool", "\x02", "got byte 2, want 0 or 1"},
		{"Time", "abc", "got 3 bytes, want 8"},
		{"UUIDText", "abc", "got 3 bytes, want 36"},
		{"UUIDText", "00000000_0000-0001-0000-000000000002", "got '_' where a UUID has '-'"},
		{"UUIDText", "0000000x-0000-0001-0000-000000000002", "not a UUID: encoding/hex: invalid byte: U+0078 'x'"},
		{"JSON", "{", "not JSON at byte 1 of 1: unexpected end of JSON input"},
		{"JSON", "null", "got the text null, want a JSON value: null is a record without a value"},
		{"JSON", `{"X":"a"}`, "json: cannot unmarshal string into Go struct field point.X of type int"},
		{"Opt", "abc", "got 3 bytes, want 4"},
	} {
		for _, codec := range codecs {
			if codec.name != c.name {
				continue
			}
			if err := codec.decode([]byte(c.bytes)); err == nil || err.Error() != c.want {
				t.Errorf("%s of %q: %v, want %s", c.name, c.bytes, err, c.want)
			}
		}
	}
}

// TestCopies: only BytesView shows the fetched bytes themselves.
func TestCopies(t *testing.T) {
	b := []byte("abc")
	s, _ := serde.String.Decode(b)
	c, _ := serde.Bytes.Decode(b)
	v, _ := serde.BytesView.Decode(b)
	b[0] = 'x'
	if s != "abc" || string(c) != "abc" || string(v) != "xbc" {
		t.Errorf("String %q, Bytes %q, BytesView %q after the batch was overwritten", s, c, v)
	}
	if empty, _ := serde.Bytes.Decode([]byte{}); empty == nil {
		t.Error("no bytes are decoded as null")
	}
}

func TestNull(t *testing.T) {
	s := serde.Opt(serde.Float64).(serde.Nullable[record.Opt[float64]])
	if !s.IsNull(record.None[float64]()) || s.IsNull(record.Some(math.NaN())) {
		t.Error("None alone is null")
	}
	for _, raw := range []any{serde.String, serde.Bytes, serde.BytesView} {
		if !serde.Raw(raw) {
			t.Errorf("%T leaves bytes as they are", raw)
		}
	}
	if serde.Raw(serde.JSON[point]()) || serde.Raw(serde.Opt(serde.String)) || serde.Raw(nil) {
		t.Error("JSON, Opt and nothing do not leave bytes as they are")
	}
}
