package stream_test

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

// run pipes records of text, written "topic key value" with "-" for null, through a program and prints what it writes to "out".
func run(b *stream.Builder, records ...string) {
	d, err := streamtest.Open(b, streamtest.NoCaching())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	bytesOf := func(s string) []byte {
		if s == "-" {
			return nil
		}
		return []byte(s)
	}
	for _, r := range records {
		w := strings.SplitN(r, " ", 3)
		in := streamtest.Input(d, w[0], serde.Bytes, serde.Bytes)
		if err := in.PipeRaw(bytesOf(w[1]), bytesOf(w[2]), time.UnixMilli(0), stream.Headers{}); err != nil {
			fmt.Println(err)
			return
		}
		for _, r := range d.Drain("out") {
			fmt.Println(text(r.Key), text(r.Value))
		}
	}
}

func ExampleFrom() {
	b := stream.NewBuilder()
	stream.From(b, "in", serde.String, serde.String).To("out")
	run(b, "in a hello")
	// Output: a hello
}

func ExampleFromAll() {
	b := stream.NewBuilder()
	stream.FromAll(b, []string{"east", "west"}, serde.String, serde.String).To("out")
	run(b, "east a 1", "west a 2")
	// Output:
	// a 1
	// a 2
}

func ExampleFromPattern() {
	b := stream.NewBuilder()
	stream.FromPattern(b, regexp.MustCompile("orders-.*"), serde.String, serde.String).To("out")
	run(b, "orders-north 1 tea", "orders-south 2 cups")
	// Output:
	// 1 tea
	// 2 cups
}

func ExampleRegister() {
	type user struct{ Name string }
	b := stream.NewBuilder()
	stream.Register(b, serde.JSON[user]())
	in := stream.From(b, "in", serde.String, serde.String)
	stream.MapValues(in, func(_, v string) user { return user{v} }).To("out")
	run(b, "in 1 Bob")
	// Output: 1 {"Name":"Bob"}
}

func ExampleStream_ToTopics() {
	b := stream.NewBuilder()
	from(b, "in").ToTopics(func(r stream.Record[string, string]) string { return r.Value.Or("none") })
	run(b, "in a out", "in a elsewhere")
	// Output: a out
}

func ExampleMetadataOf() {
	b := stream.NewBuilder()
	from(b, "in").TryForEach(func(ctx context, k, v string) error {
		m, _ := stream.MetadataOf(ctx)
		fmt.Printf("%s/%d@%d in task %s\n", m.Topic, m.Partition, m.Offset, m.Task)
		return nil
	})
	run(b, "in a x", "in a y")
	// Output:
	// in/0@0 in task 0_0
	// in/0@1 in task 0_0
}

func ExampleTimestamps() {
	b := stream.NewBuilder()
	stream.From(b, "in", serde.String, serde.String, stream.Timestamps(
		func(r stream.Record[string, string], _ time.Time) (time.Time, error) {
			return time.Parse(time.DateOnly, r.Value.Or(""))
		})).TryForEach(func(ctx context, _, v string) error {
		fmt.Println("a record of", v)
		return nil
	})
	run(b, "in a 2026-11-22")
	// Output: a record of 2026-11-22
}

func ExampleBuilder_Describe() {
	b := stream.NewBuilder()
	from(b, "in").To("out")
	text, _ := b.Describe()
	fmt.Print(text)
	// Output:
	// Topologies:
	//    Sub-topology: 0
	//     Source: KSTREAM-SOURCE-0000000000 (topics: [in])
	//       --> KSTREAM-SINK-0000000001
	//     Sink: KSTREAM-SINK-0000000001 (topic: out)
	//       <-- KSTREAM-SOURCE-0000000000
}

func ExampleStream_To() {
	b := stream.NewBuilder()
	all := func(r stream.Record[string, string], partitions int) int { return partitions - 1 }
	from(b, "in").To("out", stream.WithValue(serde.String), stream.Partitioner(all), stream.Named("write"))
	run(b, "in a x")
	// Output: a x
}

func ExampleStream_TryToTopics() {
	b := stream.NewBuilder()
	from(b, "in").TryToTopics(func(_ context, r stream.Record[string, string]) (string, error) {
		return r.Value.Or("none"), fails(r.Value.Or(""))
	})
	run(b, "in a out", "in b fail")
	// Output: a out
}

func ExampleBuilder_Optimize() {
	b := stream.NewBuilder()
	b.Optimize(stream.ReuseSourceTopics) // the table is restored from its topic and has no changelog
	stream.JoinTable(from(b, "orders"), tableOf(b, "users"), func(_, order, user string) string { return order + " for " + user }).To("out")
	run(b, "users bob Bob", "orders bob tea")
	// Output: bob tea for Bob
}

func ExampleBuilder_Build() {
	b := stream.NewBuilder()
	stream.From(b, "in", serde.String, serde.Serde[string](nil)).To("")
	_, err := b.Build("app") // all mistakes at once, each with its place
	fmt.Println(strings.Count(err.Error(), "example_test.go"), "mistakes")
	// Output: 2 mistakes
}
