package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// roundRobin deals partitions out in turn, cooperatively: one that another member owns stays free for one generation.
type roundRobin struct {
	topic string
	n     int32

	mu   sync.Mutex
	data string // user data of this member
	seen map[string]string
}

func (*roundRobin) Name() string { return "round-robin-test" }

func (r *roundRobin) Subscription() ([]string, []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return []string{r.topic}, []byte(r.data)
}

func (r *roundRobin) Assign(members []Member) (map[string]Assignment, error) {
	r.mu.Lock()
	r.seen = map[string]string{}
	for _, m := range members {
		r.seen[cmp.Or(m.InstanceID, m.ID)] = string(m.UserData)
	}
	r.mu.Unlock()
	return dealOut(members, r.topic, r.n), nil
}

func dealOut(members []Member, topic string, n int32) map[string]Assignment {
	slices.SortFunc(members, func(a, b Member) int {
		return cmp.Or(strings.Compare(a.InstanceID, b.InstanceID), strings.Compare(a.ID, b.ID))
	})
	owner := map[record.TopicPartition]Member{}
	for _, m := range members {
		for _, tp := range m.Owned {
			if o, taken := owner[tp]; !taken || o.Generation < m.Generation {
				owner[tp] = m
			}
		}
	}
	out := map[string]Assignment{}
	for _, m := range members {
		out[m.ID] = Assignment{UserData: append([]byte("for "), m.UserData...)}
	}
	for p := range n {
		tp := record.TopicPartition{Topic: topic, Partition: p}
		to := members[int(p)%len(members)]
		if o, owned := owner[tp]; owned && o.ID != to.ID {
			continue
		}
		a := out[to.ID]
		a.Partitions = append(a.Partitions, tp)
		out[to.ID] = a
	}
	return out
}

// memberLog is a handler that writes down what it is told, and checks that it makes sense.
type memberLog struct {
	t     testing.TB
	mu    sync.Mutex
	busy  bool
	owned []record.TopicPartition
	data  string
	calls []string
	hook  func(ctx context.Context, call string) error // runs inside each call
	fresh chan struct{}
}

func newMemberLog(t testing.TB) *memberLog { return &memberLog{t: t, fresh: make(chan struct{}, 1)} }

func (l *memberLog) call(ctx context.Context, name string, f func()) error {
	l.mu.Lock()
	if l.busy {
		l.t.Errorf("%s while another call is under way", name)
	}
	l.busy = true
	l.calls = append(l.calls, name)
	hook := l.hook
	l.mu.Unlock()
	var err error
	if hook != nil {
		err = hook(ctx, name)
	}
	l.mu.Lock()
	f()
	l.busy = false
	l.mu.Unlock()
	select {
	case l.fresh <- struct{}{}:
	default:
	}
	return err
}

func (l *memberLog) Prepare(ctx context.Context) error { return l.call(ctx, "prepare", func() {}) }
func (l *memberLog) Assigned(ctx context.Context, a Assignment, generation int32) error {
	return l.call(ctx, fmt.Sprintf("assigned %d", len(a.Partitions)), func() { l.owned, l.data = a.Partitions, string(a.UserData) })
}
func (l *memberLog) Revoked(ctx context.Context, tps []record.TopicPartition) error {
	return l.call(ctx, fmt.Sprintf("revoked %d", len(tps)), func() {
		for _, tp := range tps {
			if !slices.Contains(l.owned, tp) {
				l.t.Errorf("%v is revoked and was not owned", tp)
			}
		}
		l.owned = slices.DeleteFunc(slices.Clone(l.owned), func(tp record.TopicPartition) bool { return slices.Contains(tps, tp) })
	})
}
func (l *memberLog) Lost(ctx context.Context, tps []record.TopicPartition) {
	l.call(ctx, fmt.Sprintf("lost %d", len(tps)), func() { l.owned = nil })
}

func (l *memberLog) ownedNow() []record.TopicPartition {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.owned)
}

func (l *memberLog) count(call string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.calls {
		if strings.HasPrefix(c, call) {
			n++
		}
	}
	return n
}

type testMember struct {
	*Group
	log    *memberLog
	assign *roundRobin
	stop   context.CancelFunc
	done   chan error
}

// member starts a member of group "app" that shares topic "in".
func (f *fakeCluster) member(t testing.TB, c *Client, instance string, n int32) *testMember {
	t.Helper()
	return f.memberWith(t, c, instance, n, "v1")
}

