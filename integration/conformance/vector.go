package conformance

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/oxbow-streams/oxbow/internal/engine"
	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

func checkVector(v Vector) error {
	in := func(name string) any { return v.Input[name] }
	switch v.Kind {
	case "checkpoint_file":
		return checkpoint(v)
	case "murmur2":
		return number(v, "hash_int32", int64(int32(kafka.Murmur2([]byte(in("key_utf8").(string))))))
	case "partition_for_key":
		return number(v, "partition", int64(kafka.Partition([]byte(in("key_utf8").(string)), int32(whole(in("partitions"))))))
	case "partition_for_int64_key":
		key, err := serde.Int64.Append(nil, whole(in("key")))
		if err != nil {
			return err
		}
		return number(v, "partition", int64(kafka.Partition(key, int32(whole(in("partitions"))))))
	case "serde_int16":
		return both(v, serde.Int16, int16(whole(in("value"))))
	case "serde_int32":
		return both(v, serde.Int32, int32(whole(in("value"))))
	case "serde_int64":
		return both(v, serde.Int64, whole(in("value")))
	case "serde_float":
		f, err := in("value").(json.Number).Float64()
		if err != nil {
			return err
		}
		return both(v, serde.Float32, float32(f))
	case "serde_double":
		f, err := in("value").(json.Number).Float64()
		if err != nil {
			return err
		}
		return both(v, serde.Float64, f)
	case "serde_bool":
		return both(v, serde.Bool, in("value").(bool))
	case "serde_uuid":
		u, err := serde.ParseUUID(in("value").(string))
		if err != nil {
			return err
		}
		return both(v, serde.UUIDText, u)
	case "value_and_timestamp":
		spec := state.TableSpec("store", serde.String, serde.String)
		_, value, err := spec.FromChangelog(nil, record.Raw{Key: []byte("k"), Value: []byte(in("value").(string)), Time: whole(in("ts"))})
		if err != nil {
			return err
		}
		return bytesAre(v, value)
	case "ktable_repartition_change":
		side := func(name string) record.Opt[string] {
			s, ok := in(name).(string)
			return record.OptOf(s, ok)
		}
		return both(v, node.ChangeSerde(serde.String), node.Change[string]{New: side("new"), Old: side("old")})
	case "offset_commit_metadata":
		return metadata(v)
	case "time":
		return grid(v, node.TimeWindows{Size: whole(in("size_ms")), Advance: whole(in("advance_ms"))})
	case "unlimited":
		return grid(v, node.TimeWindows{Size: math.MaxInt64, Endless: true, Start: whole(in("start_ms"))})
	case "time_windowed_topic_key":
		start, end := whole(in("start")), whole(in("end"))
		return both(v, serde.TimeWindowed(serde.String, time.Duration(end-start)*time.Millisecond),
			record.MakeWindowed(in("key").(string), start, end))
	case "session_windowed_topic_key":
		return both(v, serde.SessionWindowed(serde.String), record.MakeWindowed(in("key").(string), whole(in("start")), whole(in("end"))))
	case "window_store_key":
		return bytesAre(v, state.AppendWindowKey(nil, []byte(in("key").(string)), whole(in("start")), uint32(whole(in("seq")))))
	case "session_store_key":
		return bytesAre(v, state.AppendSessionKey(nil, []byte(in("key").(string)), whole(in("start")), whole(in("end"))))
	}
	if check := foreignVectors[v.Kind]; check != nil {
		return check(v)
	}
	return fmt.Errorf("vector of kind %q is not in the vocabulary", v.Kind)
}

// grid compares the windows that hold a time.
func grid(v Vector, w node.TimeWindows) error {
	var got [][2]int64
	if first, last, step, ok := w.Of(whole(v.Input["ts"])); ok {
		for start := first; start <= last; start += step {
			got = append(got, [2]int64{start, w.End(start)})
		}
	}
	want, ok := v.Output.([]any)
	if !ok || len(want) != len(got) {
		return fmt.Errorf("%v lies in %v, want %v", v.Input, got, v.Output)
	}
	for i, x := range want {
		if pair := x.([]any); whole(pair[0]) != got[i][0] || whole(pair[1]) != got[i][1] {
			return fmt.Errorf("%v lies in %v, want %v", v.Input, got, v.Output)
		}
	}
	return nil
}

// output returns a field of the vector's output, nil if it has none.
func (v Vector) output(field string) any {
	fields, _ := v.Output.(map[string]any)
	return fields[field]
}

func number(v Vector, field string, got int64) error {
	if want := whole(v.output(field)); got != want {
		return fmt.Errorf("%v gives %d, want %d", v.Input, got, want)
	}
	return nil
}

func bytesAre(v Vector, got []byte) error {
	if want := v.output("hex").(string); hex.EncodeToString(got) != want {
		return fmt.Errorf("%v gives %x, want %s", v.Input, got, want)
	}
	return nil
}

// both checks a serde in both directions.
func both[T comparable](v Vector, s serde.Serde[T], value T) error {
	b, err := s.Append(nil, value)
	if err != nil {
		return err
	}
	if err := bytesAre(v, b); err != nil {
		return err
	}
	back, err := s.Decode(b)
	if err != nil || back != value {
		return fmt.Errorf("%x decodes to %v (%v), want %v", b, back, err, value)
	}
	return nil
}

func metadata(v Vector) error {
	m := engine.OffsetMetadata{Time: whole(v.Input["partition_time"]), Named: map[string]int64{}}
	for name, n := range v.Input["processor_metadata"].(map[string]any) {
		m.Named[name] = whole(n)
	}
	want := v.output("base64").(string)
	if got := m.Encode(); got != want {
		return fmt.Errorf("%v gives %s, want %s", v.Input, got, want)
	}
	if _, err := base64.StdEncoding.DecodeString(want); err != nil {
		return err
	}
	back, err := engine.DecodeOffsetMetadata(want)
	if err != nil || back.Encode() != want {
		return fmt.Errorf("%s decodes to %v (%v)", want, back, err)
	}
	return nil
}

// checkpoint checks the text of offsets, both ways.
func checkpoint(v Vector) error {
	at := map[record.TopicPartition]int64{}
	given, _ := v.Input["offsets"].(map[string]any)
	for name, offset := range given {
		i := strings.LastIndexByte(name, '/')
		p, err := strconv.ParseInt(name[i+1:], 10, 32)
		if i < 0 || err != nil {
			return fmt.Errorf("%q is no topic/partition", name)
		}
		at[record.TopicPartition{Topic: name[:i], Partition: int32(p)}] = whole(offset)
	}
	want, _ := v.output("text").(string)
	if got := state.Checkpoint(at); got != want {
		return fmt.Errorf("%v gives %q, want %q", v.Input, got, want)
	}
	if back, err := state.ParseCheckpoint(want); err != nil || !maps.Equal(back, at) {
		return fmt.Errorf("%q is read as %v (%v), want %v", want, back, err, at)
	}
	return nil
}
