package stream_test

import (
	"time"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

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

func ExampleAnd() {
	b := stream.NewBuilder()
	c := stream.Cogroup(from(b, "views").GroupByKey(), func(_, _ string, n int64) int64 { return n + 1 })
	c = stream.And(c, from(b, "buys").GroupByKey(), func(_, _ string, n int64) int64 { return n + 100 })
	c.Aggregate(func() int64 { return 0 }).ToStream().To("out", stream.WithValue(decimal))
	run(b, "views ann home", "buys ann tea", "views ann news")
	// Output:
	// ann 1
	// ann 101
	// ann 102
}

func ExampleTryAnd() {
	b := stream.NewBuilder()
	c := stream.Cogroup(from(b, "views").GroupByKey(), func(_, _ string, n int64) int64 { return n + 1 })
	c = stream.TryAnd(c, from(b, "buys").GroupByKey(), func(_ context, _, v string, n int64) (int64, error) { return n + 100, fails(v) })
	c.Aggregate(func() int64 { return 0 }).ToStream().To("out", stream.WithValue(decimal))
	run(b, "views ann home", "buys ann fail", "buys ann tea")
	// Output:
	// ann 1
	// ann 101
}

func ExampleAndOpt() {
	b := stream.NewBuilder()
	c := stream.Cogroup(from(b, "views").GroupByKey(), func(_, _ string, n int64) int64 { return n + 1 })
	c = stream.AndOpt(c, from(b, "resets").GroupByKey(), func(_, _ string, _ int64) stream.Opt[int64] { return stream.None[int64]() })
	c.Aggregate(func() int64 { return 0 }).ToStream().To("out", stream.WithValue(decimal))
	run(b, "views ann home", "resets ann now", "views ann news")
	// Output:
	// ann 1
	// ann -
	// ann 1
}

func ExampleTryAndOpt() {
	b := stream.NewBuilder()
	c := stream.Cogroup(from(b, "in").GroupByKey(), func(_, v, a string) string { return plus(a, v) })
	c = stream.TryAndOpt(c, from(b, "more").GroupByKey(), func(_ context, _, v, a string) (stream.Opt[string], error) {
		return plusOpt(a, v), fails(v)
	})
	c.Aggregate(zeroText).ToStream().To("out", stream.WithValue(serde.String))
	run(b, "in a x", "more a fail", "more a del")
	// Output:
	// a 0+x
	// a -
}

func ExampleCogrouped_Aggregate() {
	b := stream.NewBuilder()
	cogroupOf(b).Aggregate(zeroText, stream.As("both")).ToStream().To("out", stream.WithValue(serde.String))
	run(b, "in a x", "in2 a y")
	// Output:
	// a 0+x
	// a 0+x*y
}

// The streams of a Cogroup have a time each, so that windows close only behind it.
func ExampleWindowedCogrouped_Aggregate() {
	b := stream.NewBuilder()
	c := stream.WindowCogroup(cogroupOf(b), stream.Tumbling(10*time.Millisecond))
	showWindows(stream.SuppressUntilWindowCloses(c.Aggregate(zeroText)))
	runTimed(b, "in a=x @1", "in2 a=y @5", "in a=z @11")
	// Output: a[0,10]=0+x*y @5
}

func ExampleSessionCogrouped_Aggregate() {
	b := stream.NewBuilder()
	c := stream.SessionCogroup(cogroupOf(b), stream.Session(5*time.Millisecond))
	sum := c.Aggregate(zeroText, func(_, left, right string) string { return left + "," + right }, stream.As("sums"))
	showWindows(stream.SuppressUntilWindowCloses(sum))
	runTimed(b, "in a=x @1", "in2 a=y @5", "in a=z @20")
	// Output: a[1,5]=0,0+x*y @5
}

func ExampleSessionCogrouped_TryAggregate() {
	b := stream.NewBuilder()
	c := stream.SessionCogroup(cogroupOf(b), stream.Session(5*time.Millisecond))
	merge := func(_ context, _, left, right string) (string, error) { return left + "," + right, fails(right[2:]) }
	showWindows(c.TryAggregate(zeroText, merge))
	runTimed(b, "in a=fail @1", "in2 a=y @5", "in2 b=z @6") // the first session cannot be merged
	// Output:
	// a[1,1]=0+fail @1
	// b[6,6]=0*z @6
}

func ExampleSessionCogrouped_AggregateOpt() {
	b := stream.NewBuilder()
	c := stream.SessionCogroup(cogroupOf(b), stream.Session(5*time.Millisecond))
	showWindows(c.AggregateOpt(zeroText, func(_ string, _ stream.Opt[string], right string) stream.Opt[string] {
		return stream.OptOf(right, right != "0+old") // what is old is forgotten
	}))
	runTimed(b, "in a=old @1", "in2 a=y @5")
	// Output:
	// a[1,1]=0+old @1
	// a[1,1]=- @1
	// a[1,5]=0*y @5
}

func ExampleSessionCogrouped_TryAggregateOpt() {
	b := stream.NewBuilder()
	c := stream.SessionCogroup(cogroupOf(b), stream.Session(5*time.Millisecond))
	showWindows(c.TryAggregateOpt(zeroText, func(_ context, _ string, left stream.Opt[string], right string) (stream.Opt[string], error) {
		return stream.Some(left.Or("none") + "," + right), nil
	}))
	runTimed(b, "in a=x @1", "in2 a=y @5")
	// Output:
	// a[1,1]=0+x @1
	// a[1,1]=- @1
	// a[1,5]=0,0+x*y @5
}
