package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// receiver is what stands behind a fetcher in these tests. It checks that each partition's data is gapless.
type receiver struct {
	t       testing.TB
	mu      sync.Mutex
	changed chan struct{} // closed and replaced after each delivery
	next    map[record.TopicPartition]int64
	values  map[record.TopicPartition][]string
	last    map[record.TopicPartition]Fetched
	errs    map[record.TopicPartition]error
	wrong   []string
}

func newReceiver(t testing.TB) *receiver {
	return &receiver{
		t: t, changed: make(chan struct{}),
		next:   map[record.TopicPartition]int64{},
		values: map[record.TopicPartition][]string{},
		last:   map[record.TopicPartition]Fetched{},
		errs:   map[record.TopicPartition]error{},
	}
}

// at is where a partition is to be read next.
func (r *receiver) at(tp record.TopicPartition) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next[tp]
}

func (r *receiver) deliver(list []Fetched) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range list {
		if next, ok := r.next[f.TP]; ok && f.Position != next && f.Err == nil {
			r.wrong = append(r.wrong, fmt.Sprintf("%s: from %d, %d was next", f.TP, f.Position, next))
		}
		for _, b := range f.Batches {
			var raw record.Raw
			c := b.Cursor(f.Position)
			for {
				ok, err := c.Next(&raw)
				if err != nil {
					r.wrong = append(r.wrong, err.Error())
				}
				if !ok {
					break
				}
				r.values[f.TP] = append(r.values[f.TP], string(raw.Value))
			}
			b.Release()
		}
		f.Batches = nil
		r.next[f.TP], r.last[f.TP] = f.Next, f
		if f.Err != nil {
			r.errs[f.TP] = f.Err
		}
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// forget makes the receiver take a partition at any position.
func (r *receiver) forget(tp record.TopicPartition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.next, tp)
	delete(r.values, tp)
	delete(r.errs, tp)
}

// wait returns when ok holds, which it looks at after each delivery.
func (r *receiver) wait(what string, ok func() bool) {
	r.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		r.mu.Lock()
		done, changed := ok(), r.changed
		wrong := slices.Clone(r.wrong)
		r.mu.Unlock()
		if len(wrong) > 0 {
			r.t.Fatal(wrong)
		}
		if done {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			r.mu.Lock()
			defer r.mu.Unlock()
			r.t.Fatalf("%s did not happen: next %v, errors %v", what, r.next, r.errs)
		}
	}
}

func (r *receiver) total() (n int) {
	for _, v := range r.values {
		n += len(v)
	}
	return n
}

// startFetcher runs a fetcher until the test ends.
func startFetcher(t testing.TB, c *Client, cfg FetchConfig, deliver func([]Fetched)) *Fetcher {
	t.Helper()
	f := c.NewFetcher(cfg, deliver)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return f
}

