package stream_test

import (
	goctx "context"
	"errors"
	"fmt"
	"iter"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

type (
	strings2 = stream.Stream[string, string]
	opt      = stream.Opt[string]
)

// programs are what the transcripts in testdata/steps.txt run. All read "in" and "table", and write text to "out" and others.
var programs = map[string]func(b *stream.Builder){
	"filter":    step(func(s strings2) strings2 { return s.Filter(func(_, v string) bool { return v != "drop" }) }),
	"filterNot": step(func(s strings2) strings2 { return s.FilterNot(func(_, v string) bool { return v == "drop" }) }),
	"tryFilter": step(func(s strings2) strings2 {
		return s.TryFilter(func(_ context, k, v string) (bool, error) { return v != "drop", fails(v) })
	}),
	"mapValues":    step(func(s strings2) strings2 { return stream.MapValues(s, func(k, v string) string { return k + v }) }),
	"tryMapValues": step(func(s strings2) strings2 { return stream.TryMapValues(s, tryJoin) }),
	"flatMapValues": step(func(s strings2) strings2 {
		return stream.FlatMapValues(s, func(_, v string) iter.Seq[string] { return strings.FieldsSeq(v) })
	}),
	"tryFlatMapValues": step(func(s strings2) strings2 {
		return stream.TryFlatMapValues(s, func(_ context, _, v string) (iter.Seq[string], error) { return nil, fails(v) })
	}),
	"map": step(func(s strings2) strings2 {
		return stream.Map(s, func(k, v string) (string, string) { return v, k })
	}),
	"tryMap": step(func(s strings2) strings2 {
		return stream.TryMap(s, func(_ context, k, v string) (string, string, error) { return v, k, fails(v) })
	}),
	"flatMap": step(func(s strings2) strings2 {
		return stream.FlatMap(s, func(k, v string) iter.Seq2[string, string] {
			return func(yield func(string, string) bool) { _ = yield(v, k) && yield(k, v) }
		})
	}),
	"selectKey": step(func(s strings2) strings2 { return stream.SelectKey(s, func(k, v string) string { return v + k }) }),
	"trySelectKey": step(func(s strings2) strings2 {
		return stream.TrySelectKey(s, func(_ context, k, v string) (string, error) { return v, fails(v) })
	}),
	"peek": func(b *stream.Builder) {
		// What Peek and ForEach see goes to a list that the merged stream shows.
		var seen []string
		s := from(b, "in").TryPeek(func(_ context, _, v string) error { return fails(v) })
		s = s.Peek(func(k, v string) { seen = append(seen, k+":"+v) })
		stream.MapValues(stream.Nullable(s), func(string, opt) string { defer func() { seen = nil }(); return strings.Join(seen, " ") }).To("out")
	},
	"forEach": func(b *stream.Builder) {
		from(b, "in").ForEach(func(_, v string) {
			if v == "panic" {
				panic("as told")
			}
		})
		from(b, "in").TryForEach(func(_ context, _, v string) error { return fails(v) })
		from(b, "in").To("out")
	},
	"split": func(b *stream.Builder) {
		br := from(b, "in").Split()
		br.When(func(_, v string) bool { return strings.HasPrefix(v, "a") }).To("a")
		br.Otherwise().To("out")
		br.When(func(_, v string) bool { return len(v) > 2 }).To("long")
		br.TryWhen(func(_ context, _, v string) (bool, error) { return false, fails(v) })
	},
	"merge":       func(b *stream.Builder) { from(b, "in").Merge(from(b, "in2")).To("out") },
	"repartition": step(func(s strings2) strings2 { return s.Repartition() }),
	"toTopics": func(b *stream.Builder) {
		from(b, "in").ToTopics(func(r stream.Record[string, string]) string { return "to-" + r.Value.Or("null") })
		from(b, "in").TryToTopics(func(_ context, r stream.Record[string, string]) (string, error) {
			return "out", fails(r.Value.Or(""))
		}, stream.Partitioner(func(r stream.Record[string, string], n int) int { return n - 1 }))
	},
	"nullable": step(func(s strings2) strings2 {
		return stream.Present(stream.MapValues(stream.Nullable(s), func(_ string, v opt) opt {
			if v.Or("") == "drop" {
				return stream.None[string]()
			}
			return stream.Some("seen " + v.Or("null"))
		}))
	}),
	"nullableKeys": step(func(s strings2) strings2 {
		return stream.PresentKeys(stream.SelectKey(stream.NullableKeys(s), func(k opt, v string) opt {
			if v == "drop" {
				return stream.None[string]()
			}
			return stream.Some(k.Or("null") + "!")
		}))
	}),
	"nullToTopic": func(b *stream.Builder) {
		stream.NullableKeys(stream.Nullable(from(b, "in"))).Repartition().To("out")
	},
	"nullFromTopic": func(b *stream.Builder) {
		stream.MapValues(stream.From(b, "in", serde.String, serde.Opt(serde.String)), func(_ string, v opt) opt { return v }).
			To("out", stream.WithValue(serde.Opt(serde.String)))
	},
	"timestamps": func(b *stream.Builder) {
		stream.From(b, "in", serde.String, serde.String, stream.Timestamps(
			func(r stream.Record[string, string], before time.Time) (time.Time, error) {
				n, err := strconv.Atoi(r.Value.Or("0"))
				return time.UnixMilli(int64(n)), err
			})).To("out")
	},
	"pattern": func(b *stream.Builder) {
		stream.FromPattern(b, regexp.MustCompile("in|in2"), serde.String, serde.String).To("out")
	},
	"count": func(b *stream.Builder) {
		stream.GroupBy(from(b, "in"), func(_, v string) string { return v }).Count(stream.EmitEvery).ToStream().To("out", stream.WithValue(decimal))
	},
	"reduce": func(b *stream.Builder) {
		from(b, "in").GroupByKey().Reduce(plus, stream.EmitEvery).ToStream().To("out")
	},
	"reduceOpt": func(b *stream.Builder) {
		from(b, "in").GroupByKey().ReduceOpt(plusOpt, stream.EmitEvery).ToStream().To("out")
	},
	"aggregate": func(b *stream.Builder) {
		stream.Aggregate(from(b, "in").GroupByKey(), func() string { return "0" }, func(_, v, a string) string { return plus(a, v) },
			stream.EmitEvery).ToStream().To("out")
	},
	"tryAggregate": func(b *stream.Builder) {
		stream.TryAggregate(from(b, "in").GroupByKey(), func() string { return "0" },
			func(_ context, _, v, a string) (string, error) { return plus(a, v), fails(v) }, stream.EmitEvery).ToStream().To("out")
	},
	"aggregateOpt": func(b *stream.Builder) {
		stream.AggregateOpt(from(b, "in").GroupByKey(), func(_, v string, old opt) opt { return plusOpt(old.Or("none"), v) },
			stream.EmitEvery).ToStream().To("out")
	},
	"table": func(b *stream.Builder) { tableOf(b, "in").ToStream().To("out") },
	"tableFilter": func(b *stream.Builder) {
		t := tableOf(b, "in", stream.As("rows"), stream.EmitEvery)
		t.Filter(func(_, v string) bool { return v != "drop" }).ToStream().To("out")
		t.FilterNot(func(_, v string) bool { return v != "drop" }).ToStream().To("dropped")
	},
	"mapTable": func(b *stream.Builder) {
		stream.MapTable(tableOf(b, "in"), func(k, v string) string { return k + v }).ToStream().To("out", stream.WithValue(serde.String))
	},
	"mapTableOpt": func(b *stream.Builder) {
		stream.MapTableOpt(tableOf(b, "in"), func(_, v string) opt { return plusOpt("x", v) }).ToStream().To("out")
	},
	"transformTable": func(b *stream.Builder) {
		stream.TransformTable(tableOf(b, "in"), func() func(string, opt) opt {
			return func(_ string, v opt) opt { return stream.Some("got " + v.Or("null")) }
		}).ToStream().To("out")
	},
	"toTable": func(b *stream.Builder) {
		stream.SelectKey(from(b, "in"), func(k, v string) string { return k + k }).ToTable(stream.As("rows"), stream.EmitEvery).ToStream().To("out")
	},
	"toStreamBy": func(b *stream.Builder) {
		stream.ToStreamBy(tableOf(b, "in"), func(k string, v opt) string { return k + v.Or("?") }).To("out")
	},
	"groupTable": func(b *stream.Builder) {
		g := stream.GroupTableByOpt(tableOf(b, "in"), func(_, v string) (string, string, bool) { return v[:1], v, v != "drop" })
		g.ReduceOpt(plusOpt, func(a, v string) opt {
			if a == v {
				return stream.None[string]()
			}
			return stream.Some(a + "-" + v)
		}, stream.EmitEvery).ToStream().To("out")
		g.Count(stream.EmitEvery).ToStream().To("counts", stream.WithValue(decimal))
	},
	"joinTable": func(b *stream.Builder) {
		stream.JoinTable(from(b, "in"), tableOf(b, "table"), func(_, l, r string) string { return plus(l, r) }).To("out")
	},
	"leftJoinTable": func(b *stream.Builder) {
		stream.LeftJoinTable(from(b, "in"), tableOf(b, "table"), func(_, l string, r opt) string { return plus(l, r.Or("?")) }).To("out")
	},
	"joinRekeyed": func(b *stream.Builder) {
		by := stream.SelectKey(from(b, "in"), func(_, v string) string { return v[:1] })
		stream.JoinTable(by, tableOf(b, "table").Filter(func(_, v string) bool { return v != "drop" }),
			func(_, l, r string) string { return plus(l, r) }).To("out")
	},
}

func step(f func(strings2) strings2) func(*stream.Builder) {
	return func(b *stream.Builder) {
		f(from(b, "in")).To("out", stream.WithKey(serde.String), stream.WithValue(serde.String))
	}
}

func fails(v string) error {
	if v == "fail" {
		return errors.New("as told")
	}
	return nil
}

func plus(a, v string) string { return a + "+" + v }

func plusOpt(a, v string) opt {
	if v == "del" {
		return stream.None[string]()
	}
	return stream.Some(plus(a, v))
}

func tryJoin(_ goctx.Context, k, v string) (string, error) { return k + v, fails(v) }

// decimal writes numbers as text, to be read in transcripts.
var decimal serde.Serde[int64] = decimalSerde{}

type decimalSerde struct{}

func (decimalSerde) Append(dst []byte, v int64) ([]byte, error) {
	return strconv.AppendInt(dst, v, 10), nil
}
func (decimalSerde) Decode(b []byte) (int64, error) { return strconv.ParseInt(string(b), 10, 64) }

// TestSteps runs the transcripts: a program's name, then records, each followed by what comes of it.
func TestSteps(t *testing.T) {
	text, err := os.ReadFile("testdata/steps.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	run := map[string]bool{}
	for _, part := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
		lines := strings.Split(part, "\n")
		name := strings.TrimPrefix(lines[0], "# ")
		program := programs[name]
		if program == nil {
			t.Fatalf("no program %q", name)
		}
		run[name] = true
		inputs := slices.DeleteFunc(lines[1:], func(l string) bool { return strings.HasPrefix(l, "  ") })
		out.WriteString(lines[0] + "\n" + transcript(t, name, program, inputs) + "\n")
	}
	for name := range programs {
		if !run[name] {
			t.Errorf("program %q has no transcript", name)
		}
	}
	golden(t, "steps", strings.TrimSuffix(out.String(), "\n"))
}

var reasons = map[node.Drop]string{node.DropNullKey: "null key", node.DropNullValue: "null value"}

type line struct {
	topic, key, value string
	time              int64
}

func parseLine(t *testing.T, text string) (l line) {
	var kv, at string
	if _, err := fmt.Sscan(strings.ReplaceAll(text, "_", "·"), &l.topic, &kv, &at); err != nil {
		t.Fatalf("line %q: %v", text, err)
	}
	kv = strings.ReplaceAll(kv, "·", " ")
	l.key, l.value, _ = strings.Cut(kv, "=")
	l.time, _ = strconv.ParseInt(strings.TrimPrefix(at, "@"), 10, 64)
	return l
}

// transcript runs a program twice: plainly, and in the driver, which undoes every record and runs it again. Both write the same.
func transcript(t *testing.T, name string, program func(*stream.Builder), inputs []string) string {
	b := stream.NewBuilder()
	program(b)
	r := newRig(t, b)
	var out strings.Builder
	byTopic := map[string][]string{}
	for _, in := range inputs {
		l := parseLine(t, in)
		out.WriteString(in + "\n")
		err := func() (err error) {
			defer func() {
				if p := recover(); p != nil {
					err = fmt.Errorf("panic: %v", p)
					r.tasks[0].Task.Units.Rollback()
				}
			}()
			return r.send(l.topic, l.key, l.value, l.time)
		}()
		if err != nil {
			r.out = nil // undone by the task, which the rig does not have
			fmt.Fprintf(&out, "  fails: %v\n", err)
		}
		for _, w := range r.out {
			topic, _, _ := strings.Cut(w, " ")
			byTopic[topic] = append(byTopic[topic], w)
			out.WriteString("  " + w + "\n")
		}
		r.out = nil
		for _, rt := range r.tasks {
			for _, info := range rt.Infos {
				if info == nil {
					continue
				}
				for why, n := range info.Stats.Dropped {
					if n > 0 {
						fmt.Fprintf(&out, "  dropped at %s: %s\n", info.Name, reasons[node.Drop(why)])
						info.Stats.Dropped[why] = 0
					}
				}
			}
		}
	}
	inDriver(t, name, program, inputs, byTopic)
	return out.String()
}

func inDriver(t *testing.T, name string, program func(*stream.Builder), inputs []string, want map[string][]string) {
	b := stream.NewBuilder()
	program(b)
	d := streamtest.New(t, b, streamtest.NoCaching(), streamtest.Twice(), streamtest.OnError(stream.Skip))
	for _, in := range inputs {
		l := parseLine(t, in)
		var k, v []byte
		if l.key != "-" {
			k = []byte(l.key)
		}
		if l.value != "-" {
			v = []byte(l.value)
		}
		if err := streamtest.Input(d, l.topic, serde.Bytes, serde.Bytes).PipeRaw(k, v, time.UnixMilli(l.time), stream.Headers{}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for topic, lines := range want {
		var got []string
		for _, r := range d.Drain(topic) {
			got = append(got, fmt.Sprintf("%s %s=%s @%d", topic, text(r.Key), text(r.Value), r.Time.UnixMilli()))
		}
		for i, l := range lines {
			lines[i], _, _ = strings.Cut(l, " partition ")
		}
		if !slices.Equal(got, lines) {
			t.Errorf("%s: the driver writes %q, want %q", name, got, lines)
		}
	}
}
