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

func ExampleRetention() {
	b := stream.NewBuilder()
	w := stream.WindowBy(from(b, "in").GroupByKey(), stream.Tumbling(10*time.Millisecond))
	showWindows(w.Count(stream.As("per-window"), stream.Retention(24*time.Hour)))
	runTimed(b, "in a=x @1")
	// Output: a[0,10]=1 @1
}

func ExampleWindow_Grace() {
	b := stream.NewBuilder()
	w := stream.Tumbling(10 * time.Millisecond).Grace(5 * time.Millisecond)
	showWindows(stream.WindowBy(from(b, "in").GroupByKey(), w).Count())
	runTimed(b, "in a=x @1", "in b=y @14", "in a=late @2", "in b=z @15", "in a=later @3")
	// Output:
	// a[0,10]=1 @1
	// b[10,20]=1 @14
	// a[0,10]=2 @2
	// b[10,20]=2 @15
}

func ExampleUnlimitedWindow_StartOn() {
	b := stream.NewBuilder()
	w := stream.Unlimited().StartOn(time.UnixMilli(10))
	n := stream.WindowBy(from(b, "in").GroupByKey(), w).Count()
	n.ToStream().ForEach(func(k stream.Windowed[string], n int64) { fmt.Println(k.Key, "from", k.Start.UnixMilli(), n) })
	runTimed(b, "in a=x @9", "in a=y @10")
	// Output: a from 10 1
}

func ExampleWindowedStream_Count() {
	b := stream.NewBuilder()
	w := stream.WindowBy(from(b, "in").GroupByKey(), stream.Tumbling(10*time.Millisecond))
	showWindows(w.Count(stream.EmitOnClose)) // each window once
	runTimed(b, "in a=x @1", "in a=y @2", "in b=z @10")
	// Output: a[0,10]=2 @2
}

func ExampleWindowedStream_TryReduceOpt() {
	b := stream.NewBuilder()
	w := stream.WindowBy(from(b, "in").GroupByKey(), stream.Tumbling(10*time.Millisecond))
	showWindows(w.TryReduceOpt(func(_ context, old, v string) (stream.Opt[string], error) { return plusOpt(old, v), fails(v) }))
	runTimed(b, "in a=x @1", "in a=fail @2", "in a=del @3")
	// Output:
	// a[0,10]=x @1
	// a[0,10]=- @3
}

// Kafka Streams loses windows that are older than their retention when time jumps; Oxbow does so only if told to.
func ExampleExpireOnJump() {
	for _, opts := range [][]stream.AggOption{{stream.EmitOnClose}, {stream.EmitOnClose, stream.ExpireOnJump()}} {
		b := stream.NewBuilder()
		showWindows(stream.WindowBy(from(b, "in").GroupByKey(), stream.Tumbling(10*time.Millisecond)).Count(opts...))
		runTimed(b, "in a=x @1", "in a=y @5000")
		fmt.Println("--")
	}
	// Output:
	// a[0,10]=1 @1
	// --
	// --
}
