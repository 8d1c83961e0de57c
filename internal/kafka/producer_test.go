package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// producing is a producer under test and its acks.
type producing struct {
	t    *testing.T
	f    *fakeCluster
	p    *Producer
	acks chan Ack
	ends chan TxnEnd
	end  func() error
	over func(context.Context) error // waits for the end
}

func startProducer(t *testing.T, f *fakeCluster, cfg ProducerConfig) *producing {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &producing{t: t, f: f, acks: make(chan Ack, 10000), ends: make(chan TxnEnd, 100)}
	cfg.Ended = func(e TxnEnd) { w.ends <- e }
	w.p = f.client.NewProducer(cfg, func(a Ack) {
		copied := *a.Batch
		a.Batch = &copied
		w.acks <- a
	})
	ended := make(chan error, 1)
	go func() { ended <- w.p.Run(ctx) }()
	var err error
	done := false
	w.end = func() error {
		if !done {
			cancel()
			err, done = <-ended, true
		}
		return err
	}
	w.over = func(ctx context.Context) error {
		select {
		case err = <-ended:
			done = true
			return err
		case <-ctx.Done():
			return errors.New("Run does not end")
		}
	}
	t.Cleanup(func() { w.end() })
	return w
}

// send sends one batch of records with the given values. The first of them is its tag.
func (w *producing) send(topic string, partition int32, values ...string) {
	w.t.Helper()
	var b Builder
	for _, v := range values {
		if _, err := b.Append(time.Now().UnixMilli(), []byte("k"), []byte(v), record.Headers{}); err != nil {
			w.t.Fatal(err)
		}
	}
	o, err := b.Seal(LZ4)
	if err != nil {
		w.t.Fatal(err)
	}
	o.Tag = values[0]
	w.p.Send(record.TopicPartition{Topic: topic, Partition: partition}, o)
}

func (w *producing) ack() Ack {
	w.t.Helper()
	select {
	case a := <-w.acks:
		return a
	case <-time.After(20 * time.Second):
		w.t.Fatal("no ack")
		panic("unreachable")
	}
}

// acked wants n acks without error.
func (w *producing) acked(n int) {
	w.t.Helper()
	for range n {
		if a := w.ack(); a.Err != nil {
			w.t.Fatalf("%s %v: %v", a.TP, a.Batch.Tag, a.Err)
		}
	}
}

// log returns the values in a partition as the broker has them.
func (f *fakeCluster) log(t *testing.T, topic string, partition int32) (values []string) {
	t.Helper()
	return f.read(t, topic, partition, ReadUncommitted)
}

func (f *fakeCluster) read(t *testing.T, topic string, partition int32, isolation Isolation) (values []string) {
	t.Helper()
	tp := record.TopicPartition{Topic: topic, Partition: partition}
	leader, err := f.client.leader(t.Context(), tp)
	if err != nil {
		t.Fatal(err)
	}
	leader.Node = f.LeaderFor(topic, partition)
	for offset := int64(0); ; {
		req := kmsg.NewPtrFetchRequest()
		req.Version, req.MaxWaitMillis = 11, 0
		req.MinBytes, req.MaxBytes, req.ReplicaID, req.IsolationLevel = 0, 16<<20, -1, int8(isolation)
		rt := kmsg.NewFetchRequestTopic()
		rt.Topic = topic
		rp := kmsg.NewFetchRequestTopicPartition()
		rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes, rp.CurrentLeaderEpoch = partition, offset, 16<<20, -1
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		res, err := ask[*kmsg.FetchResponse](t.Context(), f.client, leader.Node, req)
		if err != nil {
			t.Fatal(err)
		}
		part := res.Topics[0].Partitions[0]
		if part.ErrorCode != 0 {
			t.Fatal(kerr.ErrorForCode(part.ErrorCode))
		}
		frame := frameOf(part.RecordBatches)
		opts := ParseOptions{ReadCommitted: isolation == ReadCommitted}
		for _, a := range part.AbortedTransactions {
			opts.Aborted = append(opts.Aborted, AbortedTransaction{a.ProducerID, a.FirstOffset})
		}
		next, err := ParseBatches(tp, frame, frame.Bytes(), offset, opts, func(b *Batch) {
			c := b.Cursor(offset)
			var r record.Raw
			for {
				ok, err := c.Next(&r)
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				values = append(values, string(r.Value))
			}
			b.Release()
		})
		frame.Release()
		if err != nil {
			t.Fatal(err)
		}
		if next == offset {
			return values
		}
		offset = next
	}
}

