package stream_test

import (
	"strings"
	"testing"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// TestDescribeWindows: names and numbers of windowed aggregations and cogroups are those of Kafka Streams 4, which takes one more
// for a count whose store is described but not named, except over sliding windows.
func TestDescribeWindows(t *testing.T) {
	with := stream.WithValue(serde.Int64)
	for name, c := range map[string]struct {
		program func(g stream.Grouped[string, string])
		want    []string
	}{
		"tumbling count": {func(g stream.Grouped[string, string]) { stream.WindowBy(g, stream.Tumbling(ms(10))).Count() },
			[]string{"KSTREAM-AGGREGATE-0000000002 (stores: [KSTREAM-AGGREGATE-STATE-STORE-0000000001])"}},
		"tumbling count, described": {func(g stream.Grouped[string, string]) { stream.WindowBy(g, stream.Tumbling(ms(10))).Count(with) },
			[]string{"KSTREAM-AGGREGATE-0000000003 (stores: [KSTREAM-AGGREGATE-STATE-STORE-0000000002])"}},
		"sliding count, described": {func(g stream.Grouped[string, string]) { stream.WindowBy(g, stream.Sliding(ms(10))).Count(with) },
			[]string{"KSTREAM-AGGREGATE-0000000002 (stores: [KSTREAM-AGGREGATE-STATE-STORE-0000000001])"}},
		"session count, described": {func(g stream.Grouped[string, string]) { stream.SessionBy(g, stream.Session(ms(10))).Count(with) },
			[]string{"KSTREAM-AGGREGATE-0000000003 (stores: [KSTREAM-AGGREGATE-STATE-STORE-0000000002])"}},
		"reduce": {func(g stream.Grouped[string, string]) {
			stream.SessionBy(g, stream.Session(ms(10))).Reduce(func(a, _ string) string { return a }, stream.Named("n"), stream.As("s"))
			stream.WindowBy(g, stream.Hopping(ms(10), ms(5))).Reduce(func(a, _ string) string { return a })
		}, []string{"n (stores: [s])", "KSTREAM-REDUCE-0000000003 (stores: [KSTREAM-REDUCE-STATE-STORE-0000000002])"}},
	} {
		b := stream.NewBuilder()
		c.program(from(b, "in").GroupByKey())
		text, err := b.Describe()
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range c.want {
			if !strings.Contains(text, "Processor: "+w) {
				t.Errorf("%s: described as\n%swant %s", name, text, w)
			}
		}
	}
}

// TestDescribeCogroup: what Kafka Streams' own tests say of two cogroups, one with names and one without.
func TestDescribeCogroup(t *testing.T) {
	build := func(group []stream.TopicOption, opts ...stream.AggOption) string {
		b := stream.NewBuilder()
		one, two := from(b, "one"), from(b, "two")
		swapped := stream.Map(one, func(k, v string) (string, string) { return v, k })
		group = append(group, stream.WithKey(serde.String), stream.WithValue(serde.String))
		add := func(_, v, a string) string { return a + v }
		c := stream.And(stream.Cogroup(swapped.GroupByKey(group...), add), two.GroupByKey(), add)
		c.Aggregate(zeroText, opts...).ToStream().To("output", stream.WithKey(serde.String), stream.WithValue(serde.String))
		text, err := b.Describe()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for _, c := range []struct{ got, want string }{
		{build([]stream.TopicOption{stream.Named("repartition-test")}), `Topologies:
   Sub-topology: 0
    Source: KSTREAM-SOURCE-0000000000 (topics: [one])
      --> KSTREAM-MAP-0000000002
    Processor: KSTREAM-MAP-0000000002 (stores: [])
      --> repartition-test-repartition-filter
      <-- KSTREAM-SOURCE-0000000000
    Processor: repartition-test-repartition-filter (stores: [])
      --> repartition-test-repartition-sink
      <-- KSTREAM-MAP-0000000002
    Sink: repartition-test-repartition-sink (topic: repartition-test-repartition)
      <-- repartition-test-repartition-filter

  Sub-topology: 1
    Source: KSTREAM-SOURCE-0000000001 (topics: [two])
      --> COGROUPKSTREAM-AGGREGATE-0000000008
    Source: repartition-test-repartition-source (topics: [repartition-test-repartition])
      --> COGROUPKSTREAM-AGGREGATE-0000000007
    Processor: COGROUPKSTREAM-AGGREGATE-0000000007 (stores: [COGROUPKSTREAM-AGGREGATE-STATE-STORE-0000000003])
      --> COGROUPKSTREAM-MERGE-0000000009
      <-- repartition-test-repartition-source
    Processor: COGROUPKSTREAM-AGGREGATE-0000000008 (stores: [COGROUPKSTREAM-AGGREGATE-STATE-STORE-0000000003])
      --> COGROUPKSTREAM-MERGE-0000000009
      <-- KSTREAM-SOURCE-0000000001
    Processor: COGROUPKSTREAM-MERGE-0000000009 (stores: [])
      --> KTABLE-TOSTREAM-0000000010
      <-- COGROUPKSTREAM-AGGREGATE-0000000007, COGROUPKSTREAM-AGGREGATE-0000000008
    Processor: KTABLE-TOSTREAM-0000000010 (stores: [])
      --> KSTREAM-SINK-0000000011
      <-- COGROUPKSTREAM-MERGE-0000000009
    Sink: KSTREAM-SINK-0000000011 (topic: output)
      <-- KTABLE-TOSTREAM-0000000010

`},
		{build(nil, stream.Named("test"), stream.As("store")), `Topologies:
   Sub-topology: 0
    Source: KSTREAM-SOURCE-0000000000 (topics: [one])
      --> KSTREAM-MAP-0000000002
    Processor: KSTREAM-MAP-0000000002 (stores: [])
      --> store-repartition-filter
      <-- KSTREAM-SOURCE-0000000000
    Processor: store-repartition-filter (stores: [])
      --> store-repartition-sink
      <-- KSTREAM-MAP-0000000002
    Sink: store-repartition-sink (topic: store-repartition)
      <-- store-repartition-filter

  Sub-topology: 1
    Source: KSTREAM-SOURCE-0000000001 (topics: [two])
      --> test-cogroup-agg-1
    Source: store-repartition-source (topics: [store-repartition])
      --> test-cogroup-agg-0
    Processor: test-cogroup-agg-0 (stores: [store])
      --> test-cogroup-merge
      <-- store-repartition-source
    Processor: test-cogroup-agg-1 (stores: [store])
      --> test-cogroup-merge
      <-- KSTREAM-SOURCE-0000000001
    Processor: test-cogroup-merge (stores: [])
      --> KTABLE-TOSTREAM-0000000009
      <-- test-cogroup-agg-0, test-cogroup-agg-1
    Processor: KTABLE-TOSTREAM-0000000009 (stores: [])
      --> KSTREAM-SINK-0000000010
      <-- test-cogroup-merge
    Sink: KSTREAM-SINK-0000000010 (topic: output)
      <-- KTABLE-TOSTREAM-0000000009

`},
	} {
		if c.got != c.want {
			t.Errorf("described as\n%s\nwant\n%s", c.got, c.want)
		}
	}
}

// TestWindowFaults: windows and options that cannot be are named where they are given, each with its fix.
func TestWindowFaults(t *testing.T) {
	for want, program := range map[string]func(g stream.Grouped[string, string]){
		"Tumbling: the size must be positive": func(g stream.Grouped[string, string]) {
			stream.WindowBy(g, stream.Tumbling(0)).Count()
		},
		"Hopping: the advance must be positive, and not larger than the size": func(g stream.Grouped[string, string]) {
			stream.WindowBy(g, stream.Hopping(ms(10), ms(11))).Count()
		},
		"the grace must not be negative": func(g stream.Grouped[string, string]) {
			stream.WindowBy(g, stream.Sliding(ms(10)).Grace(-1*ms(1))).Count()
		},
		"whole milliseconds": func(g stream.Grouped[string, string]) { stream.WindowBy(g, stream.Tumbling(ms(1)/2)).Count() },
		"its window is nil":  func(g stream.Grouped[string, string]) { stream.WindowBy(g, nil).Count() },
		"the gap must be positive": func(g stream.Grouped[string, string]) {
			stream.SessionBy(g, stream.Session(0)).Count()
		},
		"Retention of 29ms is too short: its windows and their grace need 30ms": func(g stream.Grouped[string, string]) {
			stream.WindowBy(g, stream.Sliding(ms(10)).Grace(ms(10))).Count(stream.Retention(ms(29)))
		},
		"EmitOnClose: an unlimited window never closes": func(g stream.Grouped[string, string]) {
			stream.WindowBy(g, stream.Unlimited()).Count(stream.EmitOnClose)
		},
		"EmitOnClose is for tables of windows": func(g stream.Grouped[string, string]) { g.Count(stream.EmitOnClose) },
		"Retention is for tables of windows":   func(g stream.Grouped[string, string]) { g.Count(stream.Retention(ms(10))) },
		"streams of a Cogroup have a stream time each": func(g stream.Grouped[string, string]) {
			c := stream.Cogroup(g, func(_, v, a string) string { return a + v })
			stream.WindowCogroup(c, stream.Tumbling(ms(10))).Aggregate(zeroText, stream.EmitOnClose)
		},
	} {
		b := stream.NewBuilder()
		program(from(b, "in").GroupByKey())
		if _, err := b.Build("app"); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), "window_describe_test.go:") {
			t.Errorf("%q is reported as %v", want, err)
		}
	}
}
