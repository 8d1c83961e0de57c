package stream_test

import (
	"fmt"
	"strings"

	"github.com/oxbow-streams/oxbow/stream"
)

// product finds the product's key in an order: "tea x3" is an order of tea.
func product(_, order string) string {
	p, _, _ := strings.Cut(order, " ")
	return p
}

// maybeProduct is product for orders that may name none: "- x3".
func maybeProduct(k, order string) stream.Opt[string] {
	p := product(k, order)
	if p == "-" {
		return stream.None[string]()
	}
	return stream.Some(p)
}

func ExampleJoinForeign() {
	b := stream.NewBuilder()
	priced := stream.JoinForeign(tableOf(b, "orders"), tableOf(b, "products"), product,
		func(_, order, price string) string { return order + " at " + price })
	priced.ToStream().To("out")
	run(b, "orders o1 tea x3", "products tea 4", "orders o2 tea x1", "products tea 5", "orders o1 -")
	// Output:
	// o1 tea x3 at 4
	// o2 tea x1 at 4
	// o1 tea x3 at 5
	// o2 tea x1 at 5
	// o1 -
}

func ExampleJoinForeignOpt() {
	b := stream.NewBuilder()
	priced := stream.JoinForeignOpt(tableOf(b, "orders"), tableOf(b, "products"), maybeProduct,
		func(_, order, price string) stream.Opt[string] {
			if price == "0" {
				return stream.None[string]() // what is free is no order
			}
			return stream.Some(order + " at " + price)
		})
	priced.ToStream().To("out")
	run(b, "products tea 4", "orders o1 - x3", "orders o1 tea x3", "products tea 0")
	// Output:
	// o1 tea x3 at 4
	// o1 -
}

func ExampleTryJoinForeign() {
	b := stream.NewBuilder()
	stream.TryJoinForeign(tableOf(b, "orders"), tableOf(b, "products"),
		func(_ context, k, order string) (string, error) { return product(k, order), nil },
		func(_ context, _, order, price string) (string, error) {
			if price == "?" {
				return "", fmt.Errorf("%s has no price", order)
			}
			return order + " at " + price, nil
		}).ToStream().To("out")
	run(b, "orders o1 tea x3", "products tea ?", "products tea 4") // the answer that fails is dead-lettered
	// Output: o1 tea x3 at 4
}

func ExampleTryJoinForeignOpt() {
	b := stream.NewBuilder()
	stream.TryJoinForeignOpt(tableOf(b, "orders"), tableOf(b, "products"),
		func(_ context, k, order string) (stream.Opt[string], error) { return maybeProduct(k, order), nil },
		func(_ context, _, order, price string) (stream.Opt[string], error) {
			return stream.Some(order + " at " + price), nil
		},
	).ToStream().To("out")
	run(b, "products tea 4", "orders o1 - x3", "orders o1 tea x3")
	// Output: o1 tea x3 at 4
}

func ExampleLeftJoinForeign() {
	b := stream.NewBuilder()
	priced := stream.LeftJoinForeign(tableOf(b, "orders"), tableOf(b, "products"), maybeProduct,
		func(_, order string, price stream.Opt[string]) string { return order + " at " + price.Or("?") })
	priced.ToStream().To("out")
	run(b, "orders o1 - x3", "orders o1 tea x3", "products tea 4", "products tea -")
	// Output:
	// o1 - x3 at ?
	// o1 tea x3 at ?
	// o1 tea x3 at 4
	// o1 tea x3 at ?
}

func ExampleLeftJoinForeignOpt() {
	b := stream.NewBuilder()
	missing := stream.LeftJoinForeignOpt(tableOf(b, "orders"), tableOf(b, "products"), maybeProduct,
		func(_, order string, price stream.Opt[string]) stream.Opt[string] {
			return stream.OptOf("no price for "+order, !price.IsSome())
		})
	missing.ToStream().To("out")
	run(b, "orders o1 tea x3", "products tea 4")
	// Output:
	// o1 no price for tea x3
	// o1 -
}

func ExampleTryLeftJoinForeign() {
	b := stream.NewBuilder()
	stream.TryLeftJoinForeign(tableOf(b, "orders"), tableOf(b, "products"),
		func(_ context, k, order string) (stream.Opt[string], error) { return maybeProduct(k, order), nil },
		func(_ context, _, order string, price stream.Opt[string]) (string, error) {
			return order + " at " + price.Or("?"), nil
		}).ToStream().To("out")
	run(b, "orders o1 tea x3", "products tea 4")
	// Output:
	// o1 tea x3 at ?
	// o1 tea x3 at 4
}

func ExampleTryLeftJoinForeignOpt() {
	b := stream.NewBuilder()
	stream.TryLeftJoinForeignOpt(tableOf(b, "orders"), tableOf(b, "products"),
		func(_ context, k, order string) (stream.Opt[string], error) { return maybeProduct(k, order), nil },
		func(_ context, _, order string, price stream.Opt[string]) (stream.Opt[string], error) {
			return stream.OptOf(order+" at "+price.Or("?"), price.IsSome()), nil
		}).ToStream().To("out")
	run(b, "products tea 4", "orders o1 tea x3")
	// Output: o1 tea x3 at 4
}

func ExamplePartitionRight() {
	b := stream.NewBuilder()
	byLength := func(k string, partitions int) int { return len(k) % partitions } // as the producer of products has it
	stream.JoinForeign(tableOf(b, "orders"), tableOf(b, "products"), product,
		func(_, order, price string) string { return order + " at " + price }, stream.PartitionRight(byLength)).ToStream().To("out")
	run(b, "products tea 4", "orders o1 tea x3")
	// Output: o1 tea x3 at 4
}

func ExamplePartitionLeft() {
	b := stream.NewBuilder()
	byLength := func(k string, partitions int) int { return len(k) % partitions } // as the producer of orders has it
	stream.JoinForeign(tableOf(b, "orders"), tableOf(b, "products"), product,
		func(_, order, price string) string { return order + " at " + price }, stream.PartitionLeft(byLength)).ToStream().To("out")
	run(b, "products tea 4", "orders o1 tea x3")
	// Output: o1 tea x3 at 4
}
