package stream_test

import (
	"errors"
	"time"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

func and(_, l, r string) string { return l + " and " + r }

func maybe(_, l string, r stream.Opt[string]) string { return l + " and " + r.Or("nobody") }

func either(_ string, l, r stream.Opt[string]) string {
	return l.Or("nobody") + " and " + r.Or("nobody")
}

// married prints what a join of husbands and wives makes of a wedding, a divorce, and a death.
func married(b *stream.Builder, t stream.Table[string, string]) {
	t.ToStream().To("out", stream.WithValue(serde.String))
	run(b, "husbands 1 Bob", "wives 1 Eve", "wives 1 -", "husbands 1 -")
}

func ExampleJoinTables() {
	b := stream.NewBuilder()
	married(b, stream.JoinTables(tableOf(b, "husbands"), tableOf(b, "wives"), and))
	// Output:
	// 1 Bob and Eve
	// 1 -
}

func ExampleLeftJoinTables() {
	b := stream.NewBuilder()
	married(b, stream.LeftJoinTables(tableOf(b, "husbands"), tableOf(b, "wives"), maybe))
	// Output:
	// 1 Bob and nobody
	// 1 Bob and Eve
	// 1 Bob and nobody
	// 1 -
}

func ExampleOuterJoinTables() {
	b := stream.NewBuilder()
	couples := stream.OuterJoinTables(tableOf(b, "husbands"), tableOf(b, "wives"), either)
	couples.ToStream().To("out", stream.WithValue(serde.String))
	run(b, "wives 1 Eve", "husbands 1 Bob", "husbands 1 -", "wives 1 -")
	// Output:
	// 1 nobody and Eve
	// 1 Bob and Eve
	// 1 nobody and Eve
	// 1 -
}

func ExampleTryJoinTables() {
	b := stream.NewBuilder()
	married(b, stream.TryJoinTables(tableOf(b, "husbands"), tableOf(b, "wives"),
		func(_ context, k, l, r string) (string, error) { return and(k, l, r), nil }))
	// Output:
	// 1 Bob and Eve
	// 1 -
}

func ExampleTryLeftJoinTables() {
	b := stream.NewBuilder()
	// A husband without a wife is an error: his record goes to the dead-letter topic, and he is not in the table either.
	married(b, stream.TryLeftJoinTables(tableOf(b, "husbands"), tableOf(b, "wives"),
		func(_ context, k, l string, r stream.Opt[string]) (string, error) {
			if !r.IsSome() {
				return "", errors.New("alone")
			}
			return maybe(k, l, r), nil
		}))
	// Output:
}

func ExampleTryOuterJoinTables() {
	b := stream.NewBuilder()
	married(b, stream.TryOuterJoinTables(tableOf(b, "husbands"), tableOf(b, "wives"),
		func(_ context, k string, l, r stream.Opt[string]) (string, error) { return either(k, l, r), nil }))
	// Output:
	// 1 Bob and nobody
	// 1 Bob and Eve
	// 1 Bob and nobody
	// 1 -
}

func ExampleJoinTablesOpt() {
	b := stream.NewBuilder()
	// A result that is None is no row.
	married(b, stream.JoinTablesOpt(tableOf(b, "husbands"), tableOf(b, "wives"), func(k, l, r string) stream.Opt[string] {
		if l == r {
			return stream.None[string]()
		}
		return stream.Some(and(k, l, r))
	}))
	// Output:
	// 1 Bob and Eve
	// 1 -
}

func ExampleLeftJoinTablesOpt() {
	b := stream.NewBuilder()
	// The rows on the left that have none on the right: an anti-join.
	married(b, stream.LeftJoinTablesOpt(tableOf(b, "husbands"), tableOf(b, "wives"),
		func(_, l string, r stream.Opt[string]) stream.Opt[string] {
			if r.IsSome() {
				return stream.None[string]()
			}
			return stream.Some(l + " is alone")
		}))
	// Output:
	// 1 Bob is alone
	// 1 -
	// 1 Bob is alone
	// 1 -
}

func ExampleOuterJoinTablesOpt() {
	b := stream.NewBuilder()
	// The rows of either side that have none on the other.
	married(b, stream.OuterJoinTablesOpt(tableOf(b, "husbands"), tableOf(b, "wives"),
		func(k string, l, r stream.Opt[string]) stream.Opt[string] {
			if l.IsSome() && r.IsSome() {
				return stream.None[string]()
			}
			return stream.Some(either(k, l, r))
		}))
	// Output:
	// 1 Bob and nobody
	// 1 -
	// 1 Bob and nobody
	// 1 -
}

func ExampleTryJoinTablesOpt() {
	b := stream.NewBuilder()
	married(b, stream.TryJoinTablesOpt(tableOf(b, "husbands"), tableOf(b, "wives"),
		func(_ context, k, l, r string) (stream.Opt[string], error) { return stream.Some(and(k, l, r)), nil }))
	// Output:
	// 1 Bob and Eve
	// 1 -
}

func ExampleTryLeftJoinTablesOpt() {
	b := stream.NewBuilder()
	married(b, stream.TryLeftJoinTablesOpt(tableOf(b, "husbands"), tableOf(b, "wives"),
		func(_ context, k, l string, r stream.Opt[string]) (stream.Opt[string], error) {
			return stream.Some(maybe(k, l, r)), nil
		}))
	// Output:
	// 1 Bob and nobody
	// 1 Bob and Eve
	// 1 Bob and nobody
	// 1 -
}

func ExampleTryOuterJoinTablesOpt() {
	b := stream.NewBuilder()
	married(b, stream.TryOuterJoinTablesOpt(tableOf(b, "husbands"), tableOf(b, "wives"),
		func(_ context, k string, l, r stream.Opt[string]) (stream.Opt[string], error) {
			return stream.Some(either(k, l, r)), nil
		}))
	// Output:
	// 1 Bob and nobody
	// 1 Bob and Eve
	// 1 Bob and nobody
	// 1 -
}

func ExampleVersioned() {
	b := stream.NewBuilder()
	// Each order is joined with the price that held at its own time, also when it comes after the next price.
	prices := stream.TableFrom(b, "prices", serde.String, serde.String, stream.As("prices"), stream.Versioned(24*time.Hour))
	stream.JoinTable(from(b, "orders"), prices, func(_, order, price string) string { return order + " for " + price }).
		To("out", stream.WithValue(serde.String))
	run(b, "prices tea 2", "orders tea cup")
	// Output: tea cup for 2
}
