package kafkaclient_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/oxbow-streams/oxbow/integration/brokers"
	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// transactions is a transactional producer and what it says.
type transactions struct {
	*kafka.Producer
	t    *testing.T
	acks chan kafka.Ack
	ends chan kafka.TxnEnd
	run  chan error
	stop context.CancelFunc
}

func transact(t *testing.T, b *brokers.Cluster, cfg kafka.ProducerConfig) *transactions {
	t.Helper()
	w := &transactions{t: t, acks: make(chan kafka.Ack, 1000), ends: make(chan kafka.TxnEnd, 1000), run: make(chan error, 1)}
	cfg.Ended = func(e kafka.TxnEnd) { w.ends <- e }
	w.Producer = open(t, kafka.Config{Brokers: b.Addrs}).NewProducer(cfg, func(a kafka.Ack) { a.Batch = nil; w.acks <- a })
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	go func() { w.run <- w.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		<-w.run
	})
	return w
}

// ended waits for the end of Run.
func (w *transactions) ended() error {
	w.t.Helper()
	select {
	case err := <-w.run:
		w.run <- err
		return err
	case <-time.After(time.Minute):
		w.t.Fatal("Run does not end")
		panic("unreachable")
	}
}

func (w *transactions) send(topic string, partition int32, value string) {
	w.t.Helper()
	var b kafka.Builder
	if _, err := b.Append(time.Now().UnixMilli(), []byte("k"), []byte(value), record.Headers{}); err != nil {
		w.t.Fatal(err)
	}
	o, err := b.Seal(kafka.LZ4)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Send(tp(topic, partition), o)
}

// await waits for the end of a transaction.
func (w *transactions) await() kafka.TxnEnd {
	w.t.Helper()
	select {
	case e := <-w.ends:
		return e
	case <-time.After(time.Minute):
		w.t.Fatal("the transaction does not end")
		panic("unreachable")
	}
}

func (w *transactions) want(outcome kafka.TxnOutcome) kafka.TxnEnd {
	w.t.Helper()
	e := w.await()
	if e.Outcome != outcome {
		w.t.Fatalf("%v: %v, want %v", e.Outcome, e.Err, outcome)
	}
	return e
}

func committed(t *testing.T, b *brokers.Cluster, topic string, done func([]*kgo.Record) bool) (values []string) {
	t.Helper()
	for _, r := range b.Await(t, topic, done) {
		values = append(values, string(r.Value))
	}
	slices.Sort(values)
	return values
}

func wantCommitted(t *testing.T, b *brokers.Cluster, topic string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := committed(t, b, topic, brokers.Count(len(want))); !slices.Equal(got, want) {
		t.Fatalf("committed: %q, want %q", got, want)
	}
}

// protocols runs a scenario under both transaction protocols, on each kind of broker.
func protocols(t *testing.T, scenario func(t *testing.T, b *brokers.Cluster, cfg kafka.ProducerConfig)) {
	brokers.Run(t, brokers.Options{Shared: true}, func(t *testing.T, b *brokers.Cluster) {
		for n := 1; n <= 2; n++ {
			t.Run(fmt.Sprint("protocol ", n), func(t *testing.T) {
				name := fmt.Sprint("txn-", t.Name())
				scenario(t, b, kafka.ProducerConfig{TransactionalID: name, Protocol1: n == 1})
			})
		}
	})
}

func topics(t *testing.T, b *brokers.Cluster, cfg kafka.ProducerConfig, what string) (in, out string) {
	suffix := fmt.Sprint(what, cfg.Protocol1)
	b.CreateTopic(t, "in-"+suffix, 1)
	b.CreateTopic(t, "out-"+suffix, 3)
	return "in-" + suffix, "out-" + suffix
}

// Records and offsets of a transaction are seen together or not at all, by another client than ours.
func TestTransactions(t *testing.T) {
	protocols(t, func(t *testing.T, b *brokers.Cluster, cfg kafka.ProducerConfig) {
		in, out := topics(t, b, cfg, "transactions")
		m := join(t, b, in, in, 1, "", "a")
		shared(t, 1, m)
		w := transact(t, b, cfg)
		var want []string
		for i := range 60 {
			commit := i%5 != 3
			for p := range int32(3) {
				w.send(out, p, fmt.Sprint(i, "-", p))
				if commit {
					want = append(want, fmt.Sprint(i, "-", p))
				}
			}
			offsets := map[record.TopicPartition]kafka.Offset{tp(in, 0): {At: int64(i + 1), Metadata: fmt.Sprint("at ", i)}}
			w.End(commit, m.Identity(), offsets)
			if i%2 == 0 { // the next is sent while the end is under way
				continue
			}
			for _, k := range []int{i - 1, i} {
				outcome := kafka.TxnCommitted
				if k%5 == 3 {
					outcome = kafka.TxnAborted
				}
				w.want(outcome)
			}
		}
		wantCommitted(t, b, out, want...)
		if got := b.GroupOffsets(t, in)[in][0]; got.Offset != 60 || got.Metadata != "at 59" {
			t.Fatalf("committed: %+v", got)
		}
		// A member that is no longer one.
		who := m.Identity()
		who.MemberID = "somebody"
		w.End(true, who, map[record.TopicPartition]kafka.Offset{tp(in, 0): {At: 99}})
		if e := w.want(kafka.TxnAborted); !errors.Is(e.Err, kafka.Code(25)) {
			t.Fatal(e.Err)
		}
		w.End(true, m.Identity(), map[record.TopicPartition]kafka.Offset{tp(in, 0): {At: 100}})
		w.want(kafka.TxnCommitted)
		if got := b.GroupOffsets(t, in)[in][0]; got.Offset != 100 {
			t.Fatalf("committed: %+v", got)
		}
	})
}

