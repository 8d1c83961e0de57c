package kafka

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Each error code on each request of the membership: the group shares its partitions again, or Run says why not.
func TestGroupThroughFaults(t *testing.T) {
	const survives, loses, ends = "survives", "loses", "ends"
	for _, tc := range []struct {
		key     kmsg.Key
		err     *kerr.Error
		outcome string
	}{
		{kmsg.JoinGroup, kerr.CoordinatorLoadInProgress, survives},
		{kmsg.JoinGroup, kerr.CoordinatorNotAvailable, survives},
		{kmsg.JoinGroup, kerr.NotCoordinator, survives},
		{kmsg.JoinGroup, kerr.RebalanceInProgress, survives},
		{kmsg.JoinGroup, kerr.UnknownMemberID, loses},
		{kmsg.JoinGroup, kerr.InconsistentGroupProtocol, ends},
		{kmsg.JoinGroup, kerr.InvalidSessionTimeout, ends},
		{kmsg.JoinGroup, kerr.GroupAuthorizationFailed, ends},
		{kmsg.JoinGroup, kerr.GroupMaxSizeReached, ends},
		{kmsg.JoinGroup, kerr.FencedInstanceID, ends},
		{kmsg.SyncGroup, kerr.CoordinatorNotAvailable, survives},
		{kmsg.SyncGroup, kerr.NotCoordinator, survives},
		{kmsg.SyncGroup, kerr.RebalanceInProgress, survives},
		{kmsg.SyncGroup, kerr.IllegalGeneration, loses},
		{kmsg.SyncGroup, kerr.UnknownMemberID, loses},
		{kmsg.SyncGroup, kerr.FencedInstanceID, ends},
		{kmsg.SyncGroup, kerr.UnknownServerError, ends},
		{kmsg.Heartbeat, kerr.CoordinatorNotAvailable, survives},
		{kmsg.Heartbeat, kerr.NotCoordinator, survives},
		{kmsg.Heartbeat, kerr.RebalanceInProgress, survives},
		{kmsg.Heartbeat, kerr.IllegalGeneration, loses},
		{kmsg.Heartbeat, kerr.UnknownMemberID, loses},
		{kmsg.Heartbeat, kerr.FencedInstanceID, ends},
		{kmsg.Heartbeat, kerr.GroupAuthorizationFailed, ends},
		{kmsg.FindCoordinator, kerr.CoordinatorNotAvailable, survives},
		{kmsg.FindCoordinator, kerr.GroupAuthorizationFailed, ends},
	} {
		t.Run(kmsg.NameForKey(int16(tc.key))+"/"+tc.err.Message, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := startFake(t, 3, kfake.SeedTopics(4, "in"))
				a := f.member(t, f.client, "", 4)
				settled(t, 4, a)
				h := f.Fault(kfake.Fault{Keys: []kmsg.Key{tc.key}, Err: tc.err, Count: 2})
				if tc.key == kmsg.FindCoordinator {
					f.client.forgetCoordinator(coordinatorGroup, "app")
				}
				a.Rejoin()
				time.Sleep(20 * time.Second)
				if h.Hits() == 0 {
					t.Fatal("the fault was not met")
				}
				h.Remove()
				if tc.outcome == ends {
					err := <-a.done
					a.done <- nil
					if !errors.Is(err, Code(tc.err.Code)) || !strings.HasPrefix(err.Error(), `group "app": `) {
						t.Fatalf("Run: %v", err)
					}
					if fenced := tc.err == kerr.FencedInstanceID; (a.log.count("lost 4") == 1) != fenced {
						t.Fatalf("calls: %v", a.log.calls)
					}
					return
				}
				settled(t, 4, a)
				if lost := a.log.count("lost"); (lost > 0) != (tc.outcome == loses) {
					t.Fatalf("lost %d times: %v", lost, a.log.calls)
				}
				if err := a.Commit(t.Context(), map[record.TopicPartition]Offset{tpOf("in", 0): {At: 1}}); err != nil {
					t.Fatalf("commit afterwards: %v", err)
				}
			})
		})
	}
}

// A coordinator that does not answer: the member counts itself out within its session, and comes back.
func TestGroupCountsItselfOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, 1, kfake.SeedTopics(2, "in"))
		a := f.member(t, f.client, "", 2)
		settled(t, 2, a)
		time.Sleep(500 * time.Millisecond)
		start := time.Now()
		f.net.Silence(f.ListenAddrs()[0], true)
		for a.log.count("lost 2") == 0 {
			if time.Since(start) > 8*time.Second {
				t.Fatalf("still believes to be a member after %v", time.Since(start))
			}
			time.Sleep(100 * time.Millisecond)
		}
		if err := a.Commit(t.Context(), map[record.TopicPartition]Offset{tpOf("in", 0): {At: 1}}); !errors.Is(err, codeUnknownMember) {
			t.Fatalf("commit after the loss: %v", err)
		}
		f.net.Silence(f.ListenAddrs()[0], false)
		f.net.Cut("")
		settled(t, 2, a)
	})
}