func (w *producing) wantLog(topic string, partition int32, want ...string) {
	w.t.Helper()
	if got := w.f.log(w.t, topic, partition); fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Fatalf("%s/%d holds %q, want %q", topic, partition, got, want)
	}
}

func upTo(n int) (s []string) {
	for i := range n {
		s = append(s, strconv.Itoa(i))
	}
	return s
}

func TestProducerKeepsOrderOverManyPartitions(t *testing.T) {
	f := startFake(t, 3, kfake.SeedTopics(4, "a", "b"))
	w := startProducer(t, f, ProducerConfig{})
	const n = 50
	for i := range n {
		for p := range int32(4) {
			w.send("a", p, strconv.Itoa(i))
			w.send("b", p, strconv.Itoa(i))
		}
	}
	next := map[record.TopicPartition]int{}
	for range 8 * n {
		a := w.ack()
		if a.Err != nil {
			t.Fatal(a.Err)
		}
		if want := next[a.TP]; a.Batch.Tag != strconv.Itoa(want) || a.BaseOffset != int64(want) {
			t.Fatalf("%s: ack of %v at %d, want %d", a.TP, a.Batch.Tag, a.BaseOffset, want)
		}
		next[a.TP]++
	}
	if b := w.p.Buffered(); b != 0 {
		t.Errorf("%d bytes still counted as buffered", b)
	}
	for p := range int32(4) {
		w.wantLog("a", p, upTo(n)...)
		w.wantLog("b", p, upTo(n)...)
	}
}

// Each of these answers a request once, or loses it, while batches are under way; nothing is lost, doubled or reordered.
func TestProducerRidesOutFaults(t *testing.T) {
	for name, fault := range map[string]func(f *fakeCluster){
		"not leader":      func(f *fakeCluster) { f.fault(kerr.NotLeaderForPartition, 3) },
		"few replicas":    func(f *fakeCluster) { f.fault(kerr.NotEnoughReplicas, 3) },
		"after append":    func(f *fakeCluster) { f.fault(kerr.NotEnoughReplicasAfterAppend, 3) },
		"timed out":       func(f *fakeCluster) { f.fault(kerr.RequestTimedOut, 3) },
		"unknown topic":   func(f *fakeCluster) { f.fault(kerr.UnknownTopicOrPartition, 3) },
		"unknown error":   func(f *fakeCluster) { f.fault(kerr.UnknownServerError, 3) },
		"forgotten":       func(f *fakeCluster) { f.fault(kerr.UnknownProducerID, 3) },
		"old epoch":       func(f *fakeCluster) { f.fault(kerr.InvalidProducerEpoch, 3) },
		"crc":             func(f *fakeCluster) { f.fault(kerr.CorruptMessage, 3) },
		"connection lost": func(f *fakeCluster) { f.loseProduce(3) },
		"leader moves": func(f *fakeCluster) {
			f.onProduce(func(n int) {
				if n%4 == 2 {
					f.MoveTopicPartition("a", 0, int32(n%3))
				}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := startFake(t, 3, kfake.SeedTopics(1, "a"))
			w := startProducer(t, f, ProducerConfig{})
			w.send("a", 0, "0")
			w.acked(1)
			fault(f)
			for i := 1; i < 20; i++ {
				w.send("a", 0, strconv.Itoa(i))
			}
			w.acked(19)
			w.wantLog("a", 0, upTo(20)...)
		})
	}
}

func (f *fakeCluster) fault(err *kerr.Error, n int) {
	f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: err, Count: n})
}

// loseProduce closes the connection of the next n produce requests without an answer.
func (f *fakeCluster) loseProduce(n int) {
	f.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		if n--; n < 0 {
			return nil, nil, false
		}
		return nil, errors.New("lost"), true
	})
}

