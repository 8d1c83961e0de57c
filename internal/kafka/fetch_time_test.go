package kafka

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// bubble runs a fetcher over canned logs in virtual time.
func bubble(t *testing.T, c *cannedBroker, cfg FetchConfig, deliver func([]Fetched), test func(f *Fetcher, start time.Time)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c.more = make(chan struct{}) // of this bubble
		f := newFetcher(c, cfg, 10*time.Second, deliver)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- f.Run(ctx) }()
		test(f, time.Now())
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A partition that becomes ready in the middle of a long poll is asked in that moment (M6), and after a while there is
// one poll for all again.
func TestFetchSecondPoll(t *testing.T) {
	c := newCannedBroker(fetchMaxVersion)
	c.logs[part("late", 0)] = []cannedBatch{canned(None, 0, 0, 0, -1, "a")}
	c.high[part("late", 0)] = 1
	r := newReceiver(t)
	bubble(t, c, FetchConfig{MaxWait: 500 * time.Millisecond}, r.deliver, func(f *Fetcher, start time.Time) {
		f.Add(part("idle", 0), 0)
		time.Sleep(100 * time.Millisecond) // virtual
		f.Add(part("late", 0), 0)
		synctest.Wait()
		if r.at(part("late", 0)) != 1 || time.Since(start) != 100*time.Millisecond {
			t.Errorf("after %v: %d", time.Since(start), r.at(part("late", 0)))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		c.mu.Lock()
		defer c.mu.Unlock()
		last := c.polls[len(c.polls)-1]
		if len(last.Topics) != 2 || last.MaxWaitMillis != 500 {
			t.Errorf("the last poll asks for %d topics and waits %d ms", len(last.Topics), last.MaxWaitMillis)
		}
		// Two that wait, 400 ms of short ones beside the first, and one or two for all; each is looked at twice.
		if n := len(c.polls); n > 60 {
			t.Errorf("%d looks for data in a second", n)
		}
	})
}

// polled returns when the broker has been asked for data n times.
func (c *cannedBroker) polled(t *testing.T, n int) {
	t.Helper()
	eventually(t, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.polls) >= n
	})
}

func threeRecords() *cannedBroker {
	c := newCannedBroker(fetchMaxVersion)
	for i := range int64(3) {
		c.put(part("in", 0), canned(None, i, 0, 0, -1, "x"))
	}
	return c
}

// Remove waits for a delivery that runs.
func TestFetchRemoveWaits(t *testing.T) {
	hold, inside := make(chan struct{}), make(chan struct{}, 3)
	var gone atomic.Bool
	f := startCanned(t, threeRecords(), FetchConfig{PartitionBytes: 1}, func([]Fetched) {
		if gone.Load() {
			t.Error("delivered after Remove")
		}
		inside <- struct{}{}
		<-hold
	})
	f.Add(part("in", 0), 0)
	<-inside
	removed := make(chan struct{})
	go func() {
		f.Remove(part("in", 0))
		gone.Store(true)
		close(removed)
	}()
	select {
	case <-removed:
		t.Error("Remove returned during a delivery")
	case <-time.After(20 * time.Millisecond):
	}
	close(hold)
	<-removed
}

// An answer that waits for its delivery while its partition is removed is dropped.
func TestFetchRemoveDropsWhatWaits(t *testing.T) {
	c := threeRecords()
	f := startCanned(t, c, FetchConfig{PartitionBytes: 1}, func([]Fetched) { t.Error("delivered after Remove") })
	f.delivery.Lock()
	f.step(fetchAdd{part("in", 0), 0})
	c.polled(t, 2) // so the first answer is with the decoder
	f.step(fetchRemove{part("in", 0)})
	f.delivery.Unlock()
	eventually(t, func() bool { // the decoder is done with it
		f.delivery.Lock()
		defer f.delivery.Unlock()
		f.mu.Lock()
		defer f.mu.Unlock()
		b := f.brokers[1]
		select {
		case b.decode <- &fetchBody{poll: &fetchPoll{node: 1}, answer: &fetchAnswer{}, frame: NewBuffer(1)}:
			return true
		default:
			return false
		}
	})
}

// A partition whose next batch is larger than the limit is not starved by others that have data all the time.
func TestFetchOversizedAmongBusy(t *testing.T) {
	c := newCannedBroker(fetchMaxVersion)
	c.latency = time.Millisecond // or else the busy partition's goroutines may run many rounds before the others have had one
	busy, big := part("a-busy", 0), part("b-big", 0)
	for i := range int64(500) {
		c.logs[busy] = append(c.logs[busy], canned(None, i, 0, 0, -1, "s"))
		c.high[busy] = i + 1
	}
	c.logs[big] = []cannedBatch{canned(None, 0, 0, 0, -1, string(make([]byte, 100_000)))}
	c.high[big] = 1
	r, at := newReceiver(t), int64(-1)
	deliver := func(list []Fetched) {
		r.deliver(list)
		if at < 0 && r.next[big] == 1 {
			at = r.next[busy]
		}
	}
	bubble(t, c, FetchConfig{PartitionBytes: 100, BrokerBytes: 200}, deliver, func(f *Fetcher, _ time.Time) {
		f.Add(busy, 0)
		f.Add(big, 0)
		time.Sleep(10 * time.Second)
		synctest.Wait()
	})
	asked, turns := int64(-1), 0
	for _, q := range c.polls {
		offset, ok := askedOffset(q, big)
		if ok && offset == 0 {
			turns++
		}
		if from, ok := askedOffset(q, busy); ok && turns == 0 {
			asked = from
		}
	}
	if at < 0 || at > 5 || asked > 2 || turns > 2 || r.next[busy] != 500 {
		t.Errorf("the large batch was asked for %d times, first when the other partition was at %d, and came when it was at %d; it ended at %d",
			turns, asked, at, r.next[busy])
	}
}

