package sim

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// answers are error codes that brokers give when nothing is wrong with the one who asks.
var answers = []struct {
	key    kmsg.Key
	topics []string // faulted on these alone; nil: all
	errs   []*kerr.Error
}{
	{kmsg.Produce, []string{"echo", "totals", application + "-counts-changelog"}, []*kerr.Error{kerr.NotLeaderForPartition, kerr.NotEnoughReplicas,
		kerr.NotEnoughReplicasAfterAppend, kerr.RequestTimedOut, kerr.KafkaStorageError, kerr.LeaderNotAvailable}},
	{kmsg.Fetch, nil, []*kerr.Error{kerr.NotLeaderForPartition, kerr.FencedLeaderEpoch, kerr.UnknownLeaderEpoch, kerr.KafkaStorageError,
		kerr.UnknownServerError, kerr.OffsetNotAvailable}},
	{kmsg.ListOffsets, nil, []*kerr.Error{kerr.NotLeaderForPartition, kerr.LeaderNotAvailable, kerr.OffsetNotAvailable}},
	{kmsg.Metadata, nil, []*kerr.Error{kerr.LeaderNotAvailable}},
	{kmsg.InitProducerID, nil, []*kerr.Error{kerr.CoordinatorLoadInProgress, kerr.CoordinatorNotAvailable}},
	{kmsg.FindCoordinator, nil, []*kerr.Error{kerr.CoordinatorNotAvailable}},
	{kmsg.OffsetFetch, nil, []*kerr.Error{kerr.CoordinatorLoadInProgress, kerr.NotCoordinator, kerr.UnstableOffsetCommit}},
	{kmsg.OffsetCommit, nil, []*kerr.Error{kerr.CoordinatorLoadInProgress, kerr.NotCoordinator, kerr.CoordinatorNotAvailable,
		kerr.RequestTimedOut, kerr.RebalanceInProgress, kerr.IllegalGeneration, kerr.UnknownMemberID}},
	{kmsg.JoinGroup, nil, []*kerr.Error{kerr.CoordinatorLoadInProgress, kerr.NotCoordinator, kerr.RebalanceInProgress, kerr.UnknownMemberID}},
	{kmsg.SyncGroup, nil, []*kerr.Error{kerr.NotCoordinator, kerr.RebalanceInProgress, kerr.IllegalGeneration, kerr.UnknownMemberID}},
	{kmsg.Heartbeat, nil, []*kerr.Error{kerr.NotCoordinator, kerr.RebalanceInProgress, kerr.IllegalGeneration, kerr.UnknownMemberID}},
}

// trouble does one thing, chosen by chance.
func (w *world) trouble() {
	w.t.Helper()
	addrs := w.brokers.ListenAddrs()
	addr := addrs[w.rnd.IntN(len(addrs))]
	switch n := w.rnd.IntN(20); {
	case n < 10:
		w.answer()
	case n < 12:
		if w.rnd.IntN(3) == 0 {
			addr = ""
		}
		w.fired["connections cut"] += w.net.Cut(addr)
	case n < 14:
		limit := 1 + w.rnd.IntN(300)
		w.net.Delay(func(a string) time.Duration { return time.Duration(len(a)*7919%limit) * time.Millisecond })
		w.fired["delays"]++
	case n == 14:
		w.net.Silence(addr, true)
		time.Sleep(time.Duration(w.rnd.IntN(4000)) * time.Millisecond)
		w.net.Silence(addr, false)
		w.net.Cut(addr)
		w.fired["a silent broker"]++
	case n == 15:
		w.net.Refuse(addr, true)
		w.net.Cut(addr)
		time.Sleep(time.Duration(w.rnd.IntN(4000)) * time.Millisecond)
		w.net.Refuse(addr, false)
		w.fired["a broker that refuses"]++
	case n == 16:
		topic := []string{"in", "echo", "totals"}[w.rnd.IntN(3)]
		if err := w.brokers.MoveTopicPartition(topic, w.rnd.Int32N(partitions), w.rnd.Int32N(3)); err != nil {
			w.t.Fatal(err)
		}
		w.fired["a leader moved"]++
	case n == 17:
		w.brokers.ShufflePartitionLeaders()
		w.fired["all leaders moved"]++
	case n == 18:
		w.brokers.RehashCoordinators()
		w.fired["coordinators moved"]++
	default:
		in := w.instances[w.rnd.IntN(len(w.instances))]
		if in.app == nil {
			w.start(in)
			return
		}
		w.end(in)
		w.fired["an instance stopped"]++
	}
}

// answer lets the next requests of a kind fail.
func (w *world) answer() {
	a := answers[w.rnd.IntN(len(answers))]
	f := kfake.Fault{Keys: []kmsg.Key{a.key}, Err: a.errs[w.rnd.IntN(len(a.errs))], Count: 1 + w.rnd.IntN(3)}
	if a.topics != nil {
		f.Topic = a.topics[w.rnd.IntN(len(a.topics))]
	}
	h := w.brokers.Fault(f)
	w.faults = append(w.faults, h)
	name := fmt.Sprintf("%s: %s", kmsg.NameForKey(int16(a.key)), f.Err.Message)
	w.t.Cleanup(func() {
		if n := h.Hits(); n > 0 {
			w.fired[name] += n
		}
	})
}

// heal ends all trouble, and starts who is stopped.
func (w *world) heal() {
	for _, h := range w.faults {
		h.Remove()
	}
	w.net.Delay(nil)
	for _, in := range w.instances {
		if in.app == nil {
			w.start(in)
		}
	}
}
