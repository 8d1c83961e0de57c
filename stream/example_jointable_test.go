package stream_test

import (
	"github.com/oxbow-streams/oxbow/stream"
)

func ExampleJoinTable() {
	b := stream.NewBuilder()
	stream.JoinTable(from(b, "orders"), tableOf(b, "users"), func(_, order, user string) string { return order + " for " + user }).To("out")
	run(b, "users bob Bob", "orders bob tea", "orders eve cups")
	// Output: bob tea for Bob
}

func ExampleLeftJoinTable() {
	b := stream.NewBuilder()
	stream.LeftJoinTable(from(b, "orders"), tableOf(b, "users"), func(_, order string, user stream.Opt[string]) string {
		return order + " for " + user.Or("somebody")
	}).To("out")
	run(b, "orders eve cups")
	// Output: eve cups for somebody
}

func ExampleTryJoinTable() {
	b := stream.NewBuilder()
	stream.TryJoinTable(from(b, "orders"), tableOf(b, "users"), func(_ context, _, order, user string) (string, error) {
		return order + " for " + user, fails(order)
	}).To("out")
	run(b, "users bob Bob", "orders bob fail", "orders bob tea")
	// Output: bob tea for Bob
}

func ExampleTryLeftJoinTable() {
	b := stream.NewBuilder()
	stream.TryLeftJoinTable(from(b, "orders"), tableOf(b, "users"), func(_ context, _, order string, user stream.Opt[string]) (string, error) {
		return order + " for " + user.Or("somebody"), fails(order)
	}).To("out")
	run(b, "orders eve fail", "orders eve cups")
	// Output: eve cups for somebody
}
