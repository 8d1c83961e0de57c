package stream_test

import (
	"errors"
	"strings"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// shopOf is the look-up key of an order, which is written shop/article.
func shopOf(_, order string) string {
	shop, _, _ := strings.Cut(order, "/")
	return shop
}

// maybeShopOf finds no shop in an order that names none.
func maybeShopOf(_, order string) stream.Opt[string] {
	shop, _, ok := strings.Cut(order, "/")
	if !ok {
		return stream.None[string]()
	}
	return stream.Some(shop)
}

func tryShopOf(_ context, _, order string) (string, error) {
	shop, _, ok := strings.Cut(order, "/")
	if !ok {
		return "", errors.New("the order names no shop")
	}
	return shop, nil
}

func ExampleGlobalTableFrom() {
	b := stream.NewBuilder()
	shops := stream.GlobalTableFrom(b, "shops", serde.String, serde.String, stream.As("shops"))
	stream.JoinGlobal(from(b, "orders"), shops, shopOf, func(_, order, city string) string { return order + " in " + city }).
		To("out", stream.WithValue(serde.String))
	run(b, "shops s1 Ghent", "orders 1 s1/tea")
	// Output: 1 s1/tea in Ghent
}

func ExampleJoinGlobal() {
	b := stream.NewBuilder()
	shops := stream.GlobalTableFrom(b, "shops", serde.String, serde.String)
	joined := stream.JoinGlobal(from(b, "orders"), shops, shopOf, func(_, order, city string) string { return order + " in " + city })
	joined.To("out", stream.WithValue(serde.String))
	run(b, "shops s1 Ghent", "orders 1 s1/tea", "orders 2 s2/tea")
	// Output: 1 s1/tea in Ghent
}

func ExampleJoinGlobalOpt() {
	b := stream.NewBuilder()
	shops := stream.GlobalTableFrom(b, "shops", serde.String, serde.String)
	joined := stream.JoinGlobalOpt(from(b, "orders"), shops, maybeShopOf, func(_, order, city string) string { return order + " in " + city })
	joined.To("out", stream.WithValue(serde.String))
	run(b, "shops s1 Ghent", "orders 1 tea", "orders 2 s1/tea")
	// Output: 2 s1/tea in Ghent
}

func ExampleTryJoinGlobal() {
	b := stream.NewBuilder()
	shops := stream.GlobalTableFrom(b, "shops", serde.String, serde.String)
	joined := stream.TryJoinGlobal(from(b, "orders"), shops, tryShopOf, func(_ context, _, order, city string) (string, error) {
		return order + " in " + city, nil
	})
	joined.To("out", stream.WithValue(serde.String))
	run(b, "shops s1 Ghent", "orders 1 tea", "orders 2 s1/tea") // the first is in the dead-letter topic
	// Output: 2 s1/tea in Ghent
}

func ExampleTryJoinGlobalOpt() {
	b := stream.NewBuilder()
	shops := stream.GlobalTableFrom(b, "shops", serde.String, serde.String)
	joined := stream.TryJoinGlobalOpt(from(b, "orders"), shops,
		func(_ context, k, order string) (stream.Opt[string], error) { return maybeShopOf(k, order), nil },
		func(_ context, _, order, city string) (string, error) { return order + " in " + city, nil })
	joined.To("out", stream.WithValue(serde.String))
	run(b, "shops s1 Ghent", "orders 1 tea", "orders 2 s1/tea")
	// Output: 2 s1/tea in Ghent
}

func ExampleLeftJoinGlobal() {
	b := stream.NewBuilder()
	shops := stream.GlobalTableFrom(b, "shops", serde.String, serde.String)
	joined := stream.LeftJoinGlobal(from(b, "orders"), shops, shopOf, func(_, order string, city opt) string {
		return order + " in " + city.Or("an unknown city")
	})
	joined.To("out", stream.WithValue(serde.String))
	run(b, "orders 1 s1/tea", "shops s1 Ghent", "orders 2 s1/tea")
	// Output:
	// 1 s1/tea in an unknown city
	// 2 s1/tea in Ghent
}

func ExampleLeftJoinGlobalOpt() {
	b := stream.NewBuilder()
	shops := stream.GlobalTableFrom(b, "shops", serde.String, serde.String)
	joined := stream.LeftJoinGlobalOpt(from(b, "orders"), shops, maybeShopOf, func(_, order string, city opt) string {
		return order + " in " + city.Or("no shop")
	})
	joined.To("out", stream.WithValue(serde.String))
	run(b, "orders 1 tea")
	// Output: 1 tea in no shop
}

func ExampleTryLeftJoinGlobal() {
	b := stream.NewBuilder()
	shops := stream.GlobalTableFrom(b, "shops", serde.String, serde.String)
	joined := stream.TryLeftJoinGlobal(from(b, "orders"), shops, tryShopOf, func(_ context, _, order string, city opt) (string, error) {
		return order + " in " + city.Or("an unknown city"), nil
	})
	joined.To("out", stream.WithValue(serde.String))
	run(b, "orders 1 tea", "orders 2 s1/tea")
	// Output: 2 s1/tea in an unknown city
}

func ExampleTryLeftJoinGlobalOpt() {
	b := stream.NewBuilder()
	shops := stream.GlobalTableFrom(b, "shops", serde.String, serde.String)
	joined := stream.TryLeftJoinGlobalOpt(from(b, "orders"), shops,
		func(_ context, k, order string) (stream.Opt[string], error) { return maybeShopOf(k, order), nil },
		func(_ context, _, order string, city opt) (string, error) {
			return order + " in " + city.Or("no shop"), nil
		})
	joined.To("out", stream.WithValue(serde.String))
	run(b, "orders 1 tea")
	// Output: 1 tea in no shop
}
