package stream_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/topology"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}

type order struct{ ID string }

type badInit struct{ n int }

func (*badInit) Init(*stream.InitContext[string, string]) error { return nil } // its output has other types
func (*badInit) Close(context)                                  {}
func (*badInit) Process(*stream.ProcessContext[string, int64], stream.Record[string, string]) error {
	return nil
}

// faults are programs with mistakes. What Build says of them is in testdata/faults.txt.
var faults = []struct {
	name  string
	write func(b *stream.Builder)
}{
	{"empty", func(b *stream.Builder) {}},
	{"buffers", func(b *stream.Builder) {
		t := tableOf(b, "in")
		t.SuppressUntilTimeLimit(-time.Second)
		t.SuppressUntilTimeLimit(time.Microsecond)
		t.SuppressUntilTimeLimit(time.Second, stream.MaxRecords(-1), stream.MaxBytes(-2))
		t.SuppressUntilTimeLimit(time.Second, stream.EmitEarlyWhenFull())
		t.SuppressUntilTimeLimit(time.Second, stream.MaxRecords(1), stream.EmitEarlyWhenFull(), stream.StopWhenFull())
		per := stream.WindowBy(from(b, "clicks").GroupByKey(), stream.Tumbling(time.Minute)).Count()
		stream.SuppressUntilWindowCloses(per, stream.MaxRecords(1), stream.EmitEarlyWhenFull())
		windows := serde.TimeWindowed(serde.String, time.Minute)
		stream.SuppressUntilWindowCloses(stream.TableFrom(b, "windows", windows, serde.String))
	}},
	{"foreign keys", func(b *stream.Builder) {
		l, r := tableOf(b, "left"), tableOf(b, "right")
		f := func(_, v string) string { return v }
		join := func(_, _, v string) string { return v }
		stream.JoinForeign(l, r, nil, join)
		stream.JoinForeign(l, r, f, join, stream.PartitionRight(func(int64, int) int { return 0 }), stream.Named("fk"))
		stream.JoinForeign(stream.MapTable(l, func(_, v string) order { return order{v} }), r, func(_ string, o order) string { return o.ID },
			func(_ string, o order, _ string) string { return o.ID })
		stream.JoinForeign(l, tableOf(stream.NewBuilder(), "other"), f, join)
	}},
	{"no serde", func(b *stream.Builder) {
		orders := stream.MapValues(from(b, "in"), func(_, v string) order { return order{v} })
		orders.To("out")
		stream.SelectKey(orders, func(_ string, o order) order { return o }).GroupByKey().Count()
	}},
	{"serde of another type", func(b *stream.Builder) {
		from(b, "in").To("out", stream.WithValue(serde.Int64), stream.WithKey[string](nil))
	}},
	{"nil functions and serdes", func(b *stream.Builder) {
		from(b, "in").Filter(nil).ForEach(nil)
		stream.MapValues[string, string, int](from(b, "in"), nil)
		stream.From[string](b, "other", serde.String, serde.Serde[string](nil))
		stream.Register[order](b, nil)
		from(b, "in").ToTopics(nil)
		stream.Aggregate(from(b, "in").GroupByKey(), nil, func(_, _ string, n int64) int64 { return n })
	}},
	{"names", func(b *stream.Builder) {
		s := from(b, "in").Peek(func(_, _ string) {}, stream.Named("same"))
		s.Peek(func(_, _ string) {}, stream.Named("same"))
		s.Peek(func(_, _ string) {}, stream.Named("not allowed"))
		s.To("a topic")
		s.To("")
		s.Repartition(stream.Named("r"))
		s.Repartition(stream.Named("r"))
		s.GroupByKey().Count(stream.As("store"))
		stream.Aggregate(s.GroupByKey(), func() int64 { return 0 }, func(_, _ string, n int64) int64 { return n }, stream.As("store"))
		s.GroupByKey().Count(stream.As(strings.Repeat("x", 250)))
	}},
	{"sources", func(b *stream.Builder) {
		stream.FromAll(b, []string{"a", "b"}, serde.String, serde.String)
		stream.FromAll(b, []string{"b", "c"}, serde.String, serde.String)
		tableOf(b, "t")
		from(b, "t").To("x")
		from(b, "d")
		stream.From(b, "d", serde.String, serde.Bytes, stream.Offset(stream.Latest))
		stream.FromAll(b, nil, serde.String, serde.String)
		stream.FromPattern(b, regexp.MustCompile("a|p.*"), serde.String, serde.String)
		stream.From(b, "e", serde.String, serde.String, stream.WallClockTime(), stream.PartitionTimeOnInvalid())
		stream.From(b, "f", serde.String, serde.String, stream.Timestamps(
			func(_ stream.Record[string, int64], t time.Time) (time.Time, error) { return t, nil }))
	}},
	{"processors", func(b *stream.Builder) {
		s := from(b, "in")
		stream.Process(s, func() *badInit { return &badInit{} }, nil)
		one := &counter{}
		stream.Process(s, func() *counter { return one }, []stream.StoreRef{seen, nil})
		stream.Process(s, func() *counter { return nil }, []stream.StoreRef{stream.KVRef[string, string]{}})
		stream.ProcessValues(s, func() *wrongValues { return new(wrongValues) }, nil)
		stream.Process[string, string, string, string](s, (func() *forwarder)(nil), nil)
	}},
	{"two builders", func(b *stream.Builder) {
		other := stream.NewBuilder()
		from(b, "in").Merge(from(other, "in2"))
		stream.JoinTable(from(b, "in"), tableOf(other, "t"), func(_, l, _ string) string { return l })
	}},
	{"partitions", func(b *stream.Builder) {
		left := from(b, "in").Repartition(stream.Partitions(4), stream.Named("four"))
		right := from(b, "in").Repartition(stream.Partitions(6), stream.Named("six")).ToTable()
		stream.JoinTable(left, right, func(_, l, _ string) string { return l })
		from(b, "in").Repartition(stream.Partitions(0), stream.Named("none"))
		from(b, "in").GroupByKey(stream.Partitions(3)).Count()
	}},
	{"null in tables", func(b *stream.Builder) {
		s := from(b, "in")
		stream.Nullable(s).GroupByKey().Reduce(func(a, _ stream.Opt[string]) stream.Opt[string] { return a })
		stream.NullableKeys(s).GroupByKey().Count()
	}},
	{"split", func(b *stream.Builder) {
		br := from(b, "in").Split()
		br.Otherwise()
		br.Otherwise(stream.Named("again"))
	}},
	{"partitioner of other types", func(b *stream.Builder) {
		from(b, "in").To("out", stream.Partitioner(func(stream.Record[string, int64], int) int { return 0 }))
	}},
}

