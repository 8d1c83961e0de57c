package kafka

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// protocols runs a test under both transaction protocols.
func protocols(t *testing.T, test func(t *testing.T, cfg ProducerConfig)) {
	for n := 1; n <= 2; n++ {
		t.Run(fmt.Sprint("protocol ", n), func(t *testing.T) {
			test(t, ProducerConfig{TransactionalID: "tx", Protocol1: n == 1, AddAlone: []string{"letters"}})
		})
	}
}

func (w *producing) txnEnd() TxnEnd {
	w.t.Helper()
	select {
	case e := <-w.ends:
		return e
	case <-time.After(20 * time.Second):
		w.t.Fatal("the transaction does not end")
		panic("unreachable")
	}
}

// ended wants the next transaction to end as asked, or with an error that is want.
func (w *producing) ended(outcome TxnOutcome, want error) TxnEnd {
	w.t.Helper()
	e := w.txnEnd()
	if e.Outcome != outcome || want == nil && e.Err != nil || want != nil && !errors.Is(e.Err, want) {
		w.t.Fatalf("%v, want %v and %v: %v", e.Outcome, outcome, want, e.Err)
	}
	return e
}

func (w *producing) wantCommitted(topic string, partition int32, want ...string) {
	w.t.Helper()
	if got := w.f.read(w.t, topic, partition, ReadCommitted); fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Fatalf("%s/%d has %q committed, want %q", topic, partition, got, want)
	}
}

func (w *producing) wantOffset(at int64) {
	w.t.Helper()
	got, err := w.f.client.CommittedOffsets(w.t.Context(), "app", []record.TopicPartition{tpOf("in", 0)})
	if err != nil || got[tpOf("in", 0)].At != at {
		w.t.Fatalf("committed: %v, %v, want %d", got, err, at)
	}
}

func inAt(at int64) map[record.TopicPartition]Offset {
	return map[record.TopicPartition]Offset{tpOf("in", 0): {At: at, Metadata: fmt.Sprint("m", at)}}
}

func TestTxnCommitsAndAborts(t *testing.T) {
	protocols(t, func(t *testing.T, cfg ProducerConfig) {
		f := startFake(t, 3, kfake.SeedTopics(1, "in"), kfake.SeedTopics(2, "out", "letters"))
		m := f.member(t, f.client, "", 1)
		settled(t, 1, m)
		w := startProducer(t, f, cfg)

		w.send("out", 0, "a", "b")
		w.send("out", 1, "c")
		w.send("letters", 0, "d")
		w.p.End(true, m.Identity(), inAt(3))
		w.send("out", 0, "e") // of the next one
		w.acked(3)
		w.ended(TxnCommitted, nil)
		w.wantCommitted("out", 0, "a", "b")
		w.wantCommitted("out", 1, "c")
		w.wantCommitted("letters", 0, "d")
		w.wantOffset(3)

		w.acked(1)
		w.p.End(false, m.Identity(), inAt(4))
		w.ended(TxnAborted, nil)
		w.wantCommitted("out", 0, "a", "b")
		w.wantOffset(3)

		w.p.End(true, GroupIdentity{}, nil) // empty
		w.p.End(false, GroupIdentity{}, nil)
		w.p.End(true, m.Identity(), inAt(5)) // offsets alone
		w.ended(TxnCommitted, nil)
		w.ended(TxnAborted, nil)
		w.ended(TxnCommitted, nil)
		w.wantOffset(5)

		for i := range 20 {
			w.send("out", 0, fmt.Sprint(i))
			w.p.End(true, m.Identity(), inAt(int64(10+i)))
		}
		w.acked(20)
		for range 20 {
			w.ended(TxnCommitted, nil)
		}
		w.wantCommitted("out", 0, append([]string{"a", "b"}, upTo(20)...)...)
		w.wantOffset(29)
	})
}

// A broker's refusal of a record aborts; the producer goes on.
func TestTxnAbortsWhenABatchFails(t *testing.T) {
	protocols(t, func(t *testing.T, cfg ProducerConfig) {
		f := startFake(t, 1, kfake.SeedTopics(2, "out"))
		w := startProducer(t, f, cfg)
		w.send("out", 0, "a")
		w.acked(1)
		f.fault(kerr.InvalidTimestamp, 1)
		w.send("out", 1, "b")
		a := w.ack()
		var refused *RefusedError
		if !errors.As(a.Err, &refused) {
			t.Fatalf("%+v", a)
		}
		w.send("out", 0, "c")
		if a := w.ack(); !errors.Is(a.Err, errTxnAborting) || errors.As(a.Err, &refused) {
			t.Fatalf("%+v", a)
		}
		w.p.End(true, GroupIdentity{}, nil)
		w.send("out", 0, "d")
		e := w.txnEnd()
		if !e.Commit || e.Outcome != TxnAborted || !errors.As(e.Err, &refused) {
			t.Fatalf("%+v", e)
		}
		w.p.End(true, GroupIdentity{}, nil)
		w.acked(1)
		w.ended(TxnCommitted, nil)
		w.wantCommitted("out", 0, "d")
		w.wantCommitted("out", 1)
	})
}

// The group has moved on: its coordinator refuses the offsets, and nothing of the transaction may be seen.
func TestTxnOffsetsOfAnOldGeneration(t *testing.T) {
	protocols(t, func(t *testing.T, cfg ProducerConfig) {
		f := startFake(t, 1, kfake.SeedTopics(1, "in", "out"))
		m := f.member(t, f.client, "", 1)
		settled(t, 1, m)
		w := startProducer(t, f, cfg)
		who := m.Identity()
		who.Generation--
		w.send("out", 0, "a")
		w.p.End(true, who, inAt(1))
		w.ack() // with an error, if the refusal came first
		w.ended(TxnAborted, codeIllegalGeneration)
		who.Generation = -1
		w.p.End(true, who, inAt(1))
		w.ended(TxnAborted, codeUnknownMember)
		w.send("out", 0, "b")
		w.p.End(true, m.Identity(), inAt(2))
		w.acked(1)
		w.ended(TxnCommitted, nil)
		w.wantCommitted("out", 0, "b")
		w.wantOffset(2)
	})
}

// txnRequests are those of a transaction.
var txnRequests = []kmsg.Key{kmsg.FindCoordinator, kmsg.InitProducerID, kmsg.AddPartitionsToTxn, kmsg.Produce, kmsg.AddOffsetsToTxn,
	kmsg.TxnOffsetCommit, kmsg.EndTxn}

// Requests of each kind are lost before the broker has seen them, or their answers are. Every transaction is committed once.
func TestTxnRidesOutLostConnections(t *testing.T) {
	protocols(t, func(t *testing.T, cfg ProducerConfig) {
		for _, key := range txnRequests {
			t.Run(key.Name(), func(t *testing.T) {
				f := startFake(t, 3, kfake.SeedTopics(1, "in", "out"))
				m := f.member(t, f.client, "", 1)
				settled(t, 1, m)
				n := 0
				f.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
					f.KeepControl()
					if n++; n%2 == 0 {
						return nil, nil, false
					}
					return nil, errors.New("lost"), true
				})
				w := startProducer(t, f, cfg)
				for i := range 6 {
					w.send("out", 0, fmt.Sprint(i))
					w.p.End(true, m.Identity(), inAt(int64(i+1)))
					w.acked(1)
					w.ended(TxnCommitted, nil)
					w.wantOffset(int64(i + 1))
				}
				w.wantCommitted("out", 0, upTo(6)...)
			})
		}
	})
}