// The coordinator aborts what is open for too long; the producer finds out, and goes on.
func TestTransactionTimeout(t *testing.T) {
	protocols(t, func(t *testing.T, b *brokers.Cluster, cfg kafka.ProducerConfig) {
		in, out := topics(t, b, cfg, "timeout")
		m := join(t, b, in, in, 1, "", "a")
		shared(t, 1, m)
		cfg.TransactionTimeout = time.Second
		w := transact(t, b, cfg)
		c, ctx := open(t, kafka.Config{Brokers: b.Addrs}), t.Context()
		for _, late := range []string{"End alone", "a batch", "offsets"} {
			w.send(out, 0, "lost")
			<-w.acks
			eventually(t, "the coordinator aborts", func() bool {
				at := map[record.TopicPartition]int64{tp(out, 0): kafka.LatestOffset}
				end, err := c.ListOffsets(ctx, at, kafka.ReadUncommitted)
				stable, err2 := c.ListOffsets(ctx, at, kafka.ReadCommitted)
				if err != nil || err2 != nil {
					t.Fatal(err, err2)
				}
				return end[tp(out, 0)].Offset == stable[tp(out, 0)].Offset
			})
			var offsets map[record.TopicPartition]kafka.Offset
			switch late {
			case "a batch":
				w.send(out, 1, "lost, too")
			case "offsets":
				offsets = map[record.TopicPartition]kafka.Offset{tp(in, 0): {At: 7}}
			}
			w.End(true, m.Identity(), offsets)
			e := w.want(kafka.TxnAborted)
			if late == "a batch" {
				<-w.acks
			}
			var timeout *kafka.TxnTimeoutError
			if !errors.As(e.Err, &timeout) {
				if late == "End alone" || b.Lane == brokers.Real || cfg.Protocol1 {
					t.Fatalf("%s: %v", late, e.Err)
				}
			}
		}
		w.send(out, 0, "kept")
		w.End(true, m.Identity(), map[record.TopicPartition]kafka.Offset{tp(in, 0): {At: 8}})
		w.want(kafka.TxnCommitted)
		wantCommitted(t, b, out, "kept")
		if got := b.GroupOffsets(t, in)[in][0]; got.Offset != 8 {
			t.Fatalf("committed: %+v", got)
		}
	})
}

// Of two producers with the same id the second one works, and the first one ends.
func TestTransactionFencing(t *testing.T) {
	protocols(t, func(t *testing.T, b *brokers.Cluster, cfg kafka.ProducerConfig) {
		if b.Lane == brokers.Fake {
			return // kfake gives its id back to a producer that was fenced
		}
		in, out := topics(t, b, cfg, "fencing")
		m := join(t, b, in, in, 1, "", "a")
		shared(t, 1, m)
		for i, late := range []string{"End alone", "a batch", "offsets"} {
			a := transact(t, b, cfg)
			a.send(out, 0, "lost")
			if k := <-a.acks; k.Err != nil {
				t.Fatal(k.Err)
			}
			z := transact(t, b, cfg)
			z.send(out, 0, fmt.Sprint("kept ", i))
			z.End(true, m.Identity(), map[record.TopicPartition]kafka.Offset{tp(in, 0): {At: int64(i + 1)}})
			z.want(kafka.TxnCommitted)
			var offsets map[record.TopicPartition]kafka.Offset
			switch late {
			case "a batch":
				a.send(out, 0, "lost, too")
			case "offsets":
				offsets = map[record.TopicPartition]kafka.Offset{tp(in, 0): {At: 99}}
			}
			a.End(true, m.Identity(), offsets)
			var fenced *kafka.FencedError
			if e := a.want(kafka.TxnAborted); !errors.As(e.Err, &fenced) {
				t.Fatalf("%s: %v", late, e.Err)
			}
			if err := a.ended(); !errors.As(err, &fenced) {
				t.Fatalf("%s: Run: %v", late, err)
			}
			z.stop()
			if err := z.ended(); err != nil {
				t.Fatal(err)
			}
		}
		wantCommitted(t, b, out, "kept 0", "kept 1", "kept 2")
		if got := b.GroupOffsets(t, in)[in][0]; got.Offset != 3 {
			t.Fatalf("committed: %+v", got)
		}
	})
}