// askedOffset returns the offset that a poll asks a partition from.
func askedOffset(q *kmsg.FetchRequest, tp record.TopicPartition) (offset int64, ok bool) {
	for _, t := range q.Topics {
		for _, p := range t.Partitions {
			if t.Topic == tp.Topic && p.Partition == tp.Partition {
				return p.FetchOffset, true
			}
		}
	}
	return 0, false
}

// testMachine is a machine with one partition that waits for the answer to a poll.
func testMachine(t *testing.T) (m *fetchMachine, now time.Time, q *fetchPoll) {
	t.Helper()
	m = newFetchMachine(fetchLimits{
		maxWait: 500 * time.Millisecond, sideWait: fetchSideWait, holdWait: fetchHoldWait,
		backoff: fetchBackoff, backoffMax: fetchBackoffMax, unknownAfter: fetchUnknownAfter, partitionBytes: 1 << 20,
	}, rand.New(rand.NewPCG(1, 1)))
	now = time.Unix(1000, 0)
	look := only[fetchLookup](t, m.step(now, fetchAdd{part("in", 0), 7}))
	q = only[fetchAsk](t, m.step(now, fetchLeader{tp: look.tp, gen: look.gen, node: 1, epoch: 4})).poll
	return m, now, q
}

func only[A fetchAction](t *testing.T, actions []fetchAction) A {
	t.Helper()
	if len(actions) == 1 {
		if a, ok := actions[0].(A); ok {
			return a
		}
	}
	t.Fatalf("actions %+v, want one %T", actions, *new(A))
	panic("not reached")
}

func TestFetchThrottled(t *testing.T) {
	m, now, q := testMachine(t)
	a := &fetchAnswer{throttle: 300 * time.Millisecond}
	a.reset(q)
	a.throttle = 300 * time.Millisecond
	a.parts[0].present, a.parts[0].next = true, 9
	m.step(now, fetchAnswered{q, a})
	if got := m.step(now, fetchHanded{q}); len(got) > 0 {
		t.Fatalf("%+v", got)
	}
	if want := now.Add(a.throttle); !m.wake.Equal(want) {
		t.Errorf("wake %v, want %v", m.wake, want)
	}
	if got := m.step(now.Add(299*time.Millisecond), fetchTick{}); len(got) > 0 {
		t.Errorf("%+v", got)
	}
	if p := only[fetchAsk](t, m.step(now.Add(a.throttle), fetchTick{})).poll.parts[0]; p.offset != 9 {
		t.Errorf("%+v", p)
	}
}

// An error of the whole answer is one of each partition.
func TestFetchWholeAnswerRefused(t *testing.T) {
	m, now, q := testMachine(t)
	a := &fetchAnswer{}
	a.reset(q)
	a.code = 35
	stop := only[fetchStop](t, m.step(now, fetchAnswered{q, a}))
	if !errors.Is(stop.err, Code(35)) || stop.next != 7 || !a.parts[0].skipped {
		t.Errorf("%+v", stop)
	}
}

// After a broker is lost the leader is looked up anew, and not from the cache.
func TestFetchLostBroker(t *testing.T) {
	m, now, q := testMachine(t)
	look := only[fetchLookup](t, m.step(now, fetchFailed{q, fetchFailedNetwork, errors.New("lost")}))
	if !look.refresh {
		t.Error("from the cache")
	}
	// A new leader is asked at once, whatever happened to the old one.
	if p := only[fetchAsk](t, m.step(now, fetchLeader{tp: look.tp, gen: look.gen, node: 2, epoch: 5})).poll; p.node != 2 || p.parts[0].epoch != 5 {
		t.Errorf("%+v", p)
	}
}

// A topic may be unknown for a while, not for ever.
func TestFetchUnknownTopic(t *testing.T) {
	m, now, q := testMachine(t)
	look := only[fetchLookup](t, m.step(now, fetchFailed{q, fetchFailedNetwork, errors.New("lost")}))
	for start := now; ; {
		actions := m.step(now, fetchLeader{tp: look.tp, gen: look.gen, err: codeUnknownTopic, unknown: true})
		for _, a := range actions {
			if stop, ok := a.(fetchStop); ok {
				if took := now.Sub(start); took < fetchUnknownAfter || !errors.Is(stop.err, codeUnknownTopic) {
					t.Errorf("after %v: %v", took, stop.err)
				}
				return
			}
		}
		if now.Sub(start) > 2*fetchUnknownAfter {
			t.Fatal("still trying")
		}
		for len(actions) == 0 {
			now = m.wake
			actions = m.step(now, fetchTick{})
		}
		look = only[fetchLookup](t, actions)
	}
}
