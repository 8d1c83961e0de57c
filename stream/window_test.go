package stream_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

type windowedText = stream.Windowed[string]

// windowText writes windowed keys as text, to be read in transcripts: key[start,end].
type windowText struct{}

func (windowText) Append(dst []byte, k windowedText) ([]byte, error) {
	return fmt.Appendf(dst, "%s[%d,%d]", k.Key, k.Start.UnixMilli(), k.End.UnixMilli()), nil
}

func (windowText) Decode(b []byte) (k windowedText, err error) {
	return k, fmt.Errorf("%q is not to be read", b)
}

// ms is a duration, at is a time.
func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// windowsOf makes a program that folds "in" by windows and writes the table's updates to "out" as text.
func windowsOf(w stream.TimeWindow, opts ...stream.AggOption) func(*stream.Builder) {
	return func(b *stream.Builder) {
		joined(stream.WindowBy(from(b, "in").GroupByKey(), w), opts...).ToStream().To("out", stream.WithKey[windowedText](windowText{}))
	}
}

// joined folds values into a text, so that a row shows which records it is made of, in which order.
func joined(w stream.WindowedStream[string, string], opts ...stream.AggOption) stream.Table[windowedText, string] {
	return w.ReduceOpt(plusOpt, opts...)
}

func sessionsOf(w stream.Gap, opts ...stream.AggOption) func(*stream.Builder) {
	return func(b *stream.Builder) {
		zero := func() string { return "0" }
		stream.AggregateSession(stream.SessionBy(from(b, "in").GroupByKey(), w), zero,
			func(_, v, a string) string { return a + "+" + v }, func(_, l, r string) string { return "(" + l + "&" + r + ")" }, opts...).
			ToStream().To("out", stream.WithKey[windowedText](windowText{}))
	}
}

func cogroupOf(b *stream.Builder) stream.Cogrouped[string, string] {
	c := stream.Cogroup(from(b, "in").GroupByKey(), func(_, v, a string) string { return a + "+" + v })
	return stream.And(c, from(b, "in2").GroupByKey(), func(_, v, a string) string { return a + "*" + v })
}

func zeroText() string { return "0" }

// windowPrograms are what the transcripts in testdata/windows.txt run.
var windowPrograms = map[string]func(b *stream.Builder){
	"tumbling":       windowsOf(stream.Tumbling(ms(10)), stream.EmitEvery),
	"tumblingGrace":  windowsOf(stream.Tumbling(ms(10)).Grace(ms(5)), stream.EmitEvery),
	"hopping":        windowsOf(stream.Hopping(ms(10), ms(4)), stream.EmitEvery),
	"hoppingUneven":  windowsOf(stream.Hopping(ms(10), ms(3)).Grace(ms(2)), stream.EmitEvery),
	"sliding":        windowsOf(stream.Sliding(ms(10)).Grace(ms(20)), stream.EmitEvery),
	"slidingLate":    windowsOf(stream.Sliding(ms(10)), stream.EmitEvery),
	"slidingZero":    windowsOf(stream.Sliding(0), stream.EmitEvery),
	"unlimited":      windowsOf(stream.Unlimited().StartOn(time.UnixMilli(5)), stream.EmitEvery),
	"session":        sessionsOf(stream.Session(ms(5)).Grace(ms(10)), stream.EmitEvery),
	"sessionNoGrace": sessionsOf(stream.Session(ms(5)), stream.EmitEvery),
	"tumblingClose":  windowsOf(stream.Tumbling(ms(10)).Grace(ms(5)), stream.EmitOnClose),
	"hoppingClose":   windowsOf(stream.Hopping(ms(10), ms(5)), stream.EmitOnClose),
	"slidingClose":   windowsOf(stream.Sliding(ms(10)), stream.EmitOnClose),
	"sessionClose":   sessionsOf(stream.Session(ms(5)), stream.EmitOnClose),
	"closeAndExpire": windowsOf(stream.Tumbling(ms(10)), stream.EmitOnClose, stream.ExpireOnJump()),
	"count": func(b *stream.Builder) {
		n := stream.WindowBy(from(b, "in").GroupByKey(), stream.Tumbling(ms(10))).Count(stream.EmitEvery)
		n.ToStream().To("out", stream.WithKey[windowedText](windowText{}), stream.WithValue(decimal))
	},
	"cogroup": func(b *stream.Builder) {
		cogroupOf(b).Aggregate(zeroText, stream.EmitEvery).ToStream().To("out", stream.WithValue(serde.String))
	},
	"cogroupTumbling": func(b *stream.Builder) {
		t := stream.WindowCogroup(cogroupOf(b), stream.Tumbling(ms(10))).Aggregate(zeroText, stream.EmitEvery)
		t.ToStream().To("out", stream.WithKey[windowedText](windowText{}))
	},
	"cogroupSession": func(b *stream.Builder) {
		t := stream.SessionCogroup(cogroupOf(b), stream.Session(ms(5))).Aggregate(zeroText, func(_, l, r string) string {
			return "(" + l + "&" + r + ")"
		}, stream.EmitEvery)
		t.ToStream().To("out", stream.WithKey[windowedText](windowText{}))
	},
	"groupWindows": func(b *stream.Builder) {
		n := stream.WindowBy(from(b, "in").GroupByKey(), stream.Tumbling(ms(10)).Grace(ms(20))).Count(stream.EmitEvery)
		g := stream.GroupTableBy(n, func(k windowedText, n int64) (string, int64) { return fmt.Sprint(k.Start.UnixMilli()), n })
		g.Reduce(func(a, n int64) int64 { return a + n }, func(a, n int64) int64 { return a - n }, stream.EmitEvery).
			ToStream().To("out", stream.WithValue(decimal))
	},
	"filterWindows": func(b *stream.Builder) {
		n := stream.WindowBy(from(b, "in").GroupByKey(), stream.Tumbling(ms(10))).Count(stream.EmitEvery)
		even := n.Filter(func(_ windowedText, n int64) bool { return n%2 == 0 }, stream.As("even"), stream.EmitEvery)
		stream.MapTable(even, func(k windowedText, n int64) string { return fmt.Sprint(k.Key, n) }).
			ToStream().To("out", stream.WithKey[windowedText](windowText{}))
	},
}

