package streamtest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

func Example() {
	b := stream.NewBuilder()
	words := stream.From(b, "in", serde.String, serde.String)
	stream.MapValues(words, func(_, v string) string { return strings.ToUpper(v) }).To("out")

	d, err := streamtest.Open(b)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	in := streamtest.Input(d, "in", serde.String, serde.String)
	out := streamtest.Output(d, "out", serde.String, serde.String)
	if err := in.Pipe("k", "hello"); err != nil {
		fmt.Println(err)
	}
	for _, r := range out.ReadAll() {
		fmt.Println(r.Key, r.Value.Or("-"))
	}
	// Output: k HELLO
}

func poison(ctx context.Context, _, v string) (string, error) {
	switch v {
	case "bad":
		return "", errors.New("bad value")
	case "panic":
		panic("boom")
	}
	return v + "!", nil
}

func program() *stream.Builder {
	b := stream.NewBuilder()
	in := stream.From(b, "in", serde.String, serde.String)
	in.To("copy")
	stream.TryMapValues(in, poison).To("out")
	return b
}

func read(d *streamtest.Driver, topic string) string {
	var got []string
	for _, r := range d.Drain(topic) {
		got = append(got, fmt.Sprintf("%s=%s", r.Key, r.Value))
	}
	return strings.Join(got, " ")
}

func TestDriverSetsAsideAndUndoes(t *testing.T) {
	for _, opts := range [][]streamtest.Option{nil, {streamtest.Twice()}} {
		d := streamtest.New(t, program(), opts...)
		in := streamtest.Input(d, "in", serde.String, serde.String)
		for _, v := range []string{"a", "bad", "panic", "b"} {
			if err := in.Pipe("k", v); err != nil {
				t.Fatal(err)
			}
		}
		if got := read(d, "out"); got != "k=a! k=b!" {
			t.Errorf("out: %s", got)
		}
		if got := read(d, "copy"); got != "k=a k=b" {
			t.Errorf("the first branch of what failed stays: %s", got)
		}
		letters := d.DeadLetters()
		if len(letters) != 2 || string(letters[0].Value) != "bad" || letters[0].Message() != "bad value" ||
			letters[0].Stage() != "process" || letters[1].Header("__streams.dlq.class") != "panic" {
			t.Errorf("dead letters %v", letters)
		}
		if s := d.Stats(); s.Consumed != 4 || s.Completed != 2 || s.DeadLettered != 2 {
			t.Errorf("stats %+v", s)
		}
	}
}

func TestDriverKeepPartial(t *testing.T) {
	d := streamtest.New(t, program(), streamtest.KeepPartial(), streamtest.OnError(dlq.Skip))
	if err := streamtest.Input(d, "in", serde.String, serde.String).Pipe("k", "bad"); err != nil {
		t.Fatal(err)
	}
	if got := read(d, "copy"); got != "k=bad" {
		t.Errorf("copy: %s", got)
	}
	if s := d.Stats(); s.Skipped != 1 || s.Consumed != 1 {
		t.Errorf("stats %+v", s)
	}
}

func TestDriverFails(t *testing.T) {
	d := streamtest.New(t, program(), streamtest.OnError(dlq.Fail()))
	in := streamtest.Input(d, "in", serde.String, serde.String)
	if err := in.Pipe("k", "bad"); err == nil || !strings.Contains(err.Error(), "in/0@0: task 0_0: process at") {
		t.Fatalf("error %v", err)
	}
	if err := in.Pipe("k", "a"); err == nil {
		t.Error("a program that has stopped takes records")
	}
}

func TestDriverRepartitionAndNulls(t *testing.T) {
	b := stream.NewBuilder()
	in := stream.From(b, "in", serde.String, serde.String)
	stream.SelectKey(in, func(_, v string) string { return v }).Repartition().To("out")
	d := streamtest.New(t, b)
	x := streamtest.Input(d, "in", serde.String, serde.String)
	at := time.UnixMilli(1234).UTC()
	err := errors.Join(x.PipeAt("a", "b", at), x.Delete("c"),
		x.PipeRecord(stream.Record[string, string]{NullKey: true, Value: stream.Some("n"), Time: at}))
	if err != nil {
		t.Fatal(err)
	}
	out := streamtest.Output(d, "out", serde.String, serde.String).ReadAll()
	if len(out) == 0 || out[0].Key != "b" || !out[0].Time.Equal(at) {
		t.Fatalf("out %+v", out)
	}
	if err := d.Restart(); err != nil {
		t.Fatal(err)
	}
	if got := read(d, "out"); got != "" {
		t.Errorf("a clean restart repeats %s", got)
	}
	if err := x.Pipe("x", "y"); err != nil || read(d, "out") != "y=y" {
		t.Errorf("after a restart: %v", err)
	}
}

// A record that would make a row larger than the changelog takes fails by itself: the row is as before it.
func TestARowThatIsTooLargeFailsItsRecord(t *testing.T) {
	b := stream.NewBuilder()
	in := stream.From(b, "in", serde.String, serde.String)
	in.To("copy")
	in.GroupByKey().Reduce(func(sum, v string) string { return sum + v }, stream.As("sum")).ToStream().To("out")
	d := streamtest.New(t, b, streamtest.MaxRecordBytes(300))
	input := streamtest.Input(d, "in", serde.String, serde.String)
	for _, v := range []string{"x", "y", "z"} {
		n := 100
		if v == "z" {
			n = 50
		}
		if err := input.Pipe("k", strings.Repeat(v, n)); err != nil {
			t.Fatal(err)
		}
	}
	short := strings.NewReplacer(strings.Repeat("x", 100), "X", strings.Repeat("y", 100), "Y", strings.Repeat("z", 50), "Z")
	if got := short.Replace(read(d, "out") + " | " + read(d, "copy")); got != "k=X k=XZ | k=X k=Z" {
		t.Errorf("out and copy: %s", got)
	}
	letters := d.Drain(streamtest.DeadLetterTopic)
	if len(letters) != 1 {
		t.Fatalf("%d dead letters", len(letters))
	}
	if stage, _ := letters[0].Headers.Get(dlq.HeaderStage); string(stage) != "state" {
		t.Errorf("stage %s", stage)
	}
}
