package kafka

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func tpOf(topic string, p int32) record.TopicPartition {
	return record.TopicPartition{Topic: topic, Partition: p}
}

func TestTopicsFromCreationToDeletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, 3)
		c, ctx := f.client, t.Context()
		existed, err := c.CreateTopics(ctx,
			NewTopic{Name: "a", Partitions: 2, Configs: map[string]string{"cleanup.policy": "compact"}},
			NewTopic{Name: "b", Partitions: 1, Replication: 3})
		if err != nil || existed != nil {
			t.Fatalf("create: %v, %v", existed, err)
		}
		existed, err = c.CreateTopics(ctx, NewTopic{Name: "a", Partitions: 7}, NewTopic{Name: "c", Partitions: 1})
		if err != nil || !slices.Equal(existed, []string{"a"}) {
			t.Fatalf("create again: %v, %v", existed, err)
		}
		f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Topic: "not a name", Err: kerr.InvalidTopicException})
		_, err = c.CreateTopics(ctx, NewTopic{Name: "not a name", Partitions: 1}, NewTopic{Name: "d", Partitions: 1})
		if err == nil || !strings.Contains(err.Error(), "topic not a name") || Retriable(err) {
			t.Fatalf("create with a bad name: %v", err)
		}

		topics, err := c.Topics(ctx, "a", "d", "nowhere")
		if err != nil || len(topics["a"].Partitions) != 2 || len(topics["d"].Partitions) != 1 || !IsMissing(topics["nowhere"].Err) {
			t.Fatalf("topics: %+v, %v", topics, err)
		}
		retention := "3600000"
		if err := c.AlterTopicConfigs(ctx, map[string]map[string]*string{"a": {"retention.ms": &retention}}); err != nil {
			t.Fatal(err)
		}
		configs, err := c.DescribeTopicConfigs(ctx, "a")
		if err != nil || configs["a"]["cleanup.policy"].Value != "compact" || configs["a"]["retention.ms"].Value != retention || !configs["a"]["retention.ms"].Own {
			t.Fatalf("configs: %+v, %v", configs["a"], err)
		}
		if err := c.AlterTopicConfigs(ctx, map[string]map[string]*string{"a": {"retention.ms": nil}}); err != nil {
			t.Fatal(err)
		}
		if configs, _ = c.DescribeTopicConfigs(ctx, "a"); configs["a"]["retention.ms"].Own {
			t.Fatalf("taken back: %+v", configs["a"]["retention.ms"])
		}
		start := time.Now()
		if _, err := c.DescribeTopicConfigs(ctx, "a", "nowhere"); !IsMissing(err) || time.Since(start) > time.Second {
			t.Fatalf("configs of a topic that is not there: %v after %v", err, time.Since(start))
		}
		for range 2 { // the second time there is nothing to do
			if err := c.CreatePartitions(ctx, map[string]int32{"a": 5}); err != nil {
				t.Fatal(err)
			}
			if err := c.DeleteTopics(ctx, "b"); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.CreatePartitions(ctx, map[string]int32{"a": 3}); err == nil {
			t.Fatal("fewer partitions than before: no error")
		}
		topics, err = c.Topics(ctx)
		if err != nil || len(topics["a"].Partitions) != 5 || len(topics) != 3 {
			t.Fatalf("all topics: %+v, %v", topics, err)
		}
		if bs, err := c.Brokers(ctx); err != nil || len(bs) != 3 {
			t.Fatalf("brokers: %v, %v", bs, err)
		}
	})
}

// produceRecords appends batches of one record each, at the given times, without a producer.
func produceRecords(t testing.TB, f *fakeCluster, tp record.TopicPartition, times ...int64) {
	t.Helper()
	for _, ms := range times {
		var b Builder
		if _, err := b.Append(ms, nil, []byte("x"), record.Headers{}); err != nil {
			t.Fatal(err)
		}
		o, err := b.Seal(0)
		if err != nil {
			t.Fatal(err)
		}
		req := kmsg.NewPtrProduceRequest()
		req.Acks = -1
		req.Topics = []kmsg.ProduceRequestTopic{{Topic: tp.Topic, Partitions: []kmsg.ProduceRequestTopicPartition{{Partition: tp.Partition, Records: wireOf(o, 0)}}}}
		res, err := f.client.exchange(t.Context(), f.LeaderFor(tp.Topic, tp.Partition), req)
		if err != nil {
			t.Fatal(err)
		}
		if code := res.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode; code != 0 {
			t.Fatalf("produce: %v", Code(code))
		}
	}
}

