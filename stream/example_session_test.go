package stream_test

import (
	"time"

	"github.com/oxbow-streams/oxbow/stream"
)

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

func ExampleSession() {
	b := stream.NewBuilder()
	showWindows(stream.SessionBy(from(b, "in").GroupByKey(), stream.Session(5*time.Millisecond)).Count())
	runTimed(b, "in a=x @1", "in a=y @6", "in a=z @12")
	// Output:
	// a[1,1]=1 @1
	// a[1,1]=- @1
	// a[1,6]=2 @6
	// a[12,12]=1 @12
}

func ExampleGap_Grace() {
	b := stream.NewBuilder()
	gap := stream.Session(5 * time.Millisecond).Grace(10 * time.Millisecond)
	showWindows(stream.SessionBy(from(b, "in").GroupByKey(), gap).Count())
	runTimed(b, "in b=x @20", "in a=late @5", "in a=later @4")
	// Output:
	// b[20,20]=1 @20
	// a[5,5]=1 @5
}

func ExampleSessionStream_Count() {
	b := stream.NewBuilder()
	s := stream.SessionBy(from(b, "in").GroupByKey(), stream.Session(5*time.Millisecond))
	showWindows(s.Count(stream.EmitOnClose)) // each session once
	runTimed(b, "in a=x @1", "in a=y @4", "in b=z @10")
	// Output: a[1,4]=2 @4
}

func ExampleSessionStream_ReduceOpt() {
	b := stream.NewBuilder()
	s := stream.SessionBy(from(b, "in").GroupByKey(), stream.Session(5*time.Millisecond))
	showWindows(s.ReduceOpt(plusOpt))
	runTimed(b, "in a=x @1", "in a=y @1", "in a=del @1")
	// Output:
	// a[1,1]=x @1
	// a[1,1]=x+y @1
	// a[1,1]=- @1
}

func ExampleSessionStream_TryReduce() {
	b := stream.NewBuilder()
	s := stream.SessionBy(from(b, "in").GroupByKey(), stream.Session(5*time.Millisecond))
	showWindows(s.TryReduce(func(_ context, old, v string) (string, error) { return old + v, fails(v) }))
	runTimed(b, "in a=x @1", "in a=fail @2", "in a=y @1")
	// Output:
	// a[1,1]=x @1
	// a[1,1]=xy @1
}

func ExampleSessionStream_TryReduceOpt() {
	b := stream.NewBuilder()
	s := stream.SessionBy(from(b, "in").GroupByKey(), stream.Session(5*time.Millisecond))
	showWindows(s.TryReduceOpt(func(_ context, old, v string) (stream.Opt[string], error) { return plusOpt(old, v), fails(v) }))
	runTimed(b, "in a=x @1", "in a=fail @2", "in a=del @1")
	// Output:
	// a[1,1]=x @1
	// a[1,1]=- @1
}
