package state_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

func bufferContext() state.RecordContext {
	return state.RecordContext{Time: 1, Headers: record.Headers{}.With("h", nil),
		Coordinates: record.Coordinates{TopicPartition: record.TopicPartition{Topic: "in", Partition: 3}, Offset: 2}}
}

// bytesOf writes big-endian numbers: n by their sizes, texts as they are.
func bytesOf(parts ...any) (b []byte) {
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		default:
			b, _ = binary.Append(b, binary.BigEndian, p)
		}
	}
	return b
}

// context is bufferContext as ProcessorRecordContext serialises it.
var contextBytes = bytesOf(int64(1), int64(2), int32(2), "in", int32(3), int32(1), int32(1), "h", int32(-1))

func TestBufferValueIsKafkaStreamsVersion3(t *testing.T) {
	for _, c := range []struct {
		name  string
		value state.BufferValue
		want  []byte
	}{
		{"all different", state.BufferValue{Prior: []byte("p"), Old: []byte("old"), New: []byte("n")},
			bytesOf(int32(1), "p", int32(3), "old", int32(1), "n")},
		{"old is the prior one", state.BufferValue{Prior: []byte("p"), Old: []byte("p"), New: []byte("n")},
			bytesOf(int32(1), "p", int32(-2), int32(1), "n")},
		{"tombstone", state.BufferValue{Prior: []byte("p"), Old: []byte("q")}, bytesOf(int32(1), "p", int32(1), "q", int32(-1))},
		{"nothing before", state.BufferValue{New: []byte("n")}, bytesOf(int32(-1), int32(-1), int32(1), "n")},
		{"empty is not null", state.BufferValue{Prior: []byte{}, Old: []byte{}, New: []byte{}},
			bytesOf(int32(0), int32(-2), int32(0))},
	} {
		c.value.Context, c.value.Time = bufferContext(), 9
		want := bytesOf(contextBytes, c.want, int64(9))
		got := c.value.Append(nil)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x", c.name, got, want)
		}
		back, err := state.ParseBufferValue(got)
		if err != nil || !bytes.Equal(back.Append(nil), got) || (back.New == nil) != (c.value.New == nil) {
			t.Errorf("%s: read back as %+v (%v)", c.name, back, err)
		}
	}
}

func TestSuppressChangelogVersions(t *testing.T) {
	v3 := (&state.BufferValue{Context: bufferContext(), Prior: []byte("p"), Old: []byte("o"), New: []byte("n"), Time: 9}).Append(nil)
	oldIsPrior := func(c state.RecordContext) []byte {
		return (&state.BufferValue{Context: c, Prior: []byte("o"), Old: []byte("o"), New: []byte("n"), Time: 9}).Append(nil)
	}
	change := bytesOf(int32(1), "o", int32(1), "n")
	unknown := state.RecordContext{Time: 77,
		Coordinates: record.Coordinates{TopicPartition: record.TopicPartition{Partition: -1}, Offset: -1}}
	for _, c := range []struct {
		name    string
		version []byte
		value   []byte
		want    []byte
	}{
		{"3", []byte{3}, v3, v3},
		{"2", []byte{2}, bytesOf(contextBytes, int32(len(change)), change, int32(1), "p", int64(9)), v3},
		{"3 under the header of 2, as 2.4 wrote it", []byte{2}, v3, v3},
		{"1", []byte{1}, bytesOf(int64(9), contextBytes, int32(len(change)), change), oldIsPrior(bufferContext())},
		{"0", nil, bytesOf(int64(9), change), oldIsPrior(unknown)},
	} {
		r := record.Raw{Key: []byte("k"), Value: c.value, Time: 77}
		if c.version != nil {
			r.Headers = record.Headers{}.With("v", c.version)
		}
		spec := state.SuppressSpec("s", serde.String, serde.String)
		key, got, err := spec.FromChangelog(nil, r)
		if err != nil || string(key) != "k" || !bytes.Equal(got, c.want) {
			t.Errorf("version %s: %x (%v), want %x", c.name, got, err, c.want)
		}
		for n := range c.value {
			r.Value = c.value[:n]
			if _, _, err := spec.FromChangelog(nil, r); err == nil {
				t.Errorf("version %s: cut to %d of %d bytes it is taken", c.name, n, len(c.value))
			}
		}
	}
	spec := state.SuppressSpec("s", serde.String, serde.String)
	_, _, err := spec.FromChangelog(nil, record.Raw{Key: []byte("k"), Value: v3, Headers: record.Headers{}.With("v", []byte{4})})
	if err == nil || !strings.Contains(err.Error(), "version 04") {
		t.Errorf("version 4: %v", err)
	}
}

func FuzzBufferValue(f *testing.F) {
	for _, s := range []string{"", "00", hex.EncodeToString(contextBytes)} {
		b, _ := hex.DecodeString(s)
		f.Add(b, []byte("n"), []byte("p"), "in", int64(1))
	}
	f.Fuzz(func(t *testing.T, b, now, prior []byte, topic string, time int64) {
		if v, err := state.ParseBufferValue(b); err == nil {
			again, err := state.ParseBufferValue(v.Append(nil))
			if err != nil || !bytes.Equal(again.Append(nil), v.Append(nil)) {
				t.Fatalf("%x: %+v is read back as %+v (%v)", b, v, again, err)
			}
		}
		for _, version := range []byte{0, 1, 2, 3} {
			r := record.Raw{Key: []byte("k"), Value: b}
			if version > 0 {
				r.Headers = r.Headers.With("v", []byte{version})
			}
			spec := state.SuppressSpec("s", serde.String, serde.String)
			if _, val, err := spec.FromChangelog(nil, r); err == nil && val != nil {
				if _, err := state.ParseBufferValue(val); err != nil {
					t.Fatalf("version %d: %x becomes %x: %v", version, b, val, err)
				}
			}
		}
		v := state.BufferValue{New: now, Prior: prior, Old: now, Time: time,
			Context: state.RecordContext{Time: time, Coordinates: record.Coordinates{TopicPartition: record.TopicPartition{Topic: topic}}}}
		back, err := state.ParseBufferValue(v.Append(nil))
		if err != nil || !bytes.Equal(back.New, now) || !bytes.Equal(back.Prior, prior) || !bytes.Equal(back.Old, now) ||
			back.Context.Topic != topic || back.Time != time {
			t.Fatalf("%+v is read back as %+v (%v)", v, back, err)
		}
	})
}