func (f *fakeCluster) onProduce(do func(n int)) {
	n := 0
	f.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		n++
		do(n)
		return nil, nil, false
	})
}

func TestProducerSplitsWhatIsTooLarge(t *testing.T) {
	f := startFake(t, 1)
	if err := f.CreateTopic("small", 1, map[string]string{"max.message.bytes": "200"}); err != nil {
		t.Fatal(err)
	}
	w := startProducer(t, f, ProducerConfig{})
	values := upTo(60)
	w.send("small", 0, values...)
	w.send("small", 0, "60")
	w.acked(2)
	w.wantLog("small", 0, upTo(61)...)
}

func TestProducerTellsRefusedRecordsApart(t *testing.T) {
	f := startFake(t, 1, kfake.SeedTopics(2, "a"))
	w := startProducer(t, f, ProducerConfig{})
	w.send("a", 1, "before")
	w.acked(1)
	refuse := true
	f.ControlKey(int16(kmsg.Produce), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		req := kreq.(*kmsg.ProduceRequest)
		if !refuse || req.Topics[0].Partitions[0].Partition != 0 {
			f.KeepControl()
			return nil, nil, false
		}
		refuse = false
		res := req.ResponseKind().(*kmsg.ProduceResponse)
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic = "a"
		rp := kmsg.NewProduceResponseTopicPartition()
		rp.ErrorCode = kerr.InvalidRecord.Code
		rp.ErrorRecords = []kmsg.ProduceResponseTopicPartitionErrorRecord{
			{RelativeOffset: 1, ErrorMessage: kmsg.StringPtr("no key")}, {RelativeOffset: 2},
		}
		rt.Partitions = append(rt.Partitions, rp)
		res.Topics = append(res.Topics, rt)
		return res, nil, true
	})
	w.send("a", 0, "x", "y", "z")
	a := w.ack()
	var refused *RefusedError
	if !errors.As(a.Err, &refused) || len(a.Refused) != 2 || a.Refused[0] != (RefusedRecord{1, "no key"}) || a.Refused[1].Index != 2 {
		t.Fatalf("%+v", a)
	}
	w.send("a", 0, "after")
	w.acked(1)
	w.wantLog("a", 0, "after")
	w.wantLog("a", 1, "before")
}

func TestProducerFailsWhatARightIsMissingFor(t *testing.T) {
	f := startFake(t, 1, kfake.SeedTopics(1, "a"))
	f.fault(kerr.TopicAuthorizationFailed, 1)
	w := startProducer(t, f, ProducerConfig{})
	w.send("a", 0, "lost")
	a := w.ack()
	var failed *ProduceError
	if !errors.As(a.Err, &failed) || failed.Unknown || !errors.Is(a.Err, Code(29)) {
		t.Fatalf("%+v", a)
	}
	w.send("a", 0, "kept")
	w.acked(1)
	w.wantLog("a", 0, "kept")
}

func TestProducerEndsWithEverythingAnswered(t *testing.T) {
	f := startFake(t, 1, kfake.SeedTopics(1, "a"))
	w := startProducer(t, f, ProducerConfig{})
	f.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		return nil, nil, true // the broker is silent
	})
	for range 10 {
		w.send("a", 0, "x")
	}
	if err := w.end(); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if a := w.ack(); !errors.Is(a.Err, context.Canceled) {
			t.Fatalf("%+v", a)
		}
	}
	w.send("a", 0, "late")
	if a := w.ack(); a.Err == nil {
		t.Fatal("a batch sent to a producer that has ended is acknowledged")
	}
}

func TestProducerWithoutRightForAnID(t *testing.T) {
	f := startFake(t, 1, kfake.SeedTopics(1, "a"))
	f.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Err: kerr.ClusterAuthorizationFailed, TopLevel: true, Count: -1})
	w := startProducer(t, f, ProducerConfig{})
	w.send("a", 0, "x")
	if a := w.ack(); !errors.Is(a.Err, Code(31)) {
		t.Fatalf("%+v", a)
	}
	if err := w.end(); !errors.Is(err, Code(31)) {
		t.Fatalf("Run returns %v", err)
	}
}
