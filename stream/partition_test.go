package stream_test

import (
	"strings"
	"testing"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

// A partition that a user's function makes up fails the record, and the letter says which one it was and which there are. −1 is no
// secret way to the key's hash, and a number that does not fit into 32 bits does not become another one.
func TestPartitionsOutOfRangeAreRefused(t *testing.T) {
	for name, p := range map[string]int{"one too many": 1, "negative": -1, "huge": 1 << 32} {
		t.Run(name, func(t *testing.T) {
			b := stream.NewBuilder()
			from(b, "in").To("out", stream.Partitioner(func(stream.Record[string, string], int) int { return p }))
			left := stream.TableFrom(b, "left", serde.String, serde.String)
			right := stream.TableFrom(b, "right", serde.String, serde.String)
			stream.JoinForeign(left, right, func(_, v string) string { return v }, func(_, l, r string) string { return l + r },
				stream.PartitionRight(func(string, int) int { return p })).ToStream().To("joined")
			d := streamtest.New(t, b)
			for _, topic := range []string{"in", "left"} {
				if err := streamtest.Input(d, topic, serde.String, serde.String).Pipe("k", "v"); err != nil {
					t.Fatal(err)
				}
			}
			var got []string
			for _, l := range d.DeadLetters() {
				got = append(got, l.Message())
			}
			for i, want := range []string{"Partitioner says partition ", "PartitionRight says partition "} {
				if i >= len(got) || !strings.Contains(got[i], want) || !strings.Contains(got[i], ": the topic has 1, from 0 to 0") {
					t.Errorf("%q, want %s", got, want)
				}
			}
		})
	}
}
