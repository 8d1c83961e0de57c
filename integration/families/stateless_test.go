package families

import (
	"iter"
	"slices"
	"strings"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

type (
	flow = stream.Stream[string, string]
	rows = stream.Table[string, string]
	opt  = stream.Opt[string]
)

func from(b *stream.Builder, topic string) flow {
	return stream.From(b, topic, serde.String, serde.String)
}

func write(s flow, p place) {
	s.To(p.out(), stream.WithKey(serde.String), stream.WithValue(serde.String))
}

// plus appends, and forgets what is long ago. It depends on the order.
func plus(old, v string) string { return tail(old + "+" + v) }

func tail(s string) string { return s[max(0, len(s)-20):] }

// row is what a model keeps of a key.
type row struct {
	value string
	time  int64
}

var statelessFamilies = []*family{
	{
		name: "stateless", parts: 2,
		build: func(b *stream.Builder, p place) {
			seen := from(b, p.in(0)).FilterNot(func(_, v string) bool { return strings.HasSuffix(v, "7") })
			twice := stream.FlatMapValues(seen, func(_, v string) iter.Seq[string] { return slices.Values([]string{v + "a", v + "b"}) })
			br := twice.Split()
			threes := stream.MapValues(br.When(func(_, v string) bool { return strings.HasSuffix(v, "3a") }), strings3)
			write(threes.Merge(br.Otherwise()), p)
		},
		model: func(in []input) (out []output) {
			for _, r := range in {
				switch {
				case r.value == null: // passes every step that keeps the key, unseen
					out = append(out, output{r.key, null, r.time})
				case strings.HasSuffix(r.value, "7"):
				case strings.HasSuffix(r.value, "3"):
					out = append(out, output{r.key, strings3(r.key, r.value+"a"), r.time}, output{r.key, r.value + "b", r.time})
				default:
					out = append(out, output{r.key, r.value + "a", r.time}, output{r.key, r.value + "b", r.time})
				}
			}
			return out
		},
	},
	{
		name: "aggregate", parts: 2,
		build: func(b *stream.Builder, p place) {
			write(from(b, p.in(0)).GroupByKey().Reduce(plus).ToStream(), p)
		},
		model: func(in []input) []output { return reduced(in, func(r input) string { return r.key }) },
	},
	{ // one task writes the repartition topic, so that its order is defined
		name: "regroup",
		build: func(b *stream.Builder, p place) {
			byEnd := stream.GroupBy(from(b, p.in(0)), byEnd)
			write(byEnd.Reduce(plus).ToStream(), p)
		},
		model: func(in []input) []output { return reduced(in, func(r input) string { return byEnd(r.key, r.value) }) },
	},
	{
		name: "processor", parts: 2,
		build: func(b *stream.Builder, p place) {
			seen := stream.KeyValue(p.name+"-seen", serde.String, serde.Int64)
			write(stream.Process(from(b, p.in(0)), func() *counter { return &counter{ref: seen} }, []stream.StoreRef{seen}), p)
		},
		model: func(in []input) (out []output) {
			n := map[string]int64{}
			for _, r := range in {
				v := r.value
				if v == null {
					v = ""
				}
				n[r.key]++
				out = append(out, output{r.key, numbered(v, n[r.key]), r.time})
			}
			return out
		},
	},
}

func strings3(_, v string) string { return "three:" + v }

func byEnd(_, v string) string { return "k" + v[len(v)-1:] }

// reduced is a fold by key with plus; a row's time is the largest of its records.
func reduced(in []input, key func(r input) string) (out []output) {
	table := map[string]row{}
	for _, r := range in {
		if r.value == null {
			continue
		}
		k := key(r)
		now := row{r.value, r.time}
		if old, ok := table[k]; ok {
			now = row{plus(old.value, r.value), max(old.time, r.time)}
		}
		table[k] = now
		out = append(out, output{k, now.value, now.time})
	}
	return out
}