// memberWith starts a member that joins with data.
func (f *fakeCluster) memberWith(t testing.TB, c *Client, instance string, n int32, data string) *testMember {
	t.Helper()
	m := &testMember{log: newMemberLog(t), assign: &roundRobin{topic: "in", n: n, data: data}, done: make(chan error, 1)}
	var err error
	m.Group, err = c.NewGroup(GroupConfig{
		Group: "app", InstanceID: instance, Session: 6 * time.Second, Heartbeat: time.Second, RebalanceTimeout: 20 * time.Second,
		Assignor: m.assign, Handler: m.log,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	m.stop = stop
	go func() { m.done <- m.Run(ctx) }()
	t.Cleanup(func() { m.leave(t) })
	return m
}

func (m *testMember) leave(t testing.TB) {
	m.stop()
	if err := <-m.done; err != nil {
		t.Errorf("Run: %v", err)
	}
	m.done <- nil
}

// settled waits until the members own all n partitions, each once and evenly.
func settled(t testing.TB, n int32, members ...*testMember) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		seen, even := map[record.TopicPartition]bool{}, true
		for _, m := range members {
			owned := m.log.ownedNow()
			even = even && len(owned) >= int(n)/len(members)
			for _, tp := range owned {
				if seen[tp] {
					t.Fatalf("%v is owned twice", tp)
				}
				seen[tp] = true
			}
		}
		if even && len(seen) == int(n) {
			return
		}
		if time.Now().After(deadline) {
			for _, m := range members {
				t.Logf("%s at generation %d: %v", m.MemberID(), m.Generation(), m.log.calls)
			}
			t.Fatal("no stable assignment")
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func TestGroupSharesAndRebalances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, 3, kfake.SeedTopics(6, "in"))
		a := f.member(t, f.client, "", 6)
		settled(t, 6, a)
		if got := a.log.data; got != "for v1" {
			t.Fatalf("user data of the assignment: %q", got)
		}
		b := f.member(t, f.open(t, nil), "", 6)
		settled(t, 6, a, b)
		c := f.member(t, f.open(t, nil), "", 6)
		settled(t, 6, a, b, c)
		for _, m := range []*testMember{a, b, c} {
			if m.log.count("lost") > 0 {
				t.Errorf("%s lost something: %v", m.MemberID(), m.log.calls)
			}
		}
		start := time.Now()
		b.leave(t)
		settled(t, 6, a, c)
		if took := time.Since(start); took > 4*time.Second {
			t.Errorf("a member that leaves is missed for %v: did it say so?", took)
		}
		before := a.Generation()
		for _, m := range []*testMember{a, c} {
			m.assign.mu.Lock()
			m.assign.data = "v2"
			m.assign.mu.Unlock()
			m.Rejoin()
		}
		time.Sleep(10 * time.Second)
		if a.Generation() == before || a.log.data != "for v2" || c.log.data != "for v2" {
			t.Errorf("after Rejoin: generation %d (before %d), data %q, %q", a.Generation(), before, a.log.data, c.log.data)
		}
	})
}

func TestGroupCommitsAndReadsOffsets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, 3, kfake.SeedTopics(2, "in"))
		idle, err := f.client.NewGroup(GroupConfig{Group: "app", Assignor: &roundRobin{}, Handler: newMemberLog(t)})
		if err != nil {
			t.Fatal(err)
		}
		if err := idle.Commit(t.Context(), map[record.TopicPartition]Offset{tpOf("in", 0): {At: 1}}); !errors.Is(err, codeUnknownMember) {
			t.Fatalf("commit before the first assignment: %v", err)
		}
		a := f.member(t, f.client, "", 2)
		settled(t, 2, a)
		if got, err := a.Committed(t.Context(), []record.TopicPartition{tpOf("in", 0)}); err != nil || len(got) != 0 {
			t.Fatalf("nothing is committed: %v, %v", got, err)
		}
		want := map[record.TopicPartition]Offset{tpOf("in", 0): {At: 7, Metadata: "m"}, tpOf("in", 1): {At: 9}}
		epochs := f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Observe: true, Count: -1, When: func(r kmsg.Request) bool {
			q := r.(*kmsg.OffsetCommitRequest)
			return q.Topics[0].Partitions[0].LeaderEpoch != -1 || q.Version < 7
		}})
		for _, e := range []*kerr.Error{kerr.NotCoordinator, kerr.CoordinatorLoadInProgress, kerr.CoordinatorNotAvailable, kerr.RequestTimedOut} {
			f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: e, Count: 1})
			if err := a.Commit(t.Context(), want); err != nil {
				t.Fatalf("commit through %s: %v", e.Message, err)
			}
		}
		if epochs.Hits() > 0 {
			t.Error("a commit carried a leader epoch, or no generation")
		}
		for _, e := range []*kerr.Error{kerr.UnstableOffsetCommit, kerr.NotCoordinator} {
			f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetFetch}, Err: e, Count: 2})
			got, err := a.Committed(t.Context(), []record.TopicPartition{tpOf("in", 0), tpOf("in", 1)})
			if err != nil || !maps.Equal(got, want) {
				t.Fatalf("committed through %s: %v, %v", e.Message, got, err)
			}
		}
		f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.GroupAuthorizationFailed, Count: 1})
		if err := a.Commit(t.Context(), want); ActionOf(err) != Denied {
			t.Fatalf("a right that is missing: %v", err)
		}
		if got, err := f.client.CommittedOffsets(t.Context(), "app", nil); err != nil || !maps.Equal(got, want) {
			t.Fatalf("all of the group: %v, %v", got, err)
		}
		a.leave(t)
		want[tpOf("in", 1)] = Offset{At: 1, Metadata: "reset"}
		if err := f.client.CommitOffsets(t.Context(), "app", want); err != nil {
			t.Fatalf("commit for a group without members: %v", err)
		}
		if got, err := f.client.CommittedOffsets(t.Context(), "app", nil); err != nil || !maps.Equal(got, want) {
			t.Fatalf("after the reset: %v, %v", got, err)
		}
	})
}
