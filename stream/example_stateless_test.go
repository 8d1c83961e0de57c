package stream_test

import (
	"fmt"
	"iter"
	"strings"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

func ExampleStream_Filter() {
	b := stream.NewBuilder()
	from(b, "in").Filter(func(_, v string) bool { return v != "" }).To("out")
	run(b, "in a x", "in a ")
	// Output: a x
}

func ExampleStream_FilterNot() {
	b := stream.NewBuilder()
	from(b, "in").FilterNot(func(_, v string) bool { return v == "" }).To("out")
	run(b, "in a x", "in a ")
	// Output: a x
}

func ExampleMapValues() {
	b := stream.NewBuilder()
	stream.MapValues(from(b, "in"), func(_, v string) string { return strings.ToUpper(v) }).To("out", stream.WithValue(serde.String))
	run(b, "in a hello")
	// Output: a HELLO
}

func ExampleTryMapValues() {
	b := stream.NewBuilder()
	price := func(_ context, _, item string) (string, error) {
		if item != "tea" {
			return "", stream.Permanent(fmt.Errorf("no price for %q", item))
		}
		return "3.20", nil
	}
	stream.TryMapValues(from(b, "in"), price, stream.Named("price"), stream.OnError(stream.Skip)).To("out")
	run(b, "in 1 tea", "in 2 time")
	// Output: 1 3.20
}

func ExampleFlatMapValues() {
	b := stream.NewBuilder()
	words := func(_, line string) iter.Seq[string] { return strings.FieldsSeq(line) }
	stream.FlatMapValues(from(b, "in"), words).To("out")
	run(b, "in a to be")
	// Output:
	// a to
	// a be
}

func ExampleMap() {
	b := stream.NewBuilder()
	stream.Map(from(b, "in"), func(k, v string) (string, string) { return v, k }).To("out")
	run(b, "in a b")
	// Output: b a
}

func ExampleFlatMap() {
	b := stream.NewBuilder()
	both := func(k, v string) iter.Seq2[string, string] {
		return func(yield func(string, string) bool) { _ = yield(k, v) && yield(v, k) }
	}
	stream.FlatMap(from(b, "in"), both).To("out")
	run(b, "in a b")
	// Output:
	// a b
	// b a
}

func ExampleSelectKey() {
	b := stream.NewBuilder()
	stream.SelectKey(from(b, "in"), func(_, v string) string { return v[:1] }).To("out")
	run(b, "in 1 bob")
	// Output: b bob
}

func ExampleStream_Peek() {
	b := stream.NewBuilder()
	from(b, "in").Peek(func(k, v string) { fmt.Println("peek:", k, v) }).To("out")
	run(b, "in a x")
	// Output:
	// peek: a x
	// a x
}

func ExampleStream_ForEach() {
	b := stream.NewBuilder()
	from(b, "in").ForEach(func(k, v string) { fmt.Println("each:", k, v) })
	run(b, "in a x")
	// Output: each: a x
}

func ExampleStream_Split() {
	b := stream.NewBuilder()
	br := from(b, "in").Split()
	br.When(func(_, v string) bool { return v == "paid" }).To("paid")
	br.Otherwise().To("out")
	run(b, "in 1 paid", "in 2 open")
	// Output: 2 open
}

func ExampleStream_Merge() {
	b := stream.NewBuilder()
	from(b, "web").Merge(from(b, "shop")).To("out")
	run(b, "web 1 tea", "shop 2 cups")
	// Output:
	// 1 tea
	// 2 cups
}

func ExampleStream_Repartition() {
	b := stream.NewBuilder()
	from(b, "in").Repartition(stream.Named("spread"), stream.Partitions(12)).To("out")
	run(b, "in a x")
	// Output: a x
}

func ExampleStream_TryFilter() {
	b := stream.NewBuilder()
	from(b, "in").TryFilter(func(_ context, _, v string) (bool, error) { return v != "", fails(v) }).To("out")
	run(b, "in a x", "in b ", "in c fail")
	// Output: a x
}

func ExampleStream_TryFilterNot() {
	b := stream.NewBuilder()
	from(b, "in").TryFilterNot(func(_ context, _, v string) (bool, error) { return v == "", fails(v) }).To("out")
	run(b, "in a x", "in b ", "in c fail")
	// Output: a x
}

func ExampleTryFlatMapValues() {
	b := stream.NewBuilder()
	words := func(_ context, _, line string) (iter.Seq[string], error) { return strings.FieldsSeq(line), fails(line) }
	stream.TryFlatMapValues(from(b, "in"), words).To("out")
	run(b, "in a to be", "in b fail")
	// Output:
	// a to
	// a be
}

func ExampleTryMap() {
	b := stream.NewBuilder()
	stream.TryMap(from(b, "in"), func(_ context, k, v string) (string, string, error) { return v, k, fails(v) }).To("out")
	run(b, "in a b", "in a fail")
	// Output: b a
}

func ExampleTryFlatMap() {
	b := stream.NewBuilder()
	letters := func(_ context, k, v string) (iter.Seq2[string, string], error) {
		return func(yield func(string, string) bool) { _ = yield(v[:1], k) && yield(v[1:2], k) }, fails(v)
	}
	stream.TryFlatMap(from(b, "in"), letters).To("out")
	run(b, "in 1 be", "in 2 fail")
	// Output:
	// b 1
	// e 1
}

func ExampleTrySelectKey() {
	b := stream.NewBuilder()
	stream.TrySelectKey(from(b, "in"), func(_ context, _, v string) (string, error) { return v[:1], fails(v) }).To("out")
	run(b, "in 1 bob", "in 2 fail")
	// Output: b bob
}

func ExampleStream_TryPeek() {
	b := stream.NewBuilder()
	from(b, "in").TryPeek(func(_ context, _, v string) error { return fails(v) }).To("out")
	run(b, "in a x", "in a fail")
	// Output: a x
}

func ExampleStream_TryForEach() {
	b := stream.NewBuilder()
	from(b, "in").TryForEach(func(_ context, k, v string) error {
		fmt.Println("each:", k, v)
		return fails(v) // sets the record aside
	})
	run(b, "in a x")
	// Output: each: a x
}

func ExampleBranches_When() {
	b := stream.NewBuilder()
	br := from(b, "in").Split(stream.Named("by-state-"))
	br.When(func(_, v string) bool { return v == "paid" }, stream.Named("paid")).To("paid")
	br.When(func(_, v string) bool { return v == "open" }).To("out") // what matches neither goes nowhere
	run(b, "in 1 paid", "in 2 open", "in 3 lost")
	// Output: 2 open
}

func ExampleBranches_TryWhen() {
	b := stream.NewBuilder()
	br := from(b, "in").Split()
	br.TryWhen(func(_ context, _, v string) (bool, error) { return v == "paid", fails(v) }).To("paid")
	br.Otherwise().To("out")
	run(b, "in 1 paid", "in 2 fail", "in 3 open")
	// Output: 3 open
}

func ExampleBranches_Otherwise() {
	b := stream.NewBuilder()
	br := from(b, "in").Split()
	br.When(func(_, v string) bool { return v == "paid" }).To("paid")
	br.Otherwise(stream.Named("unpaid")).To("out")
	run(b, "in 1 paid", "in 2 open")
	// Output: 2 open
}
