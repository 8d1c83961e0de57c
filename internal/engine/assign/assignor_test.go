package assign

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/internal/kafka/kafkatest"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func twoSubs() ([]Sub, error) {
	return []Sub{
		{ID: 0, Topics: []Topic{{"orders", 6}, {"users", 4}}, Stateful: true},
		{ID: 1, Topics: []Topic{{"clicks", 5}}},
	}, nil
}

func newAssignor(t testing.TB, change func(*Config)) *Assignor {
	t.Helper()
	cfg := Config{
		Topology: 7, Subs: twoSubs,
		Workers: func() int { return 2 },
		Topics:  func() []string { return []string{"users", "orders", "clicks", "users"} },
	}
	if change != nil {
		change(&cfg)
	}
	a, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestPartitionsFollowTasks(t *testing.T) {
	a := newAssignor(t, nil)
	topics, data := a.Subscription()
	if fmt.Sprint(topics) != "[clicks orders users]" {
		t.Errorf("topics %v", topics)
	}
	plan, err := a.Assign([]kafka.Member{{ID: "x", UserData: data, Generation: -1}})
	if err != nil || len(plan["x"].Partitions) != 15 {
		t.Fatalf("%v, %v", plan, err)
	}
	got, err := a.Tasks(plan["x"], 1)
	if err != nil || len(got.Tasks) != 11 {
		t.Fatalf("%v, %v", got, err)
	}
	for i, want := range map[int]string{0: "{0_0 [orders/0 users/0]}", 5: "{0_5 [orders/5]}", 6: "{1_0 [clicks/0]}"} {
		if fmt.Sprint(got.Tasks[i]) != want {
			t.Errorf("task %d: %v, want %v", i, got.Tasks[i], want)
		}
	}
	if got, err := a.Tasks(kafka.Assignment{}, 2); err != nil || len(got.Tasks) != 0 {
		t.Errorf("nothing: %v, %v", got, err)
	}
	strange := kafka.Assignment{Partitions: []record.TopicPartition{{Topic: "other"}}, UserData: (&AssignmentData{}).Encode(nil)}
	if _, err := a.Tasks(strange, 2); err == nil || !strings.HasPrefix(err.Error(), "other/0: ") {
		t.Errorf("a topic that is not ours: %v", err)
	}
}

// What is on its way is repeated to the leader.
func TestComingIsRemembered(t *testing.T) {
	a := newAssignor(t, nil)
	coming := []record.TaskID{{Sub: 0, Partition: 3}}
	if _, err := a.Tasks(kafka.Assignment{UserData: (&AssignmentData{Coming: coming}).Encode(nil)}, 12); err != nil {
		t.Fatal(err)
	}
	_, data := a.Subscription()
	d, err := DecodeSubscription(data)
	if err != nil || d.ComingOf != 12 || !slices.Equal(d.Coming, coming) {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestOtherTopologyIsRefused(t *testing.T) {
	leader, other := newAssignor(t, nil), newAssignor(t, func(c *Config) { c.Topology = 8 })
	_, one := leader.Subscription()
	_, two := other.Subscription()
	plan, err := leader.Assign([]kafka.Member{
		{ID: "a", UserData: one}, {ID: "b", UserData: two, Owned: []record.TopicPartition{{Topic: "clicks", Partition: 2}}},
	})
	if err != nil || len(plan) != 2 || len(plan["b"].Partitions) != 0 || len(plan["a"].Partitions) != 14 {
		t.Fatalf("%v, %v", plan, err)
	}
	got, err := other.Tasks(plan["b"], 3)
	if err != nil || got.Refused != OtherTopology || !strings.Contains(got.Refused.String(), "same program") {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = leader.Tasks(plan["a"], 3); err != nil || fmt.Sprint(got.Coming) != "[1_2]" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestStrangersAreNamed(t *testing.T) {
	a := newAssignor(t, nil)
	_, data := a.Subscription()
	_, err := a.Assign([]kafka.Member{
		{ID: "ok", UserData: data},
		{ID: "java-1", UserData: []byte{0, 0, 0, 11, 0, 0, 0, 11}},
		{ID: "new-1", InstanceID: "node-3", UserData: []byte{5, 5, 0}},
	})
	if err == nil || !strings.Contains(err.Error(), `member "java-1": user data of a Java Kafka Streams instance`) ||
		!strings.Contains(err.Error(), `member "new-1" (instance id "node-3"): user data of version 5`) {
		t.Errorf("%v", err)
	}
	down := errors.New("no metadata")
	if _, err := newAssignor(t, func(c *Config) { c.Subs = func() ([]Sub, error) { return nil, down } }).Assign(nil); !errors.Is(err, down) {
		t.Errorf("%v", err)
	}
	if _, err := New(Config{}); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("an empty config: %v", err)
	}
}

// instance is a member that takes what it is given.
type instance struct {
	*Assignor
	mu    sync.Mutex
	now   Assigned
	owned map[record.TopicPartition]bool
	other []*instance
	t     *testing.T
	stop  func()
}

func (i *instance) Prepare(context.Context) error { return nil }

func (i *instance) Assigned(_ context.Context, as kafka.Assignment, generation int32) error {
	got, err := i.Tasks(as, generation)
	i.mu.Lock()
	i.now, i.owned = got, map[record.TopicPartition]bool{}
	for _, tp := range as.Partitions {
		i.owned[tp] = true
	}
	i.mu.Unlock()
	for _, o := range i.other {
		o.mu.Lock()
		for _, tp := range as.Partitions {
			if o != i && o.owned[tp] {
				i.t.Errorf("%v is assigned while another member has it", tp)
			}
		}
		o.mu.Unlock()
	}
	return err
}

func (i *instance) Revoked(_ context.Context, tps []record.TopicPartition) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, tp := range tps {
		delete(i.owned, tp)
	}
	return nil
}

func (i *instance) Lost(ctx context.Context, tps []record.TopicPartition) { _ = i.Revoked(ctx, tps) }

// Three instances join one by one in a real group, and one leaves.
func TestGroupOfInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &kafkatest.Network{}
		cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ListenFn(net.Listen), kfake.GroupMinSessionTimeout(time.Second),
			kfake.SeedTopics(6, "orders"), kfake.SeedTopics(4, "users"), kfake.SeedTopics(5, "clicks"))
		if err != nil {
			t.Fatal(err)
		}
		defer cluster.Close()
		var all []*instance
		for n := range 3 {
			c, err := kafka.Open(kafka.Config{Brokers: cluster.ListenAddrs(), Dial: net.Dial, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			i := &instance{t: t, Assignor: newAssignor(t, func(c *Config) { c.Process[0] = byte(n) })}
			all = append(all, i)
			g, err := c.NewGroup(kafka.GroupConfig{Group: "app", Assignor: i, Handler: i, Session: 10 * time.Second, Heartbeat: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range all {
				o.mu.Lock()
				o.other = all
				o.mu.Unlock()
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- g.Run(ctx) }()
			i.stop = sync.OnceFunc(func() {
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
				c.Close()
				i.mu.Lock()
				i.now, i.owned = Assigned{}, nil
				i.mu.Unlock()
			})
			defer i.stop()
			time.Sleep(20 * time.Second)
			spread(t, all)
		}
		all[0].stop()
		time.Sleep(20 * time.Second)
		spread(t, all[1:])
	})
}

func spread(t *testing.T, all []*instance) {
	t.Helper()
	tasks, parts := 0, 0
	for n, i := range all {
		i.mu.Lock()
		defer i.mu.Unlock()
		tasks += len(i.now.Tasks)
		parts += len(i.owned)
		if have := len(i.now.Tasks); have < 11/len(all) || have > 11/len(all)+1 || len(i.now.Coming) > 0 {
			t.Errorf("of %d instances, number %d has %d tasks and waits for %v", len(all), n, have, i.now.Coming)
		}
	}
	if tasks != 11 || parts != 15 {
		t.Errorf("%d instances have %d tasks, %d partitions", len(all), tasks, parts)
	}
}
