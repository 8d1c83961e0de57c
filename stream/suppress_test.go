package stream_test

import (
	"bytes"
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

const tenMillis = 10 * time.Millisecond

// counted counts by key, in windows of ten milliseconds, and writes the counts as text.
func counted(b *stream.Builder, w stream.TimeWindow) stream.Table[stream.Windowed[string], int64] {
	return stream.WindowBy(from(b, "in").GroupByKey(), w).Count()
}

// tellTail fails for the values "bad", after it has written to another branch.
func tellTail(t stream.Table[string, string]) {
	t.ToStream().To("out-before")
	stream.TryMapTable(t, func(_ context, _, v string) (string, error) { return v, fails(v) }).ToStream().To("out")
}

var suppressPrograms = map[string]func(b *stream.Builder){
	"time limit": func(b *stream.Builder) {
		tableOf(b, "in").SuppressUntilTimeLimit(tenMillis).ToStream().To("out")
	},
	"early": func(b *stream.Builder) {
		tableOf(b, "in").SuppressUntilTimeLimit(time.Hour, stream.MaxRecords(2)).ToStream().To("out")
	},
	"stop": func(b *stream.Builder) {
		tableOf(b, "in").SuppressUntilTimeLimit(time.Hour, stream.MaxRecords(1), stream.StopWhenFull()).ToStream().To("out")
	},
	"windows": func(b *stream.Builder) {
		per := stream.SuppressUntilWindowCloses(counted(b, stream.Tumbling(tenMillis).Grace(2*time.Millisecond)))
		stream.MapTable(per, func(_ stream.Windowed[string], n int64) string { return fmt.Sprint(n) }).ToStream().To("out",
			stream.WithKey(serde.TimeWindowed(serde.String, tenMillis)), stream.WithValue(serde.String))
	},
	"failing": func(b *stream.Builder) {
		in := tableOf(b, "in")
		tellTail(in.SuppressUntilTimeLimit(tenMillis))
		in.ToStream().To("out-raw")
	},
	"failing behind a repartition": func(b *stream.Builder) {
		swapped := stream.SelectKey(from(b, "in"), func(_, v string) string { return v }).ToTable()
		tellTail(swapped.SuppressUntilTimeLimit(tenMillis))
	},
	"joined": func(b *stream.Builder) {
		held := tableOf(b, "in").SuppressUntilTimeLimit(tenMillis)
		stream.LeftJoinTable(from(b, "orders"), held, func(_, o string, v opt) string { return o + "+" + v.Or("-") }).To("out")
	},
	"grouped": func(b *stream.Builder) {
		held := tableOf(b, "in").SuppressUntilTimeLimit(tenMillis)
		groups := stream.GroupTableBy(held, func(k, v string) (string, string) { return v, k })
		stream.MapTable(groups.Count(), func(_ string, n int64) string { return fmt.Sprint(n) }).ToStream().To("out",
			stream.WithValue(serde.String))
	},
}

func TestSuppressTranscripts(t *testing.T) { driverTranscripts(t, "suppress", suppressPrograms) }

func TestFullBufferStopsTheApplication(t *testing.T) {
	b := stream.NewBuilder()
	suppressPrograms["stop"](b)
	d, err := streamtest.Open(b, streamtest.OnError(dlq.DeadLetter())) // not even dead letters help
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	in := streamtest.Input(d, "in", serde.String, serde.String)
	if err := in.Pipe("a", "1"); err != nil {
		t.Fatal(err)
	}
	full := new(stream.BufferFullError)
	if err := in.Pipe("b", "1"); !errors.As(err, &full) || full.Records != 2 || full.MaxRecords != 1 {
		t.Errorf("the second row: %v", err)
	}
	if len(d.DeadLetters()) != 0 {
		t.Error("a full buffer is no dead letter")
	}
}

// KAFKA-7895: after a restart rows were sent twice, with the metadata of the changelog. Every way through a restart gives one
// result per window, with the time of its last record; the transcripts do the same for every step.
func TestKafka7895RestartSendsEachWindowOnce(t *testing.T) {
	for at := range 6 {
		b := stream.NewBuilder()
		suppressPrograms["windows"](b)
		d := streamtest.New(t, b)
		in := streamtest.Input(d, "in", serde.String, serde.String)
		got := ""
		for i, ms := range []int64{1, 7, 3, 12, 25, 40} {
			if err := in.PipeAt("k", "v", time.UnixMilli(ms)); err != nil {
				t.Fatal(err)
			}
			if i == at {
				if err := d.Restart(); err != nil {
					t.Fatal(err)
				}
			}
			got += written(d)
		}
		if want := "  out k[0=3 @7\n  out k[10=1 @12\n  out k[20=1 @25\n"; got != want {
			t.Errorf("restart after record %d:\n%swant\n%s", at, got, want)
		}
	}
}

// A row that is tried again is tried with the record that made it due, and comes once.
func TestSuppressedRowIsRetried(t *testing.T) {
	b := stream.NewBuilder()
	failures := 2
	held := tableOf(b, "in").SuppressUntilTimeLimit(tenMillis)
	stream.TryMapTable(held, func(_ context, _, v string) (string, error) {
		if v == "flaky" && failures > 0 {
			failures--
			return "", stream.Transient(errors.New("not yet"))
		}
		return v, nil
	}).ToStream().To("out")
	d := streamtest.New(t, b, streamtest.NoCaching(), streamtest.OnError(dlq.Retry(5, dlq.Exponential(time.Second, time.Second)), dlq.DeadLetter()))
	in := streamtest.Input(d, "in", serde.String, serde.String)
	for i, v := range []string{"flaky", "x", "y"} {
		if err := in.PipeAt(fmt.Sprint("k", i), v, time.UnixMilli(int64(i)*10)); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		if err := d.Advance(time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := written(d), "  out k0=flaky @0\n  out k1=x @10\n"; got != want {
		t.Errorf("written\n%swant\n%s", got, want)
	}
}

// sealed writes what it cannot read back if it is "fail" or "panic". It reads both with a mark before them.
type sealed struct{ serde.Serde[string] }

func (sealed) Decode(b []byte) (string, error) {
	if b, marked := bytes.CutPrefix(b, []byte("+")); marked {
		return string(b), nil
	}
	if string(b) == "panic" {
		panic("cannot read this")
	}
	return string(b), fails(string(b))
}

// A row that cannot be read back from a buffer is set aside alone, with an error or a panic: it does not fail the records that
// follow, nor keep the rows behind it waiting.
func TestBufferedRowThatCannotBeRead(t *testing.T) {
	for what, bad := range map[string]string{"error": "fail", "panic": "panic"} {
		t.Run("suppress, "+what, func(t *testing.T) {
			b := stream.NewBuilder()
			same := func(_, v string) string { return v }
			mapped := stream.MapTable(tableOf(b, "in"), same, stream.WithValue(sealed{serde.String}))
			stream.MapTable(mapped.SuppressUntilTimeLimit(tenMillis), same, stream.WithValue(serde.String)).ToStream().To("out",
				stream.WithValue(serde.String))
			unreadRow(t, b, bad, bad, "KTABLE-SUPPRESS-0000000005")
		})
		t.Run("join with grace, "+what, func(t *testing.T) {
			b := stream.NewBuilder()
			table := stream.TableFrom(b, "table", serde.String, serde.String, stream.As("rows"), stream.Versioned(time.Second))
			in := stream.From(b, "in", serde.String, sealed{serde.String})
			stream.LeftJoinTable(in, table, func(_, v string, _ stream.Opt[string]) string { return v }, stream.Grace(tenMillis)).
				To("out", stream.WithValue(serde.String))
			unreadRow(t, b, "+"+bad, bad, "KSTREAM-LEFTJOIN-0000000003")
		})
	}
}

// unreadRow sends one value that is kept as bad, and not read back, and three that are.
func unreadRow(t *testing.T, b *stream.Builder, first, bad, at string) {
	t.Helper()
	d := streamtest.New(t, b, streamtest.NoCaching(), streamtest.OnError(dlq.DeadLetter()))
	in := streamtest.Input(d, "in", serde.String, serde.String)
	for i, v := range []string{first, "x", "y", "z"} {
		if err := in.PipeAt(fmt.Sprint("k", i), v, time.UnixMilli(int64(i)*10)); err != nil {
			t.Fatal(err)
		}
	}
	want := "  out k1=x @10\n  out k2=y @20\n  dead letter k0=" + bad + " of in/0@0, state at " + at + ": "
	if got := written(d); !strings.HasPrefix(got, want) || strings.Count(got, "dead letter") != 1 {
		t.Errorf("written\n%swant\n%s", got, want)
	}
}
