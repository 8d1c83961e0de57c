package stream_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

// runSeconds pipes values of one key to "in", one a second, and prints what the program writes to "out".
func runSeconds(b *stream.Builder, key string, values ...string) error {
	d, err := streamtest.Open(b, streamtest.NoCaching(), streamtest.OnError(dlq.DeadLetter()))
	if err != nil {
		return err
	}
	defer d.Close()
	in := streamtest.Input(d, "in", serde.String, serde.String)
	for i, v := range values {
		k := key
		if k == "" {
			k = v
		}
		if err := in.PipeAt(k, v, time.Unix(int64(i), 0)); err != nil {
			return err
		}
		for _, r := range d.Drain("out") {
			fmt.Println(text(r.Key), text(r.Value), "at second", r.Time.Unix())
		}
	}
	return nil
}

func ExampleSuppressUntilWindowCloses() {
	b := stream.NewBuilder()
	per := stream.WindowBy(from(b, "in").GroupByKey(), stream.Tumbling(3*time.Second)).Count()
	final := stream.SuppressUntilWindowCloses(per).ToStream()
	stream.Map(final, func(w stream.Windowed[string], n int64) (string, string) {
		return w.Key, fmt.Sprint(n, " until ", w.End.Unix())
	}).To("out")
	runSeconds(b, "k", "a", "b", "c", "d", "e", "f", "g")
	// Output:
	// k 3 until 3 at second 2
	// k 3 until 6 at second 5
}

func ExampleTable_SuppressUntilTimeLimit() {
	b := stream.NewBuilder()
	tableOf(b, "in").SuppressUntilTimeLimit(3 * time.Second).ToStream().To("out")
	runSeconds(b, "k", "a", "b", "c", "d", "e")
	// Output: k d at second 3
}

func ExampleMaxRecords() {
	b := stream.NewBuilder()
	tableOf(b, "in").SuppressUntilTimeLimit(time.Hour, stream.MaxRecords(2), stream.EmitEarlyWhenFull()).ToStream().To("out")
	runSeconds(b, "", "a", "b", "c", "d")
	// Output:
	// a a at second 0
	// b b at second 1
}

func ExampleMaxBytes() {
	b := stream.NewBuilder()
	tableOf(b, "in").SuppressUntilTimeLimit(time.Hour, stream.MaxBytes(100)).ToStream().To("out")
	runSeconds(b, "", "a", "b", "c", "d") // each takes 32 bytes: its key, value, topic and coordinates
	// Output: a a at second 0
}

func ExampleEmitEarlyWhenFull() {
	b := stream.NewBuilder()
	tableOf(b, "in").SuppressUntilTimeLimit(time.Hour, stream.MaxRecords(1), stream.EmitEarlyWhenFull()).ToStream().To("out")
	runSeconds(b, "", "a", "b")
	// Output: a a at second 0
}

func ExampleStopWhenFull() {
	b := stream.NewBuilder()
	tableOf(b, "in").SuppressUntilTimeLimit(time.Hour, stream.MaxRecords(1), stream.StopWhenFull()).ToStream().To("out")
	err := runSeconds(b, "", "a", "b")
	fmt.Println(errors.As(err, new(*stream.BufferFullError)))
	// Output: true
}
