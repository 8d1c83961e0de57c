package brokers_test

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/oxbow-streams/oxbow/integration/brokers"
)

func TestMain(m *testing.M) {
	code := brokers.Main(m)
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

var sharing = brokers.Options{Shared: true}

func numbered(topic string, from, to int) (records []*kgo.Record) {
	for i := from; i < to; i++ {
		records = append(records, kgo.KeyStringRecord(strconv.Itoa(i), strconv.Itoa(i*i)))
		records[len(records)-1].Topic = topic
	}
	return records
}

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	brokers.Run(t, sharing, func(t *testing.T, c *brokers.Cluster) {
		c.CreateTopic(t, "plain", 3)
		when := time.UnixMilli(1_700_000_000_000)
		c.ProduceTo(t,
			&kgo.Record{Topic: "plain", Partition: 2, Key: []byte("k"), Value: []byte("v"), Timestamp: when,
				Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("1")}, {Key: "h", Value: nil}}},
			&kgo.Record{Topic: "plain", Partition: 0, Key: nil, Value: []byte{}, Timestamp: when},
			&kgo.Record{Topic: "plain", Partition: 2, Key: []byte{}, Value: nil, Timestamp: when},
		)
		var got []string
		for _, r := range c.Read(t, "plain") {
			got = append(got, fmt.Sprintf("%d@%d %#v %#v %d %q", r.Partition, r.Offset, r.Key, r.Value,
				r.Timestamp.UnixMilli(), r.Headers))
		}
		want := []string{
			`0@0 []byte(nil) []byte{} 1700000000000 []`,
			`2@0 []byte{0x6b} []byte{0x76} 1700000000000 [{"h" "1"} {"h" ""}]`,
			`2@1 []byte{} []byte(nil) 1700000000000 []`,
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("read\n%q\nwant\n%q", got, want)
		}
		if ends := c.Ends(t, "plain"); !reflect.DeepEqual(ends, map[int32]int64{0: 1, 1: 0, 2: 2}) {
			t.Errorf("ends %v", ends)
		}
	})
}

// A topic that ends in transaction markers and aborted data is read to its end all the same.
func TestTransactions(t *testing.T) {
	brokers.Run(t, sharing, func(t *testing.T, c *brokers.Cluster) {
		c.CreateTopic(t, "transactions", 1)
		tx := c.NewClient(t, kgo.TransactionalID("tx"))
		for i, decision := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
			if err := tx.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			if err := tx.ProduceSync(t.Context(), numbered("transactions", i, i+1)...).FirstErr(); err != nil {
				t.Fatal(err)
			}
			if err := tx.EndTransaction(t.Context(), decision); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(c.Await(t, "transactions", brokers.LastIs(map[string]string{"0": "0"}))); n != 1 {
			t.Errorf("awaited %d records, want 1", n)
		}
		if all := c.Read(t, "transactions"); len(all) != 2 {
			t.Errorf("%d records uncommitted, want 2", len(all))
		}
		if committed := c.ReadCommitted(t, "transactions"); len(committed) != 1 {
			t.Errorf("%d records committed, want 1", len(committed))
		}
		if end := c.Ends(t, "transactions")[0]; end != 4 { // two records, two markers
			t.Errorf("the end is %d, want 4", end)
		}
	})
}

func TestTopics(t *testing.T) {
	brokers.Run(t, sharing, func(t *testing.T, c *brokers.Cluster) {
		c.CreateTopic(t, "settings", 5, "cleanup.policy=compact,delete", "segment.ms=60000")
		want := map[string]string{"cleanup.policy": "compact,delete", "segment.ms": "60000"}
		if got := c.TopicConfigs(t, "settings"); !reflect.DeepEqual(got, want) {
			t.Errorf("configs %v, want %v", got, want)
		}
		if n := c.Partitions(t)["settings"]; n != 5 {
			t.Errorf("%d partitions, want 5", n)
		}
		c.DeleteTopics(t, "settings")
		if _, there := c.Partitions(t)["settings"]; there {
			t.Errorf("still there: %v", c.Topics(t))
		}
	})
}

func TestGroups(t *testing.T) {
	brokers.Run(t, sharing, func(t *testing.T, c *brokers.Cluster) {
		c.CreateTopic(t, "grouped", 1)
		c.Produce(t, numbered("grouped", 0, 10)...)
		member := c.NewClient(t, kgo.ConsumerGroup("readers"), kgo.ConsumeTopics("grouped"), kgo.DisableAutoCommit(),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		for n := 0; n < 10; {
			n += len(member.PollFetches(t.Context()).Records())
		}
		if g := c.DescribeGroup(t, "readers"); g.State != "Stable" || g.Members != 1 {
			t.Errorf("with a member: %+v", g)
		}
		if err := member.CommitUncommittedOffsets(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := c.GroupOffsets(t, "readers")["grouped"][0].Offset; got != 10 {
			t.Errorf("committed %d, want 10", got)
		}
		member.Close()
		if g := c.DescribeGroup(t, "readers"); g.State != "Empty" || g.Members != 0 {
			t.Errorf("after it left: %+v", g)
		}
		if g := c.DescribeGroup(t, "nobody"); g.State != "Dead" {
			t.Errorf("a group that never was: %+v", g)
		}
	})
}

// Several brokers, and one that goes: what only the real lane can do is behind Cluster.Real.
func TestBrokerLost(t *testing.T) {
	brokers.Run(t, brokers.Options{Brokers: 3}, func(t *testing.T, c *brokers.Cluster) {
		c.CreateTopic(t, "replicated", 6)
		c.Produce(t, numbered("replicated", 0, 100)...)
		if c.Real != nil {
			if err := c.Real.Kill(0); err != nil {
				t.Fatal(err)
			}
		}
		c.Produce(t, numbered("replicated", 100, 200)...)
		if got := brokers.Last(c.Read(t, "replicated")); len(got) != 200 || got["199"] != "39601" {
			t.Errorf("%d keys, 199 is %q", len(got), got["199"])
		}
	})
}

// Acknowledged records and committed offsets outlive a bounce, and clients find their way back.
func TestBounce(t *testing.T) {
	brokers.Run(t, brokers.Options{Bounced: true}, func(t *testing.T, c *brokers.Cluster) {
		c.CreateTopic(t, "bounced", 2)
		addrs := slices.Clone(c.Addrs)
		for round := range 3 {
			c.Produce(t, numbered("bounced", 50*round, 50*round+50)...)
			member := c.NewClient(t, kgo.ConsumerGroup("readers"), kgo.ConsumeTopics("bounced"), kgo.DisableAutoCommit(),
				kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
			for n := 0; n < 50; { // the others were committed
				fetches := member.PollFetches(t.Context())
				n += fetches.NumRecords()
				if err := member.CommitRecords(t.Context(), fetches.Records()...); err != nil {
					t.Fatal(err)
				}
			}
			member.Close()
			c.Bounce(t, 0)
			if n := len(c.Read(t, "bounced")); n != 50*(round+1) {
				t.Fatalf("round %d: %d records", round, n)
			}
			committed := c.GroupOffsets(t, "readers")["bounced"]
			if sum := committed[0].Offset + committed[1].Offset; sum != int64(50*(round+1)) {
				t.Fatalf("round %d: committed %v", round, committed)
			}
		}
		if c.Fake != nil && !slices.Equal(c.Fake.ListenAddrs(), addrs) {
			t.Errorf("the brokers moved from %v to %v", addrs, c.Fake.ListenAddrs())
		}
	})
}
