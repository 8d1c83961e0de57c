package stream_test

import (
	goctx "context"
	"fmt"
	"strings"
	"time"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

// shown prints the lines of a program's description that name something.
func shown(b *stream.Builder, names ...string) {
	text, err := b.Describe()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, l := range strings.Split(text, "\n") {
		for _, n := range names {
			if strings.Contains(l, n) {
				fmt.Println(strings.TrimSpace(l))
				break
			}
		}
	}
}

func ExampleNamed() {
	b := stream.NewBuilder()
	from(b, "in").Filter(func(_, v string) bool { return v != "" }, stream.Named("not-empty")).To("out")
	shown(b, "not-empty (")
	// Output: Processor: not-empty (stores: [])
}

// A failure is tried twice more, then set aside.
func ExampleOnError() {
	b := stream.NewBuilder()
	try := func(_ context, _, v string) (string, error) { return v, fails(v) }
	rules := stream.OnError(stream.Retry(2, stream.Fixed(time.Millisecond)), stream.DeadLetter())
	stream.TryMapValues(from(b, "in"), try, rules).To("out")
	run(b, "in a x")
	// Output: a x
}

func ExampleAs() {
	b := stream.NewBuilder()
	from(b, "in").GroupByKey().Count(stream.As("counts")) // its changelog is <app>-counts-changelog
	shown(b, "counts")
	// Output: Processor: KSTREAM-AGGREGATE-0000000001 (stores: [counts])
}

func ExampleInMemory() {
	b := stream.NewBuilder()
	from(b, "in").GroupByKey().Count(stream.InMemory()).ToStream().To("out", stream.WithValue(decimal))
	run(b, "in a x", "in a y")
	// Output:
	// a 1
	// a 2
}

func ExampleNoChangelog() {
	b := stream.NewBuilder()
	from(b, "in").GroupByKey().Count(stream.NoChangelog()).ToStream().To("out", stream.WithValue(decimal))
	run(b, "in a x", "in a y")
	// Output:
	// a 1
	// a 2
}

func ExampleWithKey() {
	b := stream.NewBuilder()
	byLength := stream.GroupBy(from(b, "in"), func(_, v string) int64 { return int64(len(v)) }, stream.WithKey(decimal))
	byLength.Count().ToStream().To("out", stream.WithValue(decimal))
	run(b, "in a tea", "in b pie")
	// Output:
	// 3 1
	// 3 2
}

func ExampleWithValue() {
	b := stream.NewBuilder()
	from(b, "in").GroupByKey().Count().ToStream().To("out", stream.WithValue(decimal)) // text, in place of eight bytes
	run(b, "in a x")
	// Output: a 1
}

func ExampleWithRight() {
	type page struct{ Path string }
	b := stream.NewBuilder()
	pages := stream.MapValues(from(b, "b"), func(_, v string) page { return page{"/" + v} })
	stream.JoinStream(from(b, "a"), pages, stream.Within(time.Second), func(_, who string, p page) string { return who + p.Path },
		stream.WithRight(serde.JSON[page]())).To("out", stream.WithValue(serde.String))
	runAt(b, "a k ann 0", "b k home 1")
	// Output: k ann/home @1
}

func ExamplePartitions() {
	b := stream.NewBuilder()
	from(b, "in").Repartition(stream.Named("wide"), stream.Partitions(6)).GroupByKey().Count().
		ToStream().To("out", stream.WithValue(decimal))
	run(b, "in a x")
	// Output: a 1
}

func ExamplePartitioner() {
	b := stream.NewBuilder()
	first := func(r stream.Record[string, string], partitions int) int { return int(r.Key[0]) % partitions }
	from(b, "in").To("out", stream.Partitioner(first))
	run(b, "in a x")
	// Output: a x
}

func ExampleOffset() {
	b := stream.NewBuilder()
	live := stream.From(b, "in", serde.String, serde.String, stream.Offset(stream.Latest)) // where the group has no offset yet
	live.To("out")
	run(b, "in a x")
	// Output: a x
}

func ExampleWallClockTime() {
	b := stream.NewBuilder()
	stream.From(b, "in", serde.String, serde.String, stream.WallClockTime()).To("out")
	d, err := streamtest.Open(b, streamtest.StartAt(time.UnixMilli(500)))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	_ = streamtest.Input(d, "in", serde.String, serde.String).PipeAt("a", "x", time.UnixMilli(1))
	fmt.Println(drained(d, "out"))
	// Output: [a=x @500]
}

func ExamplePartitionTimeOnInvalid() {
	b := stream.NewBuilder()
	stream.From(b, "in", serde.String, serde.String, stream.PartitionTimeOnInvalid()).To("out")
	runAt(b, "in a x 7", "in a y -1")
	// Output:
	// a x @7
	// a y @7
}

// ask counts the keys of "in" and asks for one of them.
func ask(key string, opts ...stream.QueryOption) {
	b := stream.NewBuilder()
	counts := from(b, "in").GroupByKey().Count(stream.As("counts"))
	d := filled(b, "in", "a x 1", "a y 2")
	defer d.Close()
	view, err := stream.Query(d, counts, opts...)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(view.Get(goctx.Background(), key))
}

func ExampleInPartition() {
	ask("a", stream.InPartition(0))
	// Output: 2 true <nil>
}

func ExamplePartitionBy() {
	ask("a", stream.PartitionBy(func(k string, partitions int) int { return len(k) % partitions }))
	// Output: 2 true <nil>
}

func ExampleStale() {
	ask("a", stream.Stale()) // answers also while the store is being restored
	// Output: 2 true <nil>
}