// TestWindows runs the transcripts: after "# name" and "# why" comments come records, each followed by what comes of it.
func TestWindows(t *testing.T) {
	raw, err := os.ReadFile("testdata/windows.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	run := map[string]bool{}
	for _, part := range strings.Split(strings.TrimSpace(string(raw)), "\n\n") {
		lines := strings.Split(part, "\n")
		name := strings.TrimPrefix(lines[0], "# ")
		program := windowPrograms[name]
		if program == nil {
			t.Fatalf("no program %q", name)
		}
		run[name] = true
		lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "  ") })
		out = append(out, windowTranscript(t, name, program, lines))
	}
	for name := range windowPrograms {
		if !run[name] {
			t.Errorf("program %q has no transcript", name)
		}
	}
	golden(t, "windows", strings.Join(out, "\n"))
}

// windowTranscript runs a program record by record, and again with every record undone and run twice, and with a restart after
// every record: all write the same.
func windowTranscript(t *testing.T, name string, program func(*stream.Builder), lines []string) string {
	var out strings.Builder
	var inputs, all []string
	b := stream.NewBuilder()
	program(b)
	r := newRig(t, b)
	for _, l := range lines {
		out.WriteString(l + "\n")
		if strings.HasPrefix(l, "#") {
			continue
		}
		inputs = append(inputs, l)
		in := parseLine(t, l)
		r.must(in.topic, in.key, in.value, in.time)
		for _, w := range r.out {
			all = append(all, strings.TrimPrefix(w, "out "))
			out.WriteString("  " + strings.TrimPrefix(w, "out ") + "\n")
		}
		r.out = nil
		out.WriteString(drops(r))
	}
	for _, mode := range []string{"", "twice", "restart"} {
		if got := replay(t, program, inputs, mode); !slices.Equal(got, all) {
			t.Errorf("%s, %s: the driver writes\n%s\nwant\n%s", name, mode, strings.Join(got, "\n"), strings.Join(all, "\n"))
		}
	}
	return out.String()
}

// drops tells what was dropped since it was asked last.
func drops(r *rig) string {
	var out strings.Builder
	why := map[node.Drop]string{node.DropNullKey: "null key", node.DropNullValue: "null value", node.DropLate: "late"}
	for _, rt := range r.tasks {
		for _, info := range rt.Infos {
			if info == nil {
				continue
			}
			for d, n := range info.Stats.Dropped {
				if n > 0 {
					fmt.Fprintf(&out, "  dropped: %s, %d\n", why[node.Drop(d)], n)
					info.Stats.Dropped[d] = 0
				}
			}
		}
	}
	return out.String()
}

// replay runs inputs through the driver and returns what was written to "out".
func replay(t testing.TB, program func(*stream.Builder), inputs []string, mode string) []string {
	t.Helper()
	b := stream.NewBuilder()
	program(b)
	opts := []streamtest.Option{streamtest.NoCaching()}
	if mode == "twice" {
		opts = append(opts, streamtest.Twice())
	}
	d := streamtest.New(t, b, opts...)
	for _, l := range inputs {
		in := parseLine(t.(*testing.T), l)
		pipe(t, d, in)
		if mode == "restart" {
			if err := d.Restart(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return drained(d, "out")
}

func pipe(t testing.TB, d *streamtest.Driver, in line) {
	t.Helper()
	if err := streamtest.Input(d, in.topic, serde.Bytes, serde.Bytes).PipeRaw(orNull(in.key), orNull(in.value), time.UnixMilli(in.time),
		stream.Headers{}); err != nil {
		t.Fatal(err)
	}
}

func orNull(s string) []byte {
	if s == "-" {
		return nil
	}
	return []byte(s)
}

func drained(d *streamtest.Driver, topic string) (out []string) {
	for _, r := range d.Drain(topic) {
		out = append(out, fmt.Sprintf("%s=%s @%d", text(r.Key), text(r.Value), r.Time.UnixMilli()))
	}
	return out
}
