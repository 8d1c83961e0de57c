package stream_test

import (
	"iter"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

type input struct{ key, value string }

var inputs = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) input {
	some := rapid.SampledFrom([]string{"-", "a", "b", "c", "aa", "bb"})
	return input{some.Draw(t, "key"), some.Draw(t, "value")}
}), 0, 40)

// outputs runs records through a program and returns what it writes, without topics, one time for each input.
func outputs(t testing.TB, in []input, write func(b *stream.Builder)) []string {
	b := stream.NewBuilder()
	write(b)
	r := newRig(t, b)
	for i, rec := range in {
		r.must("in", rec.key, rec.value, int64(i))
	}
	var out []string
	for _, l := range r.out {
		_, rest, _ := strings.Cut(l, " ")
		out = append(out, rest)
	}
	return out
}

func pass(b *stream.Builder) { from(b, "in").To("out") }

func long(_, v string) bool { return len(v) > 1 }

// laws are pairs of programs that write the same records, in the same order.
var laws = map[string][2]func(b *stream.Builder){
	"filter and filterNot, merged, are the input, tombstones twice": {
		func(b *stream.Builder) {
			s := from(b, "in")
			s.Filter(long).Merge(s.FilterNot(long)).To("out")
		},
		func(b *stream.Builder) {
			s := from(b, "in")
			s.Merge(stream.Present(stream.Nullable(s).Filter(func(_ string, v stream.Opt[string]) bool { return !v.IsSome() }))).To("out")
		},
	},
	"the branches of a split, merged, are the input": {
		func(b *stream.Builder) {
			br := from(b, "in").Split()
			br.When(long).Merge(br.When(func(k, v string) bool { return k == v })).Merge(br.Otherwise()).To("out")
		}, pass,
	},
	"identity steps change nothing": {
		func(b *stream.Builder) {
			s := stream.MapValues(from(b, "in"), func(_, v string) string { return v }).Peek(func(_, _ string) {})
			stream.FlatMapValues(s, func(_, v string) iter.Seq[string] { return slices.Values([]string{v}) }).To("out", stream.WithValue(serde.String))
		}, pass,
	},
	"Present undoes Nullable, PresentKeys NullableKeys": {
		func(b *stream.Builder) {
			stream.PresentKeys(stream.Present(stream.Nullable(stream.NullableKeys(from(b, "in"))))).To("out")
		}, pass,
	},
	"map is selectKey and mapValues": {
		func(b *stream.Builder) {
			stream.Map(from(b, "in"), func(k, v string) (string, string) { return v, k + v }).To("out")
		},
		func(b *stream.Builder) {
			both := stream.MapValues(from(b, "in"), func(k, v string) string { return k + v })
			// What was the value is the end of the new one.
			stream.SelectKey(both, func(k, kv string) string { return strings.TrimPrefix(kv, k) }).To("out")
		},
	},
	"a filtered table is the table of a filter, but for rows that were never there": {
		func(b *stream.Builder) {
			tableOf(b, "in", stream.As("t"), stream.EmitEvery).Filter(long).ToStream().To("out")
		},
		func(b *stream.Builder) {
			rows := tableOf(b, "in")
			stream.MapTableOpt(rows, func(_, v string) stream.Opt[string] {
				if len(v) > 1 {
					return stream.Some(v)
				}
				return stream.None[string]()
			}, stream.As("t"), stream.EmitEvery, stream.WithValue(serde.String)).
				Filter(func(_, _ string) bool { return true }).ToStream().To("out")
		},
	},
}

func TestLaws(t *testing.T) {
	for name, law := range laws {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(r *rapid.T) {
				in := inputs.Draw(r, "records")
				a, b := outputs(t, in, law[0]), outputs(t, in, law[1])
				if strings.HasSuffix(name, "twice") {
					slices.Sort(a)
					slices.Sort(b)
				}
				if !slices.Equal(a, b) {
					r.Fatalf("one writes\n%s\nthe other\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
				}
			})
		})
	}
}

// TestRepartitionKeepsOrder: records of one key come out of a repartition topic as they went in; those without a key do not.
func TestRepartitionKeepsOrder(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		in := inputs.Draw(r, "records")
		got := outputs(t, in, func(b *stream.Builder) { from(b, "in").Repartition().To("out") })
		want := outputs(t, slices.DeleteFunc(slices.Clone(in), func(i input) bool { return i.key == "-" }), pass)
		strip := func(lines []string) []string {
			out := make([]string, len(lines))
			for i, l := range lines {
				out[i], _, _ = strings.Cut(l, " @")
			}
			return out
		}
		if !slices.Equal(strip(got), strip(want)) {
			r.Fatalf("got %q, want %q", got, want)
		}
	})
}

// TestAllocations: the steps allocate nothing of their own per record.
func TestAllocations(t *testing.T) {
	b := stream.NewBuilder()
	s := stream.From(b, "in", serde.BytesView, serde.BytesView)
	br := s.Filter(func(_, v []byte) bool { return true }).Split()
	br.When(func(_, v []byte) bool { return len(v) > 100 })
	rest := stream.MapValues(br.Otherwise(), func(_, v []byte) []byte { return v })
	rest = stream.TryMapValues(rest, func(_ context, _, v []byte) ([]byte, error) { return v, nil })
	rest = stream.Present(stream.Nullable(rest))
	p := stream.Process(stream.SelectKey(rest, func(_, v []byte) []byte { return v }), func() *passBytes { return new(passBytes) }, nil)
	n := 0
	p.Merge(rest).ForEach(func(_, _ []byte) { n++ })
	topo, err := b.Build("app")
	if err != nil {
		t.Fatal(err)
	}
	in, err := topo.Instantiate(0, &node.Task{}, map[string]state.Store{})
	if err == nil {
		err = in.Init()
	}
	if err != nil {
		t.Fatal(err)
	}
	rec := &record.Raw{Key: []byte("k"), Value: []byte("v")}
	src := in.Source("in")
	if allocs := testing.AllocsPerRun(100, func() {
		if err := src.Process(rec, 1); err != nil {
			t.Fatal(err)
		}
	}); allocs != 0 || n == 0 {
		t.Errorf("%v allocations per record, %d records arrived", allocs, n)
	}
}

type passBytes struct{}

func (*passBytes) Process(c *stream.ProcessContext[[]byte, []byte], r stream.Record[[]byte, []byte]) error {
	c.Forward(r)
	return nil
}
