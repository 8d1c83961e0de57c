package stream_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

func priced(_, order, price string) string { return order + " at " + price }

func maybePriced(_, order string, price opt) string { return order + " at " + price.Or("?") }

func tryPriced(_ context, k, order, price string) (string, error) {
	if price == "?" {
		return "", fmt.Errorf("%s has no price", k)
	}
	return order + " at " + price, nil
}

// orders and products are the tables of the transcripts: an order "tea_3" is one of tea, "-_3" is one of nothing.
func fkOf(_, order string) opt {
	for i := range order {
		if order[i] == '_' {
			return stream.OptOf(order[:i], order[:i] != "-")
		}
	}
	return stream.Some(order)
}

var foreignPrograms = map[string]func(b *stream.Builder){
	"inner": func(b *stream.Builder) {
		stream.JoinForeignOpt(tableOf(b, "orders"), tableOf(b, "products"), fkOf, func(k, o, p string) opt {
			return stream.Some(priced(k, o, p))
		}).ToStream().To("out")
	},
	"left": func(b *stream.Builder) {
		stream.LeftJoinForeign(tableOf(b, "orders"), tableOf(b, "products"), fkOf, maybePriced).ToStream().To("out")
	},
	"failing": func(b *stream.Builder) {
		joined := stream.TryJoinForeign(tableOf(b, "orders"), tableOf(b, "products"), func(_ context, _, o string) (string, error) {
			fk, _ := fkOf("", o).Get()
			return fk, fails(fk)
		}, tryPriced, stream.As("joined"), stream.WithValue(serde.String))
		joined.ToStream().To("out")
	},
	"chain": func(b *stream.Builder) {
		orders, products, makers := tableOf(b, "orders"), tableOf(b, "products"), tableOf(b, "makers")
		withProduct := stream.JoinForeignOpt(orders, products, fkOf, func(_, _, p string) opt { return stream.Some(p) },
			stream.WithValue(serde.String))
		stream.JoinForeignOpt(withProduct, makers, fkOf, func(_, p, m string) opt { return stream.Some(p + " by " + m) }).ToStream().To("out")
	},
	"itself": func(b *stream.Builder) {
		people := tableOf(b, "people")
		stream.LeftJoinForeign(people, people, fkOf, func(_, p string, boss opt) string { return p + " under " + boss.Or("nobody") }).
			ToStream().To("out")
	},
}

func TestForeignTranscripts(t *testing.T) { driverTranscripts(t, "foreign", foreignPrograms) }

// KAFKA-13769: answers went to the partition that the left key has by hash, also where the left topic is partitioned by something
// else. An answer goes to where its left row came from.
func TestKafka13769AnswersGoToThePartitionOfTheLeftRow(t *testing.T) {
	b := stream.NewBuilder()
	foreignPrograms["inner"](b)
	r := newRig(t, b)
	for _, task := range r.tasks {
		task.Task.ID.Partition = 3
	}
	r.must("products", "tea", "4", 0)
	r.must("orders", "o1", "tea_1", 0)
	for _, task := range r.tasks {
		task.Task.ID.Partition = 1 // of the right side
	}
	r.must("products", "tea", "5", 0)
	n := 0
	for _, s := range r.partitions {
		if strings.Contains(s.topic, "SUBSCRIPTION-RESPONSE") {
			if n++; s.partition != 3 {
				t.Errorf("an answer goes to partition %d, want 3", s.partition)
			}
		}
	}
	if n != 2 {
		t.Errorf("%d answers, want 2", n)
	}
}

// KAFKA-18713: two answers to one change of a left row raced, and the wrong one could win. One change asks for one answer at most,
// whatever happened to its foreign key.
func TestKafka18713OneChangeAsksForOneAnswer(t *testing.T) {
	values := []record.Opt[string]{record.None[string](), record.Some("-_1"), record.Some("-_2"), record.Some("a_1"), record.Some("a_2"),
		record.Some("b_1")}
	for _, left := range []bool{false, true} {
		for _, old := range values {
			for _, now := range values {
				task := &node.Task{}
				at := &node.Info{Stats: new(node.Stats)}
				answers, subscribed := 0, 0
				send := node.SubscribeForeign(task, at, func(k, v string) (opt, error) { return fkOf(k, v), nil }, left, serde.String, serde.String,
					func(r *node.Rec[string, node.Subscription[string]]) error {
						if r.Value.Instruction != node.DeleteKeyNoPropagate {
							answers++
						}
						if r.Value.Instruction >= node.PropagateNullIfNoFKValAvailable && !r.NullKey {
							subscribed++
						}
						return nil
					})
				if err := send(&node.Rec[string, node.Change[string]]{Key: "k", Value: node.Change[string]{New: now, Old: old}}); err != nil {
					t.Fatal(err)
				}
				v, ok := now.Get()
				has := ok && fkOf("", v).IsSome()
				if answers > 1 || subscribed != map[bool]int{true: 1}[has] {
					t.Errorf("left %v: %v becomes %v: %d answers, %d subscriptions", left, old, now, answers, subscribed)
				}
			}
		}
	}
}

// A right row that many wait for is one unit: if one answer cannot be written, none is.
func TestForeignFanOutFailsWhole(t *testing.T) {
	b := stream.NewBuilder()
	foreignPrograms["inner"](b)
	d := streamtest.New(t, b, streamtest.NoCaching(), streamtest.MaxRecordBytes(400))
	orders, products := streamtest.Input(d, "orders", serde.String, serde.String), streamtest.Input(d, "products", serde.String, serde.String)
	for i := range 3 {
		if err := orders.Pipe(fmt.Sprint("o", i), "tea_1"); err != nil {
			t.Fatal(err)
		}
	}
	if err := products.Pipe("tea", "4"); err != nil {
		t.Fatal(err)
	}
	before := written(d)
	// Its own row fits into the changelog; an answer, with hash and origin, does not fit into its topic.
	if err := products.Pipe("tea", string(make([]byte, 266))); err != nil {
		t.Fatal(err)
	}
	if got := d.Drain("out"); len(got) != 0 || before == "" {
		t.Errorf("%d results of a row that failed, %q before", len(got), before)
	}
	if letters := d.DeadLetters(); len(letters) != 1 || string(letters[0].Key) != "tea" || letters[0].Stage() != "produce" {
		t.Errorf("dead letters %v", letters)
	}
	if err := products.Pipe("tea", "5"); err != nil || len(d.Drain("out")) != 3 {
		t.Errorf("after it: %v", err)
	}
}
