package stream_test

import (
	"fmt"
	"time"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

// runTimed pipes records of text, written "topic key=value @ms" with "-" for null, through a program and prints what it writes to
// "out".
func runTimed(b *stream.Builder, records ...string) {
	d, err := streamtest.Open(b, streamtest.NoCaching())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	for _, r := range records {
		var topic, kv string
		var at int64
		fmt.Sscanf(r, "%s %s @%d", &topic, &kv, &at)
		var k, v string
		fmt.Sscanf(kv, "%1s=%s", &k, &v)
		in := streamtest.Input(d, topic, serde.Bytes, serde.Bytes)
		if err := in.PipeRaw(orNull(k), orNull(v), time.UnixMilli(at), stream.Headers{}); err != nil {
			fmt.Println(err)
			return
		}
		for _, l := range drained(d, "out") {
			fmt.Println(l)
		}
	}
}

// showWindows writes a table of windows to "out" as text.
func showWindows[V any](t stream.Table[stream.Windowed[string], V]) {
	s := stream.MapValues(t.ToStream(), func(_ stream.Windowed[string], v V) string { return fmt.Sprint(v) })
	s.To("out", stream.WithKey[windowedText](windowText{}), stream.WithValue(serde.String))
}

func ExampleWindowBy() {
	b := stream.NewBuilder()
	clicks := from(b, "clicks").GroupByKey()
	showWindows(stream.WindowBy(clicks, stream.Tumbling(10*time.Millisecond)).Count())
	runTimed(b, "clicks a=x @1", "clicks a=y @9", "clicks a=z @10")
	// Output:
	// a[0,10]=1 @1
	// a[0,10]=2 @9
	// a[10,20]=1 @10
}

func ExampleTumbling() {
	b := stream.NewBuilder()
	w := stream.Tumbling(10 * time.Millisecond).Grace(5 * time.Millisecond)
	showWindows(stream.WindowBy(from(b, "in").GroupByKey(), w).Count(stream.EmitOnClose))
	runTimed(b, "in a=x @1", "in a=y @14", "in a=late @2", "in a=z @15")
	// Output: a[0,10]=2 @2
}

func ExampleHopping() {
	b := stream.NewBuilder()
	showWindows(stream.WindowBy(from(b, "in").GroupByKey(), stream.Hopping(10*time.Millisecond, 5*time.Millisecond)).Count())
	runTimed(b, "in a=x @7")
	// Output:
	// a[0,10]=1 @7
	// a[5,15]=1 @7
}

func ExampleSliding() {
	b := stream.NewBuilder()
	w := stream.WindowBy(from(b, "in").GroupByKey(), stream.Sliding(10*time.Millisecond))
	showWindows(w.Reduce(func(old, v string) string { return old + v }))
	runTimed(b, "in a=x @20", "in a=y @25")
	// Output:
	// a[10,20]=x @20
	// a[21,31]=y @25
	// a[15,25]=xy @25
}

func ExampleUnlimited() {
	b := stream.NewBuilder()
	w := stream.Unlimited().StartOn(time.UnixMilli(5))
	n := stream.WindowBy(from(b, "in").GroupByKey(), w).Count()
	n.ToStream().ForEach(func(k stream.Windowed[string], n int64) { fmt.Println(k.Key, k.Start.UnixMilli(), n) })
	runTimed(b, "in a=early @4", "in a=x @5", "in a=y @5000")
	// Output:
	// a 5 1
	// a 5 2
}

func ExampleSessionBy() {
	b := stream.NewBuilder()
	showWindows(stream.SessionBy(from(b, "in").GroupByKey(), stream.Session(5*time.Millisecond).Grace(time.Second)).Count())
	runTimed(b, "in a=x @1", "in a=y @9", "in a=z @5")
	// Output:
	// a[1,1]=1 @1
	// a[9,9]=1 @9
	// a[1,1]=- @1
	// a[9,9]=- @9
	// a[1,9]=3 @9
}

func ExampleWindowedStream_Reduce() {
	b := stream.NewBuilder()
	w := stream.WindowBy(from(b, "in").GroupByKey(), stream.Tumbling(10*time.Millisecond))
	showWindows(w.Reduce(func(old, v string) string { return max(old, v) }))
	runTimed(b, "in a=x @1", "in a=b @2")
	// Output:
	// a[0,10]=x @1
	// a[0,10]=x @2
}

func ExampleWindowedStream_ReduceOpt() {
	b := stream.NewBuilder()
	w := stream.WindowBy(from(b, "in").GroupByKey(), stream.Tumbling(10*time.Millisecond))
	showWindows(w.ReduceOpt(plusOpt))
	runTimed(b, "in a=x @1", "in a=del @2")
	// Output:
	// a[0,10]=x @1
	// a[0,10]=- @2
}

func ExampleWindowedStream_TryReduce() {
	b := stream.NewBuilder()
	w := stream.WindowBy(from(b, "in").GroupByKey(), stream.Tumbling(10*time.Millisecond))
	showWindows(w.TryReduce(func(_ context, old, v string) (string, error) { return old + v, fails(v) }))
	runTimed(b, "in a=x @1", "in a=fail @2", "in a=y @3")
	// Output:
	// a[0,10]=x @1
	// a[0,10]=xy @3
}

func ExampleAggregateWindowed() {
	b := stream.NewBuilder()
	w := stream.WindowBy(from(b, "in").GroupByKey(), stream.Tumbling(10*time.Millisecond))
	length := func(_, v string, n int64) int64 { return n + int64(len(v)) }
	showWindows(stream.AggregateWindowed(w, func() int64 { return 0 }, length))
	runTimed(b, "in a=one @1", "in a=three @2")
	// Output:
	// a[0,10]=3 @1
	// a[0,10]=8 @2
}

func ExampleTryAggregateWindowed() {
	b := stream.NewBuilder()
	w := stream.WindowBy(from(b, "in").GroupByKey(), stream.Tumbling(10*time.Millisecond))
	showWindows(stream.TryAggregateWindowed(w, func() int64 { return 0 }, func(_ context, _, v string, n int64) (int64, error) {
		return n + int64(len(v)), fails(v)
	}))
	runTimed(b, "in a=one @1", "in a=fail @2")
	// Output: a[0,10]=3 @1
}

func ExampleAggregateWindowedOpt() {
	b := stream.NewBuilder()
	w := stream.WindowBy(from(b, "in").GroupByKey(), stream.Tumbling(10*time.Millisecond))
	showWindows(stream.AggregateWindowedOpt(w, func(_, v string, n stream.Opt[int64]) stream.Opt[int64] {
		if v == "reset" {
			return stream.None[int64]()
		}
		return stream.Some(n.Or(0) + 1)
	}))
	runTimed(b, "in a=x @1", "in a=reset @2")
	// Output:
	// a[0,10]=1 @1
	// a[0,10]=- @2
}

func ExampleTryAggregateWindowedOpt() {
	b := stream.NewBuilder()
	w := stream.WindowBy(from(b, "in").GroupByKey(), stream.Tumbling(10*time.Millisecond))
	showWindows(stream.TryAggregateWindowedOpt(w, func(_ context, _, v string, n stream.Opt[int64]) (stream.Opt[int64], error) {
		return stream.Some(n.Or(0) + 1), fails(v)
	}))
	runTimed(b, "in a=x @1", "in a=fail @2")
	// Output: a[0,10]=1 @1
}

func ExampleAggregateSession() {
	b := stream.NewBuilder()
	s := stream.SessionBy(from(b, "in").GroupByKey(), stream.Session(5*time.Millisecond))
	length := func(_, v string, n int64) int64 { return n + int64(len(v)) }
	showWindows(stream.AggregateSession(s, func() int64 { return 0 }, length, func(_ string, left, right int64) int64 { return left + right }))
	runTimed(b, "in a=one @1", "in a=three @4")
	// Output:
	// a[1,1]=3 @1
	// a[1,1]=- @1
	// a[1,4]=8 @4
}

func ExampleTryAggregateSession() {
	b := stream.NewBuilder()
	s := stream.SessionBy(from(b, "in").GroupByKey(), stream.Session(5*time.Millisecond))
	showWindows(stream.TryAggregateSession(s, func() string { return "" },
		func(_ context, _, v, a string) (string, error) { return a + v, fails(v) },
		func(_ context, _, left, right string) (string, error) { return left + right, nil }))
	runTimed(b, "in a=x @1", "in a=fail @4")
	// Output: a[1,1]=x @1
}

func ExampleAggregateSessionOpt() {
	b := stream.NewBuilder()
	s := stream.SessionBy(from(b, "in").GroupByKey(), stream.Session(5*time.Millisecond))
	showWindows(stream.AggregateSessionOpt(s, func(_, v string, old stream.Opt[string]) stream.Opt[string] { return plusOpt(old.Or("0"), v) },
		func(_ string, left stream.Opt[string], right string) stream.Opt[string] {
			return stream.Some(left.Or("") + right)
		}))
	runTimed(b, "in a=x @1", "in a=del @4")
	// Output:
	// a[1,1]=0+x @1
	// a[1,1]=- @1
	// a[1,4]=- @4
}

func ExampleTryAggregateSessionOpt() {
	b := stream.NewBuilder()
	s := stream.SessionBy(from(b, "in").GroupByKey(), stream.Session(5*time.Millisecond))
	showWindows(stream.TryAggregateSessionOpt(s,
		func(_ context, _, v string, old stream.Opt[string]) (stream.Opt[string], error) {
			return plusOpt(old.Or("0"), v), fails(v)
		},
		func(_ context, _ string, left stream.Opt[string], right string) (stream.Opt[string], error) {
			return stream.Some(left.Or("") + right), nil
		}))
	runTimed(b, "in a=x @1", "in a=fail @4")
	// Output: a[1,1]=0+x @1
}

func ExampleSessionStream_Reduce() {
	b := stream.NewBuilder()
	s := stream.SessionBy(from(b, "in").GroupByKey(), stream.Session(5*time.Millisecond))
	showWindows(s.Reduce(func(old, v string) string { return old + v }))
	runTimed(b, "in a=x @1", "in a=y @1")
	// Output:
	// a[1,1]=x @1
	// a[1,1]=xy @1
}

func ExampleCogroup() {
	b := stream.NewBuilder()
	orders, payments := from(b, "orders").GroupByKey(), from(b, "payments").GroupByKey()
	c := stream.Cogroup(orders, func(_, v, a string) string { return a + " ordered " + v })
	c = stream.And(c, payments, func(_, v, a string) string { return a + " paid " + v })
	c.Aggregate(func() string { return "has" }).ToStream().To("out", stream.WithValue(serde.String))
	runTimed(b, "orders a=tea @1", "payments a=3 @2")
	// Output:
	// a=has ordered tea @1
	// a=has ordered tea paid 3 @2
}

func ExampleTryCogroup() {
	b := stream.NewBuilder()
	add := func(_ context, _, v, a string) (string, error) { return a + v, fails(v) }
	c := stream.TryAnd(stream.TryCogroup(from(b, "in").GroupByKey(), add), from(b, "more").GroupByKey(), add)
	c.Aggregate(func() string { return "" }).ToStream().To("out", stream.WithValue(serde.String))
	runTimed(b, "in a=x @1", "more a=fail @2", "more a=y @3")
	// Output:
	// a=x @1
	// a=xy @3
}

func ExampleCogroupOpt() {
	b := stream.NewBuilder()
	drop := func(_, _, _ string) stream.Opt[string] { return stream.None[string]() }
	c := stream.AndOpt(stream.CogroupOpt(from(b, "in").GroupByKey(), func(_, v, a string) stream.Opt[string] { return plusOpt(a, v) }),
		from(b, "reset").GroupByKey(), drop)
	c.Aggregate(func() string { return "0" }).ToStream().To("out", stream.WithValue(serde.String))
	runTimed(b, "in a=x @1", "reset a=now @2")
	// Output:
	// a=0+x @1
	// a=- @2
}

func ExampleTryCogroupOpt() {
	b := stream.NewBuilder()
	add := func(_ context, _, v, a string) (stream.Opt[string], error) { return plusOpt(a, v), fails(v) }
	c := stream.TryAndOpt(stream.TryCogroupOpt(from(b, "in").GroupByKey(), add), from(b, "more").GroupByKey(), add)
	c.Aggregate(func() string { return "0" }).ToStream().To("out", stream.WithValue(serde.String))
	runTimed(b, "in a=x @1", "more a=del @2", "more a=fail @3")
	// Output:
	// a=0+x @1
	// a=- @2
}

func ExampleWindowCogroup() {
	b := stream.NewBuilder()
	c := stream.WindowCogroup(cogroupOf(b), stream.Tumbling(10*time.Millisecond))
	showWindows(c.Aggregate(func() string { return "0" }))
	runTimed(b, "in a=x @1", "in2 a=y @5")
	// Output:
	// a[0,10]=0+x @1
	// a[0,10]=0+x*y @5
}

func ExampleSessionCogroup() {
	b := stream.NewBuilder()
	c := stream.SessionCogroup(cogroupOf(b), stream.Session(5*time.Millisecond))
	showWindows(c.Aggregate(func() string { return "0" }, func(_, left, right string) string { return left + "," + right }))
	runTimed(b, "in a=x @1", "in2 a=y @5")
	// Output:
	// a[1,1]=0+x @1
	// a[1,1]=- @1
	// a[1,5]=0,0+x*y @5
}

func ExampleRetention() {
	b := stream.NewBuilder()
	w := stream.WindowBy(from(b, "in").GroupByKey(), stream.Tumbling(10*time.Millisecond))
	showWindows(w.Count(stream.As("per-window"), stream.Retention(24*time.Hour)))
	runTimed(b, "in a=x @1")
	// Output: a[0,10]=1 @1
}
