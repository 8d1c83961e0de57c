package stream_test

import (
	goctx "context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

// A program gives the same results with and without optimizations, records with null keys among its inputs.
func TestOptimizedProgramsGiveTheSame(t *testing.T) {
	build := func(o stream.Optimization) *stream.Builder {
		b := stream.NewBuilder()
		b.Optimize(o)
		in := stream.From(b, "in", serde.String, serde.String)
		users := stream.TableFrom(b, "users", serde.String, serde.String, stream.As("users"))
		byLetter := stream.SelectKey(in, func(_, v string) string { return v[:1] }).Filter(func(_, v string) bool { return v != "x" })
		byLetter.GroupByKey().Count(stream.As("counts")).ToStream().To("counts-out", stream.WithValue(serde.Int64))
		byLetter.GroupByKey().Reduce(func(a, v string) string { return a + v }, stream.As("texts")).ToStream().To("texts-out")
		stream.JoinTable(byLetter, users, func(_, v, u string) string { return v + u }).To("joined")
		byLetter.To("passed")
		return b
	}
	run := func(o stream.Optimization) map[string][]string {
		d := streamtest.New(t, build(o), streamtest.NoCaching())
		streamtest.Input(d, "users", serde.String, serde.String).Pipe("a", "1")
		in := streamtest.Input(d, "in", serde.String, serde.String)
		for _, v := range []string{"a1", "b1", "x", "a2", "c1", "a3", "b2"} {
			in.Pipe("k", v)
		}
		got := map[string][]string{}
		for _, topic := range []string{"counts-out", "texts-out", "joined", "passed"} {
			for _, r := range streamtest.Output(d, topic, serde.String, serde.Bytes).ReadAll() {
				v, _ := r.Value.Get()
				got[topic] = append(got[topic], fmt.Sprintf("%s=%q", r.Key, v))
			}
		}
		return got
	}
	want := run(0)
	if len(want["joined"]) != 3 || len(want["passed"]) != 6 {
		t.Fatalf("the program does not do what the test is about: %v", want)
	}
	if got := run(stream.OptimizeAll); !reflect.DeepEqual(got, want) {
		t.Errorf("optimized\n%v\nwant\n%v", got, want)
	}
	for o, n := range map[stream.Optimization]int{0: 3, stream.MergeRepartitions: 1} {
		topo, err := build(o).Build("app")
		if err != nil {
			t.Fatal(err)
		}
		if len(topo.Internals) != n {
			t.Errorf("optimizations %b: %d repartition topics, want %d", o, len(topo.Internals), n)
		}
	}
}

// A table that is restored from its source topic has no changelog. On an empty disk it is what the records that were committed
// make of it: those after them are processed, each once.
func TestTableRestoredFromItsSource(t *testing.T) {
	c := newCluster(t, 1, "users", "asks", "answers")
	build := func() *stream.Builder {
		b := stream.NewBuilder()
		b.Optimize(stream.ReuseSourceTopics)
		users := stream.TableFrom(b, "users", serde.String, serde.Int64, stream.As("users"))
		asks := stream.From(b, "asks", serde.String, serde.String)
		stream.LeftJoinTable(asks, users, func(_, q string, u stream.Opt[int64]) string { return fmt.Sprint(q, u.Or(-1)) }).To("answers")
		return b
	}
	number := func(n byte) string { return "\x00\x00\x00\x00\x00\x00\x00" + string(n) }
	c.produce("users", "a="+number(1), "b="+number(2), "bad=no number", "a="+number(3))
	_, stop := start(t, build(), c.config("reuse"))
	c.read("reuse-dlq", 1)
	c.produce("asks", "a=first")
	c.read("answers", 1)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	c.produce("users", "b="+number(4))
	_, stop = start(t, build(), c.config("reuse")) // another directory: nothing is left of the state
	c.produce("asks", "a=second", "bad=third")
	var got []string
	for _, r := range c.read("answers", 3) {
		got = append(got, string(r.Value))
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if want := []string{"first3", "second3", "third-1"}; !reflect.DeepEqual(got, want) {
		t.Errorf("answers %v, want %v", got, want)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.addrs...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	all := kmsg.NewPtrMetadataRequest()
	all.Topics = nil
	topics, err := all.RequestWith(goctx.Background(), cl)
	if err != nil {
		t.Fatal(err)
	}
	if len(topics.Topics) < 4 {
		t.Errorf("%d topics, want those of the test at least", len(topics.Topics))
	}
	for _, topic := range topics.Topics {
		if strings.HasSuffix(*topic.Topic, "-changelog") {
			t.Errorf("%s exists, though the table has its source topic", *topic.Topic)
		}
	}
}
