package stream_test

import (
	"slices"
	"strings"

	"github.com/oxbow-streams/oxbow/stream"
)

// byRegion groups a table of names and regions by region.
func byRegion(b *stream.Builder) stream.GroupedTable[string, string] {
	return stream.GroupTableBy(tableOf(b, "users"), func(name, region string) (string, string) { return region, name })
}

// without takes a name out of a list that was joined by commas.
func without(list, name string) string {
	names := slices.DeleteFunc(strings.Split(list, ","), func(n string) bool { return n == name })
	return strings.Join(names, ",")
}

func with(list, name string) string { return list + "," + name }

// withoutOpt leaves nothing of a list that is empty.
func withoutOpt(list, name string) stream.Opt[string] {
	rest := without(list, name)
	return stream.OptOf(rest, rest != "")
}

func ExampleGroupTableBy() {
	b := stream.NewBuilder()
	byRegion := stream.GroupTableBy(tableOf(b, "users"), func(name, region string) (string, string) { return region, name })
	byRegion.Count().ToStream().To("out", stream.WithValue(decimal))
	run(b, "users bob north", "users eve north", "users bob south")
	// Output:
	// north 1
	// north 2
	// north 1
	// south 1
}

func ExampleAggregateTable() {
	b := stream.NewBuilder()
	letters := stream.AggregateTable(byRegion(b), func() int64 { return 0 },
		func(_, name string, n int64) int64 { return n + int64(len(name)) },
		func(_, name string, n int64) int64 { return n - int64(len(name)) })
	letters.ToStream().To("out", stream.WithValue(decimal))
	run(b, "users bob north", "users dave north", "users bob -")
	// Output:
	// north 3
	// north 7
	// north 4
}

func ExampleGroupTableByOpt() {
	b := stream.NewBuilder()
	grouped := stream.GroupTableByOpt(tableOf(b, "users"), func(name, region string) (string, string, bool) {
		return region, name, region != "unknown"
	})
	grouped.Count().ToStream().To("out", stream.WithValue(decimal))
	run(b, "users bob north", "users eve unknown", "users bob unknown")
	// Output:
	// north 1
	// north 0
}

func ExampleTryGroupTableBy() {
	b := stream.NewBuilder()
	grouped := stream.TryGroupTableBy(tableOf(b, "users"), func(_ context, name, region string) (string, string, error) {
		return region, name, fails(region)
	})
	grouped.Count().ToStream().To("out", stream.WithValue(decimal))
	run(b, "users bob north", "users bob fail", "users eve north")
	// Output:
	// north 1
	// north 2
}

func ExampleTryGroupTableByOpt() {
	b := stream.NewBuilder()
	grouped := stream.TryGroupTableByOpt(tableOf(b, "users"), func(_ context, name, region string) (string, string, bool, error) {
		return region, name, region != "unknown", fails(region)
	})
	grouped.Count().ToStream().To("out", stream.WithValue(decimal))
	run(b, "users bob north", "users eve fail", "users bob unknown")
	// Output:
	// north 1
	// north 0
}

func ExampleGroupedTable_Count() {
	b := stream.NewBuilder()
	byRegion(b).Count(stream.As("per-region")).ToStream().To("out", stream.WithValue(decimal))
	run(b, "users bob north", "users bob south", "users bob -")
	// Output:
	// north 1
	// north 0
	// south 1
	// south 0
}

func ExampleGroupedTable_Reduce() {
	b := stream.NewBuilder()
	byRegion(b).Reduce(with, without).ToStream().To("out")
	run(b, "users bob north", "users eve north", "users bob south")
	// Output:
	// north bob
	// north bob,eve
	// north eve
	// south bob
}

func ExampleGroupedTable_ReduceOpt() {
	b := stream.NewBuilder()
	add := func(list, name string) stream.Opt[string] { return stream.Some(with(list, name)) }
	byRegion(b).ReduceOpt(add, withoutOpt).ToStream().To("out")
	run(b, "users bob north", "users bob -")
	// Output:
	// north bob
	// north -
}

func ExampleGroupedTable_TryReduce() {
	b := stream.NewBuilder()
	add := func(_ context, list, name string) (string, error) { return with(list, name), fails(name) }
	sub := func(_ context, list, name string) (string, error) { return without(list, name), nil }
	byRegion(b).TryReduce(add, sub).ToStream().To("out")
	run(b, "users bob north", "users fail north", "users eve north")
	// Output:
	// north bob
	// north bob,eve
}

func ExampleGroupedTable_TryReduceOpt() {
	b := stream.NewBuilder()
	add := func(_ context, list, name string) (stream.Opt[string], error) {
		return stream.Some(with(list, name)), fails(name)
	}
	sub := func(_ context, list, name string) (stream.Opt[string], error) { return withoutOpt(list, name), nil }
	byRegion(b).TryReduceOpt(add, sub).ToStream().To("out")
	run(b, "users bob north", "users fail north", "users bob -")
	// Output:
	// north bob
	// north -
}

func ExampleAggregateTableOpt() {
	b := stream.NewBuilder()
	names := stream.AggregateTableOpt(byRegion(b),
		func(_, name string, list stream.Opt[string]) stream.Opt[string] {
			return stream.Some(list.Or("all:") + " " + name)
		},
		func(_, name string, list stream.Opt[string]) stream.Opt[string] { return stream.None[string]() })
	names.ToStream().To("out")
	run(b, "users bob north", "users eve north", "users bob -")
	// Output:
	// north all: bob
	// north all: bob eve
	// north -
}

func ExampleTryAggregateTable() {
	b := stream.NewBuilder()
	letters := stream.TryAggregateTable(byRegion(b), func() int64 { return 0 },
		func(_ context, _, name string, n int64) (int64, error) { return n + int64(len(name)), fails(name) },
		func(_ context, _, name string, n int64) (int64, error) { return n - int64(len(name)), nil })
	letters.ToStream().To("out", stream.WithValue(decimal))
	run(b, "users bob north", "users fail north", "users dave north")
	// Output:
	// north 3
	// north 7
}

func ExampleTryAggregateTableOpt() {
	b := stream.NewBuilder()
	letters := stream.TryAggregateTableOpt(byRegion(b),
		func(_ context, _, name string, n stream.Opt[int64]) (stream.Opt[int64], error) {
			return stream.Some(n.Or(0) + int64(len(name))), fails(name)
		},
		func(_ context, _, name string, n stream.Opt[int64]) (stream.Opt[int64], error) {
			left := n.Or(0) - int64(len(name))
			return stream.OptOf(left, left > 0), nil
		})
	letters.ToStream().To("out", stream.WithValue(decimal))
	run(b, "users bob north", "users fail north", "users bob -")
	// Output:
	// north 3
	// north -
}