// Heartbeats go on while a handler works, and its context ends when the membership does.
func TestGroupHandlersMayTakeTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, 1, kfake.SeedTopics(2, "in"))
		a := f.member(t, f.client, "", 2)
		settled(t, 2, a)
		a.log.mu.Lock()
		a.log.hook = func(ctx context.Context, call string) error {
			if call == "prepare" {
				time.Sleep(15 * time.Second) // longer than the session, shorter than the rebalance timeout
			}
			return nil
		}
		a.log.mu.Unlock()
		a.Rejoin()
		time.Sleep(time.Minute)
		settled(t, 2, a)
		if a.log.count("lost") > 0 || a.log.count("prepare") == 0 {
			t.Fatalf("calls: %v", a.log.calls)
		}
		told := make(chan error, 1)
		a.log.mu.Lock()
		a.log.hook = func(ctx context.Context, call string) error {
			if call == "prepare" {
				<-ctx.Done() // until it is told to stop
				told <- ctx.Err()
				return ctx.Err()
			}
			return nil
		}
		a.log.mu.Unlock()
		a.Rejoin()
		time.Sleep(time.Second)
		f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.UnknownMemberID, Count: 1})
		time.Sleep(3 * time.Second)
		a.log.mu.Lock()
		a.log.hook = nil
		a.log.mu.Unlock()
		if err := <-told; err == nil || a.log.count("lost 2") != 1 {
			t.Fatalf("the handler was not told: %v", a.log.calls)
		}
		settled(t, 2, a)
	})
}

func TestGroupEndsWithAHandlersError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, 1, kfake.SeedTopics(2, "in"))
		a := f.member(t, f.client, "", 2)
		settled(t, 2, a)
		broken := errors.New("disk full")
		a.log.mu.Lock()
		a.log.hook = func(context.Context, string) error { return broken }
		a.log.mu.Unlock()
		a.Rejoin()
		if err := <-a.done; !errors.Is(err, broken) {
			t.Fatalf("Run: %v", err)
		}
		a.done <- nil
		if info := f.GroupInfo("app"); info != nil && len(info.Members) != 0 {
			t.Fatalf("it did not leave: %+v", info)
		}
		if err := a.Run(t.Context()); err == nil {
			t.Fatal("a second Run: no error")
		}
	})
}

// The coordinator moves from broker to broker, and connections are cut.
func TestGroupFollowsItsCoordinator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, 3, kfake.SeedTopics(4, "in"))
		a, b := f.member(t, f.client, "", 4), f.member(t, f.open(t, nil), "", 4)
		settled(t, 4, a, b)
		for i := range 20 {
			if i%2 == 0 {
				f.RehashCoordinators()
			} else {
				f.net.Cut("")
			}
			time.Sleep(700 * time.Millisecond)
		}
		settled(t, 4, a, b)
		for _, m := range []*testMember{a, b} {
			if err := m.Commit(t.Context(), map[record.TopicPartition]Offset{tpOf("in", 0): {At: 1}}); err != nil {
				t.Errorf("commit: %v", err)
			}
		}
	})
}

func TestStaticMembersComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, 3, kfake.SeedTopics(4, "in"))
		a, b := f.member(t, f.client, "i1", 4), f.member(t, f.open(t, nil), "i2", 4)
		settled(t, 4, a, b)
		time.Sleep(10 * time.Second)
		settled(t, 4, a, b)
		revoked := a.log.count("revoked")

		b.leave(t) // a static member does not leave the group
		time.Sleep(time.Second)
		if a.log.count("revoked") != revoked || len(a.log.ownedNow()) != 2 {
			t.Fatalf("the other one noticed: %v", a.log.calls)
		}
		b2 := f.memberWith(t, f.open(t, nil), "i2", 4, "after the restart")
		settled(t, 4, a, b2)
		time.Sleep(5 * time.Second)
		settled(t, 4, a, b2)
		if a.log.count("revoked") != revoked || b2.log.count("revoked")+b2.log.count("lost") > 0 {
			t.Fatalf("the restart moved partitions: %v, %v", a.log.calls, b2.log.calls)
		}
		if b2.log.data != "for after the restart" {
			t.Fatalf("the leader has not seen the new metadata of the restarted member: %q", b2.log.data)
		}

		// A second process with the same instance id fences the first.
		b3 := f.member(t, f.open(t, nil), "i2", 4)
		err := <-b2.done
		b2.done <- nil
		if !errors.Is(err, codeFencedInstance) || !strings.Contains(err.Error(), "same instance id") || b2.log.count("lost 2") != 1 {
			t.Fatalf("Run: %v; calls %v", err, b2.log.calls)
		}
		settled(t, 4, a, b3)

		// The leader restarts, too.
		a.leave(t)
		a2 := f.member(t, f.open(t, nil), "i1", 4)
		settled(t, 4, a2, b3)
	})
}
