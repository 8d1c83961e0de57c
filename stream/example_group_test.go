package stream_test

import (
	"github.com/oxbow-streams/oxbow/stream"
)

func ExampleGroupBy() {
	b := stream.NewBuilder()
	byFirst := stream.GroupBy(from(b, "in"), func(_, v string) string { return v[:1] })
	byFirst.Count().ToStream().To("out", stream.WithValue(decimal))
	run(b, "in 1 plum", "in 2 pear", "in 3 apple")
	// Output:
	// p 1
	// p 2
	// a 1
}

func ExampleTryGroupBy() {
	b := stream.NewBuilder()
	byFirst := stream.TryGroupBy(from(b, "in"), func(_ context, _, v string) (string, error) { return v[:1], fails(v) })
	byFirst.Count().ToStream().To("out", stream.WithValue(decimal))
	run(b, "in 1 plum", "in 2 fail", "in 3 fig")
	// Output:
	// p 1
	// f 1
}

func ExampleStream_GroupByKey() {
	b := stream.NewBuilder()
	from(b, "in").GroupByKey().Count().ToStream().To("out", stream.WithValue(decimal)) // nothing is repartitioned
	run(b, "in a x", "in a y")
	// Output:
	// a 1
	// a 2
}

func ExampleGrouped_Count() {
	b := stream.NewBuilder()
	byWord := stream.GroupBy(from(b, "in"), func(_, word string) string { return word })
	byWord.Count(stream.As("counts")).ToStream().To("out", stream.WithValue(decimal))
	run(b, "in 1 a", "in 2 b", "in 3 a")
	// Output:
	// a 1
	// b 1
	// a 2
}

func ExampleGrouped_Reduce() {
	b := stream.NewBuilder()
	from(b, "in").GroupByKey().Reduce(func(old, v string) string { return old + "," + v }).ToStream().To("out")
	run(b, "in a 1", "in a 2")
	// Output:
	// a 1
	// a 1,2
}

func ExampleAggregate() {
	b := stream.NewBuilder()
	size := stream.Aggregate(from(b, "in").GroupByKey(), func() int64 { return 0 },
		func(_, v string, n int64) int64 { return n + int64(len(v)) })
	size.ToStream().To("out", stream.WithValue(decimal))
	run(b, "in a abc", "in a de")
	// Output:
	// a 3
	// a 5
}

func ExampleAggregateOpt() {
	b := stream.NewBuilder()
	open := stream.AggregateOpt(from(b, "in").GroupByKey(), func(_, event string, old stream.Opt[string]) stream.Opt[string] {
		if event == "closed" {
			return stream.None[string]() // deletes the row
		}
		return stream.Some(old.Or("") + event)
	})
	open.ToStream().To("out")
	run(b, "in 7 opened", "in 7 closed")
	// Output:
	// 7 opened
	// 7 -
}

func ExampleGrouped_ReduceOpt() {
	b := stream.NewBuilder()
	from(b, "in").GroupByKey().ReduceOpt(plusOpt).ToStream().To("out")
	run(b, "in a 1", "in a 2", "in a del")
	// Output:
	// a 1
	// a 1+2
	// a -
}

func ExampleGrouped_TryReduce() {
	b := stream.NewBuilder()
	add := func(_ context, old, v string) (string, error) { return old + v, fails(v) }
	from(b, "in").GroupByKey().TryReduce(add).ToStream().To("out")
	run(b, "in a x", "in a fail", "in a y")
	// Output:
	// a x
	// a xy
}

func ExampleGrouped_TryReduceOpt() {
	b := stream.NewBuilder()
	add := func(_ context, old, v string) (stream.Opt[string], error) { return plusOpt(old, v), fails(v) }
	from(b, "in").GroupByKey().TryReduceOpt(add).ToStream().To("out")
	run(b, "in a x", "in a fail", "in a del")
	// Output:
	// a x
	// a -
}

func ExampleTryAggregate() {
	b := stream.NewBuilder()
	size := stream.TryAggregate(from(b, "in").GroupByKey(), func() int64 { return 0 },
		func(_ context, _, v string, n int64) (int64, error) { return n + int64(len(v)), fails(v) })
	size.ToStream().To("out", stream.WithValue(decimal))
	run(b, "in a abc", "in a fail", "in a de")
	// Output:
	// a 3
	// a 5
}

func ExampleTryAggregateOpt() {
	b := stream.NewBuilder()
	open := stream.TryAggregateOpt(from(b, "in").GroupByKey(), func(_ context, _, v string, old stream.Opt[string]) (stream.Opt[string], error) {
		return plusOpt(old.Or("0"), v), fails(v)
	})
	open.ToStream().To("out")
	run(b, "in a x", "in a fail", "in a del")
	// Output:
	// a 0+x
	// a -
}