func (f *fakeCluster) writer(t testing.TB, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	w, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(f.ListenAddrs()...), kgo.Dialer(f.net.Dial),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// write produces n numbered values to each of the partitions, from number first on.
func write(t testing.TB, w *kgo.Client, topic string, partitions, first, n int) {
	t.Helper()
	var records []*kgo.Record
	for i := first; i < first+n; i++ {
		for p := range partitions {
			records = append(records, &kgo.Record{Topic: topic, Partition: int32(p), Value: fmt.Appendf(nil, "%d", i)})
		}
	}
	if err := w.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func numbers(from, to int) (s []string) {
	for i := from; i < to; i++ {
		s = append(s, fmt.Sprint(i))
	}
	return s
}

func part(topic string, p int) record.TopicPartition {
	return record.TopicPartition{Topic: topic, Partition: int32(p)}
}

func TestFetchReadsAll(t *testing.T) {
	for codec, compress := range map[Codec]kgo.CompressionCodec{
		None: kgo.NoCompression(), Gzip: kgo.GzipCompression(), Snappy: kgo.SnappyCompression(),
		LZ4: kgo.Lz4Compression(), Zstd: kgo.ZstdCompression(),
	} {
		t.Run(codec.String(), func(t *testing.T) {
			f := startFake(t, 3, kfake.SeedTopics(6, "in"))
			w := f.writer(t, kgo.ProducerBatchCompression(compress))
			write(t, w, "in", 6, 0, 500)
			r := newReceiver(t)
			fetch := startFetcher(t, f.client, FetchConfig{PartitionBytes: 4 << 10}, r.deliver)
			for p := range 6 {
				fetch.Add(part("in", p), 0)
			}
			r.wait("the first half", func() bool { return r.total() == 3000 })
			write(t, w, "in", 6, 500, 500)
			r.wait("the second half", func() bool { return r.total() == 6000 })
			for p := range 6 {
				if got := r.values[part("in", p)]; !slices.Equal(got, numbers(0, 1000)) {
					t.Errorf("in/%d: %v", p, got)
				}
				if last := r.last[part("in", p)]; last.Next != 1000 || last.HighWatermark != 1000 || last.LogStart != 0 {
					t.Errorf("in/%d: %+v", p, last)
				}
			}
		})
	}
}

func TestFetchStartsInsideABatch(t *testing.T) {
	f := startFake(t, 1, kfake.SeedTopics(1, "in"))
	write(t, f.writer(t), "in", 1, 0, 100)
	r := newReceiver(t)
	startFetcher(t, f.client, FetchConfig{}, r.deliver).Add(part("in", 0), 42)
	r.wait("the rest", func() bool { return r.total() == 58 })
	if got := r.values[part("in", 0)]; !slices.Equal(got, numbers(42, 100)) {
		t.Error(got)
	}
}

// An empty partition is reported too: a restore has to learn that there is nothing.
func TestFetchTellsThatAPartitionIsEmpty(t *testing.T) {
	f := startFake(t, 1, kfake.SeedTopics(1, "in"))
	r := newReceiver(t)
	startFetcher(t, f.client, FetchConfig{MaxWait: 10 * time.Millisecond}, r.deliver).Add(part("in", 0), 0)
	r.wait("the watermark", func() bool { l, ok := r.last[part("in", 0)]; return ok && l.HighWatermark == 0 && l.Next == 0 })
}

func TestFetchReadCommitted(t *testing.T) {
	f := startFake(t, 1, kfake.SeedTopics(1, "in"))
	w := f.writer(t, kgo.TransactionalID("tx"))
	txn := func(commit kgo.TransactionEndTry, values ...string) {
		t.Helper()
		if err := w.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			if err := w.ProduceSync(t.Context(), &kgo.Record{Topic: "in", Value: []byte(v)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.EndTransaction(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
	}
	txn(kgo.TryCommit, "a", "b")
	txn(kgo.TryAbort, "x", "y")
	txn(kgo.TryCommit, "c")
	txn(kgo.TryAbort, "z")
	end := f.PartitionInfo("in", 0).HighWatermark
	for committed, want := range map[bool][]string{
		true: {"a", "b", "c"}, false: {"a", "b", "x", "y", "c", "z"},
	} {
		r := newReceiver(t)
		startFetcher(t, f.client, FetchConfig{ReadCommitted: committed}, r.deliver).Add(part("in", 0), 0)
		r.wait("the end, markers included", func() bool { return r.next[part("in", 0)] == end })
		if got := r.values[part("in", 0)]; !slices.Equal(got, want) {
			t.Errorf("committed %v: %v, want %v", committed, got, want)
		}
	}
}

func TestFetchFollowsLeaders(t *testing.T) {
	f := startFake(t, 3, kfake.SeedTopics(3, "in"))
	w := f.writer(t)
	r := newReceiver(t)
	fetch := startFetcher(t, f.client, FetchConfig{}, r.deliver)
	for p := range 3 {
		fetch.Add(part("in", p), 0)
	}
	for round := range 8 {
		write(t, w, "in", 3, round*50, 50)
		for p := range 3 {
			if err := f.MoveTopicPartition("in", int32(p), int32((round+p)%3)); err != nil {
				t.Fatal(err)
			}
		}
		write(t, w, "in", 3, 400+round*50, 50) // other numbers, so that nothing can be mistaken
		r.wait("the round", func() bool { return r.total() == (round+1)*300 })
	}
}

func TestFetchSurvivesCutConnections(t *testing.T) {
	f := startFake(t, 2, kfake.SeedTopics(4, "in"))
	w := f.writer(t)
	r := newReceiver(t)
	fetch := startFetcher(t, f.client, FetchConfig{PartitionBytes: 1 << 10}, r.deliver)
	for p := range 4 {
		fetch.Add(part("in", p), 0)
	}
	for round := range 6 {
		write(t, w, "in", 4, round*100, 100)
		f.net.Cut("")
		r.wait("the round", func() bool { return r.total() == (round+1)*400 })
	}
	for p := range 4 {
		if got := r.values[part("in", p)]; !slices.Equal(got, numbers(0, 600)) {
			t.Errorf("in/%d: %v", p, got)
		}
	}
}

// Every code either passes or stops the partition with a typed error, and then only that partition.
func TestFetchErrorCodes(t *testing.T) {
	for code, stops := range map[int16]bool{
		-1: false, 3: false, 5: false, 6: false, 7: false, 9: false, 56: false, 74: false, 75: false, 78: false,
		2: true, 4: true, 29: true, 76: true,
	} {
		t.Run(Code(code).String(), func(t *testing.T) {
			f := startFake(t, 1, kfake.SeedTopics(2, "in"))
			times := 2
			f.ControlKey(fetchKey, func(req kmsg.Request) (kmsg.Response, error, bool) {
				q := req.(*kmsg.FetchRequest)
				if len(q.Topics) == 0 || times == 0 {
					f.KeepControl()
					return nil, nil, false
				}
				f.KeepControl()
				var res *kmsg.FetchResponse
				for _, topic := range q.Topics {
					for _, p := range topic.Partitions {
						if p.Partition == 0 {
							times--
							res = q.ResponseKind().(*kmsg.FetchResponse)
							rt := kmsg.NewFetchResponseTopic()
							rt.Topic = topic.Topic
							rp := kmsg.NewFetchResponseTopicPartition()
							rp.Partition, rp.ErrorCode, rp.HighWatermark = 0, code, -1
							rt.Partitions = append(rt.Partitions, rp)
							res.Topics = append(res.Topics, rt)
						}
					}
				}
				return res, nil, res != nil
			})
			write(t, f.writer(t), "in", 2, 0, 10)
			r := newReceiver(t)
			fetch := startFetcher(t, f.client, FetchConfig{}, r.deliver)
			fetch.Add(part("in", 0), 0)
			fetch.Add(part("in", 1), 0)
			want := map[bool]int{true: 10, false: 20}[stops]
			r.wait("the records", func() bool { return r.total() == want && (len(r.errs) > 0) == stops })
			if !stops {
				return
			}
			var fe *FetchError
			if err := r.errs[part("in", 0)]; !errors.As(err, &fe) || !errors.Is(err, Code(code)) || fe.At.Offset != 0 {
				t.Errorf("%v (%T)", err, err)
			}
		})
	}
}

func TestFetchOffsetOutOfRange(t *testing.T) {
	f := startFake(t, 1, kfake.SeedTopics(2, "in"))
	write(t, f.writer(t), "in", 2, 0, 10)
	r := newReceiver(t)
	fetch := startFetcher(t, f.client, FetchConfig{}, r.deliver)
	bad, good := part("in", 0), part("in", 1)
	fetch.Add(bad, 11)
	fetch.Add(good, 0)
	r.wait("an error", func() bool { return r.errs[bad] != nil && r.next[good] == 10 })
	var oor *OffsetOutOfRangeError
	if !errors.As(r.errs[bad], &oor) || oor.Offset != 11 || oor.TopicPartition != bad {
		t.Fatal(r.errs[bad])
	}
	r.forget(bad)
	fetch.Add(bad, 4)
	r.wait("the rest", func() bool { return len(r.values[bad]) == 6 })
}

// A resumed partition is asked at once, though a poll that waits for another one has long to go.
func TestFetchResumeDoesNotWait(t *testing.T) {
	f := startFake(t, 1, kfake.SeedTopics(2, "in"))
	w := f.writer(t)
	r := newReceiver(t)
	polls := make(chan int, 100) // number of partitions in each
	f.ControlKey(fetchKey, func(req kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		n := 0
		for _, t := range req.(*kmsg.FetchRequest).Topics {
			n += len(t.Partitions)
		}
		polls <- n
		return nil, nil, false
	})
	fetch := startFetcher(t, f.client, FetchConfig{MaxWait: 15 * time.Second}, r.deliver)
	idle, busy := part("in", 0), part("in", 1)
	fetch.Add(busy, 0)
	<-polls // waits for busy
	fetch.Pause(busy)
	write(t, w, "in", 2, 0, 10) // ends that poll
	// The producer may have sent them in several batches, of which the poll has met the first ones.
	r.wait("the answer under way", func() bool { return r.total() > 0 })
	fetch.Add(idle, 10)
	<-polls // waits for idle
	if err := w.ProduceSync(t.Context(), &kgo.Record{Topic: "in", Partition: 1, Value: []byte("10")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	fetch.Resume(busy)
	r.wait("the resumed partition", func() bool { return len(r.values[busy]) == 11 })
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestFetchRemoveIsSynchronous(t *testing.T) {
	f := startFake(t, 1, kfake.SeedTopics(1, "in"))
	w := f.writer(t)
	write(t, w, "in", 1, 0, 2000)
	tp := part("in", 0)
	removed := false
	var mu sync.Mutex
	got := make(chan struct{}, 1)
	fetch := startFetcher(t, f.client, FetchConfig{PartitionBytes: 512}, func(list []Fetched) {
		mu.Lock()
		defer mu.Unlock()
		if removed {
			t.Error("delivered after Remove")
		}
		for _, fd := range list {
			for _, b := range fd.Batches {
				b.Release()
			}
		}
		kick(got)
	})
	for range 50 {
		fetch.Add(tp, 0)
		<-got
		fetch.Remove(tp)
		mu.Lock()
		removed = true
		mu.Unlock()
		fetch.Pause(tp) // no harm
		fetch.Resume(tp)
		mu.Lock()
		removed = false
		select {
		case <-got:
		default:
		}
		mu.Unlock()
	}
}

// An answer that makes no sense is tried again, not for ever.
func TestFetchMalformedAnswers(t *testing.T) {
	f := startFake(t, 1, kfake.SeedTopics(1, "in"))
	f.ControlKey(fetchKey, func(req kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		res := req.ResponseKind().(*kmsg.FetchResponse)
		rt := kmsg.NewFetchResponseTopic()
		rt.Topic = "never-asked"
		rt.Partitions = append(rt.Partitions, kmsg.NewFetchResponseTopicPartition())
		res.Topics = append(res.Topics, rt)
		return res, nil, true
	})
	r := newReceiver(t)
	startFetcher(t, f.client, FetchConfig{}, r.deliver).Add(part("in", 0), 3)
	r.wait("an error", func() bool { return len(r.errs) > 0 })
	var fe *FetchError
	if err := r.errs[part("in", 0)]; !errors.As(err, &fe) || !errors.Is(err, errFetchAnswer) || fe.At.Offset != 3 {
		t.Error(err)
	}
}
