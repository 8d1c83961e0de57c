package stream_test

import (
	"fmt"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

func ExampleTableFrom() {
	b := stream.NewBuilder()
	users := stream.TableFrom(b, "users", serde.String, serde.String, stream.As("users"))
	users.ToStream().To("out")
	run(b, "users bob Bob", "users bob -")
	// Output:
	// bob Bob
	// bob -
}

func ExampleTable_Filter() {
	b := stream.NewBuilder()
	tableOf(b, "users").Filter(func(_, v string) bool { return v == "active" }).ToStream().To("out")
	run(b, "users bob active", "users bob gone")
	// Output:
	// bob active
	// bob -
}

func ExampleMapTable() {
	b := stream.NewBuilder()
	stream.MapTable(tableOf(b, "users"), func(k, v string) string { return k + " is " + v }).ToStream().To("out")
	run(b, "users bob old")
	// Output: bob bob is old
}

func ExampleTransformTable() {
	b := stream.NewBuilder()
	numbered := stream.TransformTable(tableOf(b, "users"), func() func(string, stream.Opt[string]) stream.Opt[string] {
		return func(_ string, v stream.Opt[string]) stream.Opt[string] { return stream.Some(v.Or("deleted")) }
	})
	numbered.ToStream().To("out")
	run(b, "users bob Bob", "users bob -")
	// Output:
	// bob Bob
	// bob deleted
}

func ExampleStream_ToTable() {
	b := stream.NewBuilder()
	last := from(b, "in").ToTable(stream.As("last"))
	last.ToStream().To("out")
	run(b, "in a 1", "in a 2")
	// Output:
	// a 1
	// a 2
}

func ExampleToStreamBy() {
	b := stream.NewBuilder()
	stream.ToStreamBy(tableOf(b, "users"), func(k string, v stream.Opt[string]) string { return "user-" + k }).To("out")
	run(b, "users bob Bob")
	// Output: user-bob Bob
}

func ExampleTable_FilterNot() {
	b := stream.NewBuilder()
	tableOf(b, "users").FilterNot(func(_, v string) bool { return v == "gone" }).ToStream().To("out")
	run(b, "users bob active", "users bob gone")
	// Output:
	// bob active
	// bob -
}

func ExampleTable_TryFilter() {
	b := stream.NewBuilder()
	active := tableOf(b, "users").TryFilter(func(_ context, _, v string) (bool, error) { return v == "active", fails(v) })
	active.ToStream().To("out")
	run(b, "users bob active", "users eve fail", "users bob gone")
	// Output:
	// bob active
	// bob -
}

func ExampleTable_TryFilterNot() {
	b := stream.NewBuilder()
	kept := tableOf(b, "users").TryFilterNot(func(_ context, _, v string) (bool, error) { return v == "gone", fails(v) })
	kept.ToStream().To("out")
	run(b, "users bob active", "users eve fail", "users bob gone")
	// Output:
	// bob active
	// bob -
}

func ExampleMapTableOpt() {
	b := stream.NewBuilder()
	stream.MapTableOpt(tableOf(b, "users"), func(_, v string) stream.Opt[string] { return plusOpt("is", v) }).ToStream().To("out")
	run(b, "users bob old", "users bob del")
	// Output:
	// bob is+old
	// bob -
}

func ExampleTryMapTable() {
	b := stream.NewBuilder()
	stream.TryMapTable(tableOf(b, "users"), tryJoin).ToStream().To("out") // key and value side by side
	run(b, "users bob old", "users bob fail")
	// Output: bob bobold
}

func ExampleTryMapTableOpt() {
	b := stream.NewBuilder()
	is := func(_ context, _, v string) (stream.Opt[string], error) { return plusOpt("is", v), fails(v) }
	stream.TryMapTableOpt(tableOf(b, "users"), is).ToStream().To("out")
	run(b, "users bob old", "users bob fail", "users bob del")
	// Output:
	// bob is+old
	// bob -
}

func ExampleTryTransformTable() {
	b := stream.NewBuilder()
	numbered := stream.TryTransformTable(tableOf(b, "users"), func() func(context, string, stream.Opt[string]) (stream.Opt[string], error) {
		n := 0 // of this task
		return func(_ context, _ string, v stream.Opt[string]) (stream.Opt[string], error) {
			n++
			return stream.Some(fmt.Sprint(v.Or("deleted"), " #", n)), fails(v.Or(""))
		}
	})
	numbered.ToStream().To("out")
	run(b, "users bob Bob", "users bob -")
	// Output:
	// bob Bob #1
	// bob deleted #2
}

func ExampleTable_ToStream() {
	b := stream.NewBuilder()
	changes := tableOf(b, "users").ToStream()
	changes.Peek(func(k, v string) { fmt.Println("peek:", k, v) }).To("out") // deletions pass unseen
	run(b, "users bob Bob", "users bob -")
	// Output:
	// peek: bob Bob
	// bob Bob
	// bob -
}

func ExampleTryToStreamBy() {
	b := stream.NewBuilder()
	byValue := func(_ context, _ string, v stream.Opt[string]) (string, error) { return v.Or("none"), fails(v.Or("")) }
	stream.TryToStreamBy(tableOf(b, "users"), byValue).To("out")
	run(b, "users bob north", "users eve fail")
	// Output: north north
}
