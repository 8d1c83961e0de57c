package node

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// The origin of a record is that of the user's input over any number of repartition topics, and no function sees the header.
func TestOriginTravels(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var h record.Headers
		for range rapid.IntRange(0, 3).Draw(rt, "headers") {
			v := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(rt, "value")
			if rapid.Bool().Draw(rt, "null") {
				v = nil
			}
			h = h.With(rapid.StringN(0, 20, 80).Draw(rt, "key"), v)
		}
		topic := rapid.StringMatching(`[a-z]{1,249}`).Draw(rt, "topic")
		at := record.Coordinates{TopicPartition: record.TopicPartition{Topic: topic, Partition: 3}, Offset: 1 << 40}

		var sent record.Headers
		task := &Task{}
		sink := WithOrigin(task, func(r *Rec[string, string]) error { sent = r.Headers.Clone(); return nil })
		task.Input.Coordinates = at
		if err := sink(&Rec[string, string]{Headers: h}); err != nil {
			rt.Fatal(err)
		}
		for hop := range 2 {
			if err := record.CheckHeaders(sent.Raw(), sent.Len()); err != nil {
				rt.Fatalf("hop %d: %v", hop, err)
			}
			task.Input.Coordinates = record.Coordinates{TopicPartition: record.TopicPartition{Topic: "app-repartition"}, Offset: 7}
			seen := 0
			src := NewRepartitionSource(task, &Info{Stats: &Stats{}}, serde.String, serde.String, func(r *Rec[string, string]) error {
				seen++
				if string(r.Headers.Raw()) != string(h.Raw()) || r.Headers.Len() != h.Len() {
					rt.Fatalf("hop %d: the function sees %d headers %q, want %d", hop, r.Headers.Len(), r.Headers.Raw(), h.Len())
				}
				if got, want := string(task.Input.Origin), topic+"/3/1099511627776"; got != want {
					rt.Fatalf("hop %d: origin %q, want %q", hop, got, want)
				}
				return sink(r)
			})
			if err := src.Process(&record.Raw{Key: []byte("k"), Value: []byte("v"), Headers: sent}, 1); err != nil || seen != 1 {
				rt.Fatalf("hop %d: %d records, %v", hop, seen, err)
			}
			plain := NewSource(task, &Info{Stats: &Stats{}}, serde.String, serde.String, Join[string, string](nil))
			if err := plain.Process(&record.Raw{}, 1); err != nil || task.Input.Origin != nil {
				rt.Fatalf("the origin outlives its record: %q, %v", task.Input.Origin, err)
			}
		}
	})
}
