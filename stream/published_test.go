package stream_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

// Bugs of Kafka Streams that lost or made up results: each had users, and must not have any here. Those of foreign-key joins and
// suppress are beside their tests.

// published runs "TOPIC KEY=VALUE @TIME" through a program, as it is, with each record undone and run again, and with a restart after
// each, and compares what it writes to "out".
func published(t *testing.T, program func(b *stream.Builder), want string, inputs ...string) {
	t.Helper()
	for _, mode := range []string{"plain", "twice", "restart"} {
		if got := strings.Join(replay(t, program, inputs, mode), ", "); got != want {
			t.Errorf("%s: %s, want %s", mode, got, want)
		}
	}
}

// outerPairs joins the streams l and r.
func outerPairs(w stream.JoinWindow, opts ...stream.StreamJoinOption) func(b *stream.Builder) {
	return func(b *stream.Builder) {
		stream.OuterJoinStream(from(b, "l"), from(b, "r"), w, func(_ string, l, r opt) string { return l.Or("?") + r.Or("?") }, opts...).
			To("out", stream.WithValue(serde.String))
	}
}

// why: left and outer joins sent a result without the other side as soon as a record came, and another one with it when it did.
func TestKafka10847NoResultWithoutTheOtherSideBeforeTheWindowIsOver(t *testing.T) {
	published(t, outerPairs(stream.Within(ms(10)).Grace(ms(5))), "a=lr @12, b=?s @4",
		"l a=l @2", "r b=s @4", "r a=r @12", "l z=z @19", "l z=z @20")
}

// why: with a window that is not symmetric, one side's results came by the other side's length: too early for the longer, so that a
// match came after a result without.
func TestKafka13721EachSideWaitsForItsOwnLength(t *testing.T) {
	// A left record may meet right ones up to 20 later, a right one no left one that is later than itself.
	published(t, outerPairs(stream.Within(0).After(ms(20))), "r=?r @0, l=lr @20, m=m? @1, z=z? @1",
		"l l=l @0", "r r=r @0", "l z=z @1", "l m=m @1", "r l=r @20", "l y=y @22")
}

// why: the tasks of a join shared what they knew of time, so that one task's stream time made another one miss its results, or send
// them early. Here it is two joins; integration/families has one over two partitions.
func TestKafka14862EachTaskHasTheTimeOfItsOwnJoin(t *testing.T) {
	b := stream.NewBuilder() // two joins, each with a sub-topology and tasks of its own
	outerPairs(stream.Within(ms(10)), stream.Named("first"))(b)
	stream.LeftJoinStream(from(b, "l2"), from(b, "r2"), stream.Within(ms(10)), func(_, l string, r opt) string { return l + r.Or("?") },
		stream.Named("second")).To("out", stream.WithValue(serde.String))
	two := streamtest.New(t, b, streamtest.Twice())
	pipe(t, two, line{"l", "a", "1", 0})
	pipe(t, two, line{"l2", "b", "2", 1_000})
	pipe(t, two, line{"l2", "c", "3", 2_000}) // b is due, a is not
	pipe(t, two, line{"r", "a", "r", 5})      // its time is far behind that of the other join
	pipe(t, two, line{"l", "d", "4", 20})
	pipe(t, two, line{"l", "e", "5", 40}) // d is due
	if got := strings.Join(drained(two, "out"), ", "); got != "b=2? @1000, a=1r @5, d=4? @20" {
		t.Errorf("written %s", got)
	}
}

// why: with caching, a store that keeps duplicates kept one of the records of one key and time.
func TestKafka9921DuplicatesAreJoinedEach(t *testing.T) {
	b := stream.NewBuilder()
	outerPairs(stream.Within(ms(10)))(b)
	d := streamtest.New(t, b) // with caching
	for _, v := range []string{"1", "2", "2"} {
		pipe(t, d, line{"l", "a", v, 5})
	}
	pipe(t, d, line{"r", "a", "r", 5})
	if got := strings.Join(drained(d, "out"), ", "); got != "a=1r @5, a=2r @5, a=2r @5" {
		t.Errorf("written %s", got)
	}
}

// why: duplicates had one key in the changelog, so that all but one of them were lost when the store was restored.
func TestKafka5804DuplicatesSurvive(t *testing.T) {
	published(t, outerPairs(stream.Within(ms(10))), "a=1r @5, a=2r @5, a=2r @5, b=?x @6, b=?y @6",
		"l a=1 @5", "l a=2 @5", "l a=2 @5", "r a=r @5", "r b=x @6", "r b=y @6", "l z=z @17")
}