func TestListOffsets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, 3, kfake.SeedTopics(9, "in"))
		c, ctx := f.client, t.Context()
		for p := range int32(9) {
			produceRecords(t, f, tpOf("in", p), 1000, 2000, 3000)
		}
		asked := f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Observe: true, Count: -1})
		at := map[record.TopicPartition]int64{}
		for p := range int32(9) {
			at[tpOf("in", p)] = []int64{EarliestOffset, LatestOffset, 1500}[p%3]
		}
		got, err := c.ListOffsets(ctx, at, ReadCommitted)
		if err != nil {
			t.Fatal(err)
		}
		for p := range int32(9) {
			if want := []int64{0, 3, 1}[p%3]; got[tpOf("in", p)].Offset != want {
				t.Errorf("in/%d: %+v, want offset %d", p, got[tpOf("in", p)], want)
			}
		}
		if asked.Hits() > 3 {
			t.Errorf("%d requests for 3 brokers", asked.Hits())
		}
		got, err = c.ListOffsets(ctx, map[record.TopicPartition]int64{tpOf("in", 0): 5000}, ReadUncommitted)
		if err != nil || got[tpOf("in", 0)].Offset != -1 {
			t.Errorf("a time after the end: %+v, %v", got, err)
		}
		if _, err := c.DeleteRecords(ctx, map[record.TopicPartition]int64{tpOf("in", 0): 2, tpOf("in", 1): -1}); err != nil {
			t.Fatal(err)
		}
		got, err = c.ListOffsets(ctx, map[record.TopicPartition]int64{tpOf("in", 0): EarliestOffset, tpOf("in", 1): EarliestOffset}, ReadUncommitted)
		if err != nil || got[tpOf("in", 0)].Offset != 2 || got[tpOf("in", 1)].Offset != 3 {
			t.Errorf("after the deletion: %+v, %v", got, err)
		}
		if _, err := c.DeleteRecords(ctx, map[record.TopicPartition]int64{tpOf("in", 2): 99}); !errors.Is(err, Code(codeOffsetOutOfRange)) {
			t.Errorf("delete beyond the end: %v", err)
		}
	})
}

// Whatever a broker answers for a while, the operation gets through; what no retry can mend comes back at once.
func TestListOffsetsThroughFaults(t *testing.T) {
	for _, tc := range []struct {
		err   *kerr.Error
		fatal bool
	}{
		{err: kerr.NotLeaderForPartition}, {err: kerr.LeaderNotAvailable}, {err: kerr.UnknownTopicOrPartition},
		{err: kerr.FencedLeaderEpoch}, {err: kerr.UnknownLeaderEpoch}, {err: kerr.KafkaStorageError}, {err: kerr.OffsetNotAvailable},
		{err: kerr.ReplicaNotAvailable}, {err: kerr.RequestTimedOut},
		{err: kerr.TopicAuthorizationFailed, fatal: true}, {err: kerr.UnsupportedForMessageFormat, fatal: true},
	} {
		t.Run(tc.err.Message, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := startFake(t, 2, kfake.SeedTopics(4, "in"))
				h := f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Err: tc.err, Count: 3})
				at := map[record.TopicPartition]int64{}
				for p := range int32(4) {
					at[tpOf("in", p)] = LatestOffset
				}
				got, err := f.client.ListOffsets(t.Context(), at, ReadUncommitted)
				if tc.fatal {
					if !errors.Is(err, Code(tc.err.Code)) || Retriable(err) {
						t.Fatalf("got %v", err)
					}
					return
				}
				if err != nil || len(got) != 4 || h.Hits() != 3 {
					t.Fatalf("%v, %v after %d faults", got, err, h.Hits())
				}
			})
		})
	}
}

func TestLeadersMoveAndBrokersDie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, 3, kfake.SeedTopics(3, "in"))
		c, ctx := f.client, t.Context()
		at := map[record.TopicPartition]int64{}
		for p := range int32(3) {
			produceRecords(t, f, tpOf("in", p), 1)
			at[tpOf("in", p)] = LatestOffset
		}
		check := func(what string) {
			t.Helper()
			if got, err := c.ListOffsets(ctx, at, ReadUncommitted); err != nil || got[tpOf("in", 2)].Offset != 1 {
				t.Fatalf("%s: %v, %v", what, got, err)
			}
		}
		for range 20 {
			f.ShufflePartitionLeaders()
			check("after a shuffle")
		}
		if n := f.net.Cut(""); n == 0 {
			t.Fatal("no connection to cut")
		}
		check("after a cut")
		time.Sleep(10 * time.Minute)
		check("after idling")
		if err := f.RemoveNode(1); err != nil {
			t.Fatal(err)
		}
		check("after a broker left")
		if _, _, err := f.AddNode(7, 0); err != nil {
			t.Fatal(err)
		}
		for p := range int32(3) {
			if err := f.MoveTopicPartition("in", p, 7); err != nil {
				t.Fatal(err)
			}
		}
		check("after all moved to a broker that the pool has not seen")
	})
}

func TestRefreshesAreMergedAndPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, 1, kfake.SeedTopics(1, "a", "b", "c"))
		if err := f.client.Refresh(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		seen := f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Observe: true, Count: -1, When: func(r kmsg.Request) bool {
			return len(r.(*kmsg.MetadataRequest).Topics) > 0 // not the pool's own
		}})
		start := time.Now()
		done := make(chan error)
		for i := range 300 {
			go func() { done <- f.client.Refresh(t.Context(), []string{"a", "b", "c"}[i%3]) }()
		}
		for range 300 {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); seen.Hits() > 2*3 || took > time.Second { // kfake counts topics
			t.Fatalf("%d topics asked for in %v", seen.Hits(), took)
		}
		if err := f.client.Refresh(t.Context(), "a", "nowhere"); !IsMissing(err) {
			t.Fatalf("a topic that is not there: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := f.client.Refresh(ctx, "a"); !errors.Is(err, context.Canceled) {
			t.Fatalf("a caller that left: %v", err)
		}
	})
}
