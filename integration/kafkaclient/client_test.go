package kafkaclient_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/sasl/scram"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/oxbow-streams/oxbow/integration/brokers"
	"github.com/oxbow-streams/oxbow/integration/realkafka"
	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/internal/record"
)

func TestMain(m *testing.M) {
	code := brokers.Main(m)
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func open(t *testing.T, cfg kafka.Config) *kafka.Client {
	t.Helper()
	c, err := kafka.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func tp(topic string, p int32) record.TopicPartition {
	return record.TopicPartition{Topic: topic, Partition: p}
}

func TestTopicsAndOffsets(t *testing.T) {
	brokers.Run(t, brokers.Options{Shared: true}, func(t *testing.T, b *brokers.Cluster) {
		c, ctx := open(t, kafka.Config{Brokers: b.Addrs}), t.Context()
		topic := kafka.NewTopic{Name: "topics-and-offsets", Partitions: 3, Configs: map[string]string{"cleanup.policy": "delete"}}
		for i := range 2 {
			existed, err := c.CreateTopics(ctx, topic)
			if err != nil || len(existed) != i {
				t.Fatalf("create, time %d: %v, %v", i, existed, err)
			}
		}
		if b.Lane == brokers.Real { // kfake takes any name
			if _, err := c.CreateTopics(ctx, kafka.NewTopic{Name: "no name", Partitions: 1}); err == nil || kafka.Retriable(err) {
				t.Fatalf("create a topic without a proper name: %v", err)
			}
		}
		for i := range 20 {
			b.ProduceTo(t, &kgo.Record{Topic: topic.Name, Partition: int32(i % 2), Value: []byte("x"), Timestamp: time.UnixMilli(int64(1_700_000_000_000 + 1000*i))})
		}
		at := map[record.TopicPartition]int64{tp(topic.Name, 0): kafka.LatestOffset, tp(topic.Name, 1): 1_700_000_004_500, tp(topic.Name, 2): kafka.EarliestOffset}
		got, err := c.ListOffsets(ctx, at, kafka.ReadCommitted)
		if err != nil || got[tp(topic.Name, 0)].Offset != 10 || got[tp(topic.Name, 1)].Offset != 2 || got[tp(topic.Name, 2)].Offset != 0 {
			t.Fatalf("offsets: %+v, %v", got, err)
		}
		low, err := c.DeleteRecords(ctx, map[record.TopicPartition]int64{tp(topic.Name, 0): 4, tp(topic.Name, 1): -1})
		if err != nil || low[tp(topic.Name, 0)] != 4 || low[tp(topic.Name, 1)] != 10 {
			t.Fatalf("deleted: %v, %v", low, err)
		}
		value := "compact,delete"
		if err := c.AlterTopicConfigs(ctx, map[string]map[string]*string{topic.Name: {"cleanup.policy": &value}}); err != nil {
			t.Fatal(err)
		}
		configs, err := c.DescribeTopicConfigs(ctx, topic.Name)
		if err != nil || configs[topic.Name]["cleanup.policy"].Value != value || !configs[topic.Name]["cleanup.policy"].Own || configs[topic.Name]["segment.bytes"].Own {
			t.Fatalf("configs: %+v, %v", configs[topic.Name]["cleanup.policy"], err)
		}
		for range 2 {
			if err := c.CreatePartitions(ctx, map[string]int32{topic.Name: 5}); err != nil {
				t.Fatal(err)
			}
		}
		topics, err := c.Topics(ctx, topic.Name, "nowhere")
		if err != nil || len(topics[topic.Name].Partitions) != 5 || !kafka.IsMissing(topics["nowhere"].Err) {
			t.Fatalf("topics: %+v, %v", topics, err)
		}
		for range 2 {
			if err := c.DeleteTopics(ctx, topic.Name); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// member is a member that shares partitions out round robin, and remembers what it is told.
type member struct {
	*kafka.Group
	topic string
	n     int32
	data  string

	mu    sync.Mutex
	owned []record.TopicPartition
	told  string
	moved int // partitions revoked or lost
	seen  map[string]string

	stop context.CancelFunc
	done chan error
}

func (m *member) Name() string                     { return "round-robin-test" }
func (m *member) Subscription() ([]string, []byte) { return []string{m.topic}, []byte(m.data) }

func (m *member) Assign(members []kafka.Member) (map[string]kafka.Assignment, error) {
	slices.SortFunc(members, func(a, b kafka.Member) int {
		return cmp.Or(cmp.Compare(a.InstanceID, b.InstanceID), cmp.Compare(a.ID, b.ID))
	})
	owner, plan := map[record.TopicPartition]string{}, map[string]kafka.Assignment{}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = map[string]string{}
	for _, o := range members {
		m.seen[cmp.Or(o.InstanceID, o.ID)] = string(o.UserData)
		plan[o.ID] = kafka.Assignment{UserData: o.UserData}
		for _, tp := range o.Owned {
			owner[tp] = o.ID
		}
	}
	for p := range m.n {
		to := members[int(p)%len(members)].ID
		if o := owner[tp(m.topic, p)]; o == "" || o == to {
			a := plan[to]
			a.Partitions = append(a.Partitions, tp(m.topic, p))
			plan[to] = a
		}
	}
	return plan, nil
}

func (m *member) Prepare(context.Context) error { return nil }
func (m *member) Assigned(_ context.Context, a kafka.Assignment, _ int32) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.owned, m.told = a.Partitions, string(a.UserData)
	return nil
}
func (m *member) Revoked(ctx context.Context, tps []record.TopicPartition) error {
	m.mu.Lock()
	m.owned = slices.DeleteFunc(slices.Clone(m.owned), func(tp record.TopicPartition) bool { return slices.Contains(tps, tp) })
	m.moved += len(tps)
	m.mu.Unlock()
	offsets := map[record.TopicPartition]kafka.Offset{}
	for _, tp := range tps {
		offsets[tp] = kafka.Offset{At: int64(tp.Partition), Metadata: "revoked"}
	}
	return m.Commit(ctx, offsets) // must be possible here
}
func (m *member) Lost(_ context.Context, tps []record.TopicPartition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.owned = nil
	m.moved += len(tps)
}

func join(t *testing.T, b *brokers.Cluster, group, topic string, n int32, instance, data string) *member {
	t.Helper()
	m := &member{topic: topic, n: n, data: data, done: make(chan error, 1)}
	var err error
	m.Group, err = open(t, kafka.Config{Brokers: b.Addrs}).NewGroup(kafka.GroupConfig{
		Group: group, InstanceID: instance, Session: 6 * time.Second, Heartbeat: 300 * time.Millisecond, RebalanceTimeout: 10 * time.Second,
		Assignor: m, Handler: m,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	go func() { m.done <- m.Run(ctx) }()
	t.Cleanup(func() { m.leave(t) })
	return m
}

func (m *member) leave(t *testing.T) {
	m.stop()
	if err := <-m.done; err != nil {
		t.Errorf("Run: %v", err)
	}
	m.done <- nil
}

func (m *member) state() (owned []record.TopicPartition, told string, moved int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.owned), m.told, m.moved
}

// eventually polls: what happens, happens in another process.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(40 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within 40 s: %s", what)
		}
	}
}

func shared(t *testing.T, n int, members ...*member) {
	t.Helper()
	eventually(t, "the members share the partitions", func() bool {
		seen, even := map[record.TopicPartition]bool{}, true
		for _, m := range members {
			owned, _, _ := m.state()
			even = even && len(owned) >= n/len(members)
			for _, tp := range owned {
				seen[tp] = true
			}
		}
		return even && len(seen) == n
	})
}

func TestMembers(t *testing.T) {
	brokers.Run(t, brokers.Options{Shared: true}, func(t *testing.T, b *brokers.Cluster) {
		b.CreateTopic(t, "members", 4)
		ctx := t.Context()
		a := join(t, b, "members", "members", 4, "", "a")
		shared(t, 4, a)
		s := join(t, b, "members", "members", 4, "s", "s1")
		shared(t, 4, a, s)
		got, err := a.Committed(ctx, []record.TopicPartition{tp("members", 0), tp("members", 1), tp("members", 2), tp("members", 3)})
		if err != nil || len(got) != 2 {
			t.Fatalf("what a gave up was committed: %v, %v", got, err)
		}
		want := map[record.TopicPartition]kafka.Offset{tp("members", 0): {At: 10, Metadata: "x"}, tp("members", 3): {At: 13}}
		eventually(t, "commit", func() bool {
			err := s.Commit(ctx, want)
			if err != nil && !errors.Is(err, kafka.Code(27)) {
				t.Fatal(err)
			}
			return err == nil
		})
		if got, err := a.Committed(ctx, slices.Collect(maps.Keys(want))); err != nil || !maps.Equal(got, want) {
			t.Fatalf("committed: %v, %v", got, err)
		}

		_, _, moved := a.state()
		s.leave(t)
		s2 := join(t, b, "members", "members", 4, "s", "s2")
		shared(t, 4, a, s2)
		eventually(t, "the leader has seen what the restarted static member says", func() bool {
			_, told, _ := s2.state()
			return told == "s2"
		})
		shared(t, 4, a, s2)
		if _, _, now := a.state(); now != moved {
			t.Errorf("the restart of a static member moved %d partitions", now-moved)
		}
		a.leave(t)
		shared(t, 4, s2)
	})
}

func TestMembersWhileBrokersDie(t *testing.T) {
	// On the fake lane all brokers go at once, and the group state with them: what was committed stays.
	brokers.Run(t, brokers.Options{Brokers: 3, Bounced: true}, func(t *testing.T, b *brokers.Cluster) {
		b.CreateTopic(t, "bounce", 6)
		ctx := t.Context()
		m1, m2 := join(t, b, "bounce", "bounce", 6, "", ""), join(t, b, "bounce", "bounce", 6, "", "")
		shared(t, 6, m1, m2)
		all := []record.TopicPartition{}
		for p := range int32(6) {
			all = append(all, tp("bounce", p))
		}
		for i := range 2 {
			want := map[record.TopicPartition]kafka.Offset{}
			for _, tp := range all {
				want[tp] = kafka.Offset{At: int64(100*i) + int64(tp.Partition), Metadata: "m"}
			}
			eventually(t, "commit", func() bool {
				err := m1.Commit(ctx, want)
				if err != nil && !kafka.ActionOf(err).Has(kafka.Rejoin) {
					t.Fatal(err)
				}
				return err == nil
			})
			start := time.Now()
			b.Bounce(t, i)
			t.Logf("broker %d was away for %v", i, time.Since(start))
			if got, err := m2.Committed(ctx, all); err != nil || !maps.Equal(got, want) {
				t.Fatalf("after broker %d was killed: %v, %v", i, got, err)
			}
			t.Logf("the offsets were read after %v", time.Since(start))
			shared(t, 6, m1, m2)
			t.Logf("the members shared all after %v", time.Since(start))
			at := map[record.TopicPartition]int64{}
			for _, tp := range all {
				at[tp] = kafka.LatestOffset
			}
			if _, err := open(t, kafka.Config{Brokers: b.Addrs}).ListOffsets(ctx, at, kafka.ReadUncommitted); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestSecureListener(t *testing.T) {
	if !realkafka.Required() {
		t.Skip("the real lane is off: internal/kafka proves the settings against kfake")
	}
	b := brokers.StartReal(t, brokers.Options{Real: realkafka.Options{Secure: true, Properties: map[string]string{"connections.max.reauth.ms": "2000"}}})
	mechanism := func(password string) kafka.Config {
		m, err := scram.Mechanism(scram.SHA512, "bob", password)
		if err != nil {
			t.Fatal(err)
		}
		return kafka.Config{Brokers: b.Real.SecureAddrs(), TLS: b.Real.TLS(), SASL: m}
	}
	c := open(t, mechanism("bob-secret"))
	for end := time.Now().Add(6 * time.Second); time.Now().Before(end); {
		if err := c.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := open(t, mechanism("wrong")).Refresh(t.Context()); err == nil || kafka.Retriable(err) {
		t.Errorf("wrong password: %v", err)
	}
	cfg := mechanism("")
	cfg.SASL = nil
	if err := open(t, cfg).Refresh(t.Context()); err == nil {
		t.Error("no SASL: no error")
	} else {
		t.Log(err)
	}
	cfg = mechanism("")
	cfg.SASL, cfg.TLS = nil, nil
	if err := open(t, cfg).Refresh(t.Context()); err == nil {
		t.Error("no TLS: no error")
	} else {
		t.Log(err)
	}
}