// why: the stores of joins were made for rows with a timestamp, which have none: what was restored got one put before its value, and
// could not be read. Here the stores are read again after each restart; integration/families restores them.
func TestKafka16046JoinStoresHaveNoTimestamps(t *testing.T) {
	published(t, outerPairs(stream.Within(ms(10)), stream.InMemory()), "a=l? @0, b=?r @1", "l a=l @0", "r b=r @1", "l z=z @12")
}

// why: an update that says what the table held, with the same time, was taken for known, also when its first result was lost.
func TestKafka12508SameUpdateIsSentAgain(t *testing.T) {
	published(t, func(b *stream.Builder) { tableOf(b, "in", stream.As("rows"), stream.EmitEvery).ToStream().To("out") },
		"a=1 @5, a=1 @5, a=1 @6, a=- @7, a=- @7", "in a=1 @5", "in a=1 @5", "in a=1 @6", "in a=- @7", "in a=- @7")
}

// why: the subscriptions of one foreign key are found by a prefix, and those of a longer key that begins with it must not be among
// them. Kafka Streams had this right: it is here for all who scan by prefix.
func TestForeignKeysThatBeginAlike(t *testing.T) {
	published(t, func(b *stream.Builder) {
		stream.JoinForeign(tableOf(b, "l"), tableOf(b, "r"), func(_, v string) string { return v }, func(_, l, r string) string { return l + r }).
			ToStream().To("out", stream.WithValue(serde.String))
	}, "2=aa2 @3, 1=a1 @4, 1=- @5", "l 1=a @1", "l 2=aa @2", "r aa=2 @3", "r a=1 @4", "r a=- @5")
}

// why: a program could not be built in which the result of a foreign-key join without a store of its own was joined again (9500), nor
// run where such a join was not told its serdes (9517).
func TestKafka9500And9517TablesWithoutStores(t *testing.T) {
	published(t, func(b *stream.Builder) {
		kept := func(topic string) stream.Table[string, string] {
			return tableOf(b, topic).Filter(func(_, v string) bool { return v != "drop" })
		}
		fk := stream.JoinForeign(kept("l"), kept("r"), func(_, v string) string { return v }, func(_, l, r string) string { return l + r })
		stream.LeftJoinTables(fk, kept("m"), func(_, j string, m opt) string { return j + m.Or("?") }).
			ToStream().To("out", stream.WithValue(serde.String))
	}, "1=k1? @1, 1=k1m @2, 1=- @3, 1=k2m @4, 1=k2? @5",
		"l 1=k @0", "r k=1 @1", "m 1=m @2", "r k=drop @3", "r k=2 @4", "m 1=drop @5")
}

// TestOnCloseAcrossRestarts: the stream time of windows that are sent when they close survives a restart (node.Clock): wherever the
// program starts anew, each window comes once, late records stay out, and nothing closes anew.
func TestOnCloseAcrossRestarts(t *testing.T) {
	times := []int64{3, 8, 12, 5, 25, 9, 24, 41, 11, 60}
	program := func(b *stream.Builder) {
		joined(stream.WindowBy(from(b, "in").GroupByKey(), stream.Tumbling(ms(10)).Grace(ms(2))), stream.EmitOnClose).
			ToStream().To("out", stream.WithKey[windowedText](windowText{}))
	}
	want := "k[0,10]=0+1 @8, k[10,20]=2 @12, k[20,30]=4+6 @25, k[40,50]=7 @41"
	for at := -1; at <= len(times); at++ { // -1: never; all: after each
		b := stream.NewBuilder()
		program(b)
		d := streamtest.New(t, b)
		for i, time := range times {
			pipe(t, d, line{"in", "k", fmt.Sprint(i), time})
			if i == at || at == len(times) {
				if err := d.Restart(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if got := strings.Join(drained(d, "out"), ", "); got != want {
			t.Errorf("restart after record %d: %s, want %s", at, got, want)
		}
		if err := d.Advance(time.Hour); err != nil || len(drained(d, "out")) != 0 {
			t.Errorf("restart after record %d: windows close by the wall clock (%v)", at, err)
		}
	}
}
