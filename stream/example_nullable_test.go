package stream_test

import (
	"github.com/oxbow-streams/oxbow/stream"
)

func ExampleNullable() {
	b := stream.NewBuilder()
	seen := stream.MapValues(stream.Nullable(from(b, "in")), func(_ string, v stream.Opt[string]) stream.Opt[string] {
		return stream.Some("seen " + v.Or("a tombstone"))
	})
	stream.Present(seen).To("out")
	run(b, "in a x", "in a -")
	// Output:
	// a seen x
	// a seen a tombstone
}

func ExampleNullableKeys() {
	b := stream.NewBuilder()
	keyed := stream.SelectKey(stream.NullableKeys(from(b, "in")), func(k stream.Opt[string], _ string) stream.Opt[string] {
		return stream.Some(k.Or("nobody"))
	})
	stream.PresentKeys(keyed).To("out")
	run(b, "in - x")
	// Output: nobody x
}

// A value that a function made absent is a null for the steps that follow: they do not see it, and it is written as null.
func ExamplePresent() {
	b := stream.NewBuilder()
	long := stream.MapValues(stream.Nullable(from(b, "in")), func(_ string, v stream.Opt[string]) stream.Opt[string] {
		return stream.OptOf(v.Or(""), len(v.Or("")) > 2)
	})
	stream.Present(long).To("out")
	run(b, "in a x", "in b word")
	// Output:
	// a -
	// b word
}

// A null key is the empty text to functions, and is still written as null.
func ExamplePresentKeys() {
	b := stream.NewBuilder()
	stream.PresentKeys(stream.NullableKeys(from(b, "in"))).To("out")
	run(b, "in - x", "in a y")
	// Output:
	// - x
	// a y
}
