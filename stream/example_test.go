package stream_test

import (
	"fmt"
	"iter"
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

func ExampleTableFrom() {
	b := stream.NewBuilder()
	users := stream.TableFrom(b, "users", serde.String, serde.String, stream.As("users"))
	users.ToStream().To("out")
	run(b, "users bob Bob", "users bob -")
	// Output:
	// bob Bob
	// bob -
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

func ExampleStream_ToTopics() {
	b := stream.NewBuilder()
	from(b, "in").ToTopics(func(r stream.Record[string, string]) string { return r.Value.Or("none") })
	run(b, "in a out", "in a elsewhere")
	// Output: a out
}

func ExampleGrouped_Count() {
	b := stream.NewBuilder()
	byWord := stream.GroupBy(from(b, "in"), func(_, word string) string { return word })
	byWord.Count(stream.As("counts")).ToStream().To("out", stream.WithValue(decimal))
	run(b, "in 1 a", "in 2 b", "in 3 a")
	// Output:
	// a 1
	// b 1
	// a 2
}

func ExampleGrouped_Reduce() {
	b := stream.NewBuilder()
	from(b, "in").GroupByKey().Reduce(func(old, v string) string { return old + "," + v }).ToStream().To("out")
	run(b, "in a 1", "in a 2")
	// Output:
	// a 1
	// a 1,2
}

func ExampleAggregate() {
	b := stream.NewBuilder()
	size := stream.Aggregate(from(b, "in").GroupByKey(), func() int64 { return 0 },
		func(_, v string, n int64) int64 { return n + int64(len(v)) })
	size.ToStream().To("out", stream.WithValue(decimal))
	run(b, "in a abc", "in a de")
	// Output:
	// a 3
	// a 5
}

func ExampleAggregateOpt() {
	b := stream.NewBuilder()
	open := stream.AggregateOpt(from(b, "in").GroupByKey(), func(_, event string, old stream.Opt[string]) stream.Opt[string] {
		if event == "closed" {
			return stream.None[string]() // deletes the row
		}
		return stream.Some(old.Or("") + event)
	})
	open.ToStream().To("out")
	run(b, "in 7 opened", "in 7 closed")
	// Output:
	// 7 opened
	// 7 -
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
	byRegion := stream.GroupTableBy(tableOf(b, "users"), func(name, region string) (string, string) { return region, name })
	letters := stream.AggregateTable(byRegion, func() int64 { return 0 },
		func(_, name string, n int64) int64 { return n + int64(len(name)) },
		func(_, name string, n int64) int64 { return n - int64(len(name)) })
	letters.ToStream().To("out", stream.WithValue(decimal))
	run(b, "users bob north", "users dave north", "users bob -")
	// Output:
	// north 3
	// north 7
	// north 4
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

var lastSeen = stream.KeyValue("last-seen", serde.String, serde.String)

// dedup forwards a value only if it is not the one that its key had last.
type dedup struct {
	last stream.KVStore[string, string]
}

func (d *dedup) Init(c *stream.InitContext[string, string]) error {
	d.last = lastSeen.Open(c)
	return nil
}

func (d *dedup) Process(ctx *stream.ProcessContext[string, string], r stream.Record[string, string]) error {
	v := r.Value.Or("")
	had, ok, err := d.last.Get(r.Key)
	if err != nil || ok && had == v {
		return err
	}
	ctx.Forward(r)
	return d.last.Put(r.Key, v)
}

func ExampleProcess() {
	b := stream.NewBuilder()
	stream.Process(from(b, "in"), func() *dedup { return new(dedup) }, []stream.StoreRef{lastSeen}).To("out")
	run(b, "in a 1", "in a 1", "in a 2")
	// Output:
	// a 1
	// a 2
}

// measure keeps the key, so that nothing is repartitioned behind it.
type measure struct{}

func (measure) Process(ctx *stream.ValueContext[string, int64], r stream.Record[string, string]) error {
	ctx.Forward(int64(len(r.Value.Or(""))))
	return nil
}

func ExampleProcessValues() {
	b := stream.NewBuilder()
	stream.ProcessValues(from(b, "in"), func() measure { return measure{} }, nil).To("out", stream.WithValue(decimal))
	run(b, "in a hello")
	// Output: a 5
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