// TestFaults compares what Build says of wrong programs. Lines are counted from that of the case.
func TestFaults(t *testing.T) {
	var out strings.Builder
	for _, f := range faults {
		b := stream.NewBuilder()
		f.write(b)
		_, err := b.Build("app")
		var all topology.Faults
		if !errors.As(err, &all) {
			t.Errorf("%s: Build says %v, want faults", f.name, err)
			continue
		}
		out.WriteString("# " + f.name + "\n")
		for _, fault := range all {
			if fault.Site != "" && !strings.Contains(fault.Site, "_test.go:") {
				t.Errorf("%s: %s does not name the user's call", f.name, fault)
			}
			out.WriteString(relative(fault.Error()) + "\n")
		}
	}
	golden(t, "faults", out.String())
}

var site = regexp.MustCompile(`[^ ]*/([a-z]+_test.go):\d+`)

// relative leaves of each file:line the file, so that the golden file does not move with the test.
func relative(s string) string { return site.ReplaceAllString(s, "$1") }

func TestApplicationID(t *testing.T) {
	b := stream.NewBuilder()
	from(b, "in").To("out")
	if _, err := b.Build("my app"); err == nil || !strings.Contains(err.Error(), `"my app" contains ' '`) {
		t.Errorf("Build says %v, want a fault of the application id", err)
	}
}

// TestSite: a fault names the line of the call, also through methods and generic functions.
func TestSite(t *testing.T) {
	b := stream.NewBuilder()
	_, file, line, _ := runtime.Caller(0)
	stream.MapValues[string, string, int](from(b, "in"), nil)
	_, err := b.Build("app")
	want := fmt.Sprintf("topology: %s:%d: MapValues: its function is nil", file, line+1)
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
