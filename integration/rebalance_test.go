package integration

import (
	"bytes"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/integration/brokers"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

const rebalancePartitions = 8

// TestRebalance adds instances and stops them cleanly while records flow. Nothing is lost, nothing is done twice, keys keep
// their order (P2); tasks end balanced; those that stay where they are never stop.
func TestRebalance(t *testing.T) {
	brokers.Run(t, brokers.Options{Shared: true}, func(t *testing.T, c *brokers.Cluster) {
		f := &fleet{t: t, c: c, app: fmt.Sprintf("rebalance-%s-%d", c.Lane, time.Now().UnixNano())}
		topics := []string{f.app + "-in", f.app + "-echo", f.app + "-totals"}
		for _, topic := range topics {
			c.CreateTopic(t, topic, rebalancePartitions)
		}
		stop, fed := make(chan struct{}), make(chan error, 1)
		go func() { fed <- f.feedUntil(stop) }()
		dirs := []string{t.TempDir(), t.TempDir(), t.TempDir()}
		a := f.add("a", dirs[0])
		f.settle("one")
		b := f.add("b", dirs[1])
		f.settle("one, one more")
		f.add("c", dirs[2])
		f.settle("three")
		f.remove(b)
		f.settle("three, one stopped")
		f.add("b again", dirs[1])
		f.settle("three again")
		f.remove(a)
		f.settle("three, the first one stopped")
		close(stop)
		if err := <-fed; err != nil {
			t.Fatalf("feeding: %v", err)
		}
		c.Await(t, f.app+"-echo", brokers.Count(f.fed))
		for len(f.running) > 0 {
			f.remove(f.running[0])
		}
		f.check()
		c.DeleteTopics(t, append(topics, f.app+"-counts-changelog", f.app+"-dlq")...)
	})
}

// begin notes who has which task before a change.
func (f *fleet) begin() {
	f.before = map[place]life{}
	for at, t := range f.places() {
		f.before[at] = life{consumed: t.consumed}
	}
}

func (f *fleet) places() map[place]snapshot {
	all := map[place]snapshot{}
	for _, in := range f.running {
		for _, w := range in.app.Stats().Workers {
			for _, t := range w.Tasks {
				all[place{in, t.ID}] = snapshot{consumed: t.Counts.Consumed, state: t.State, stale: w.Stale}
			}
		}
	}
	return all
}

type snapshot struct {
	consumed int64
	state    string
	stale    bool // of a worker that had no time to answer
}

// settle looks on until every task runs, shared out evenly, and those that stay have gone on.
func (f *fleet) settle(what string) {
	f.t.Helper()
	last := maps.Clone(f.before)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(60 * time.Second); ; <-tick.C {
		now := f.places()
		stayed, waiting := 0, 0
		for at, was := range last {
			is, there := now[at]
			switch {
			case was.broken != "" || is.stale:
			case !there:
				was.broken = "it was not there for a time"
			case is.state != "running":
				was.broken = "it was " + is.state
			case is.consumed < was.consumed:
				was.broken = fmt.Sprintf("it was made anew: %d records after %d", is.consumed, was.consumed)
			default:
				was.consumed = is.consumed
			}
			last[at] = was
			if there {
				stayed++
				if was.broken == "" && was.consumed == f.before[at].consumed {
					waiting++
				}
			}
		}
		if even := f.even(now); even && waiting == 0 {
			for at := range now {
				if was, ok := last[at]; ok && was.broken != "" {
					f.t.Errorf("%s: task %s stays at instance %s, but %s", what, at.task, at.at.name, was.broken)
				}
			}
			f.t.Logf("%s: %d of %d tasks stayed", what, stayed, rebalancePartitions)
			return
		}
		f.alive(what)
		if time.Now().After(end) {
			f.t.Fatalf("%s: after a minute: %d tasks that stay have not gone on; tasks %v", what, waiting, now)
		}
	}
}

// even tells whether all tasks run, and no instance has two more than another.
func (f *fleet) even(now map[place]snapshot) bool {
	if len(now) != rebalancePartitions {
		return false
	}
	per := map[*instance]int{}
	for at, s := range now {
		if s.state != "running" || s.stale {
			return false
		}
		per[at.at]++
	}
	low, high := rebalancePartitions, 0
	for _, in := range f.running {
		low, high = min(low, per[in]), max(high, per[in])
	}
	return high-low <= 1
}

func (f *fleet) alive(what string) {
	f.t.Helper()
	for _, in := range f.running {
		select {
		case err := <-in.ended:
			f.t.Fatalf("%s: instance %s ended by itself: %v", what, in.name, err)
		default:
		}
	}
}

// check compares the echo with the input record by record, and the totals with the model.
func (f *fleet) check() {
	in, echo := byPartition(f.c.Read(f.t, f.app+"-in")), byPartition(f.c.Read(f.t, f.app+"-echo"))
	want, n := map[string]int64{}, 0
	for p := range int32(rebalancePartitions) {
		for i, r := range in[p] {
			want[string(r.Key)]++
			n++
			if i < len(echo[p]) && !bytes.Equal(echo[p][i].Value, r.Value) {
				f.t.Fatalf("echo/%d@%d: %q, want %q: lost, repeated or out of order", p, i, echo[p][i].Value, r.Value)
			}
		}
		if len(echo[p]) != len(in[p]) {
			f.t.Errorf("partition %d: %d inputs, %d in the echo", p, len(in[p]), len(echo[p]))
		}
	}
	if n != f.fed {
		f.t.Fatalf("%d inputs were written, %d are there", f.fed, n)
	}
	for _, topic := range []string{f.app + "-totals", f.app + "-counts-changelog"} {
		got := map[string]int64{}
		for _, r := range f.c.Read(f.t, topic) {
			v, err := serde.Int64.Decode(r.Value)
			if err != nil {
				f.t.Fatalf("%s/%d@%d: %v", topic, r.Partition, r.Offset, err)
			}
			got[string(r.Key)] = v
		}
		if !maps.Equal(got, want) {
			f.t.Errorf("%s: %v, want %v", topic, got, want)
		}
	}
	if offsets := f.c.GroupOffsets(f.t, f.app)[f.app+"-in"]; len(offsets) != rebalancePartitions {
		f.t.Errorf("offsets of %d partitions are committed", len(offsets))
	} else {
		for p, o := range offsets {
			if o.Offset != int64(len(in[p])) {
				f.t.Errorf("partition %d: %d inputs, committed %d", p, len(in[p]), o.Offset)
			}
		}
	}
	f.t.Logf("%d inputs, each once", f.fed)
}
