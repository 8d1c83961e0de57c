package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// cannedBroker stands in for a client: it answers fetch requests from logs whose bytes a test has chosen.
type cannedBroker struct {
	fetchVersion int16
	whole        bool // a batch larger than the limit comes whole, as the first of an answer
	latency      time.Duration

	mu    sync.Mutex
	logs  map[record.TopicPartition][]cannedBatch
	high  map[record.TopicPartition]int64
	abort map[record.TopicPartition][]kmsg.FetchResponseTopicPartitionAbortedTransaction
	polls []*kmsg.FetchRequest
	more  chan struct{} // closed when data is added
}

// cannedBatch is stored bytes, and the last offset by which a broker finds them.
type cannedBatch struct {
	last int64
	raw  []byte
}

func newCannedBroker(version int16) *cannedBroker {
	return &cannedBroker{
		fetchVersion: version, whole: true,
		logs:  map[record.TopicPartition][]cannedBatch{},
		high:  map[record.TopicPartition]int64{},
		abort: map[record.TopicPartition][]kmsg.FetchResponseTopicPartitionAbortedTransaction{},
		more:  make(chan struct{}),
	}
}

func (c *cannedBroker) put(tp record.TopicPartition, batches ...cannedBatch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range batches {
		c.logs[tp] = append(c.logs[tp], b)
		c.high[tp] = b.last + 1
	}
	close(c.more)
	c.more = make(chan struct{})
}

func (c *cannedBroker) version(context.Context, int32, int16, int16) (int16, error) {
	return c.fetchVersion, nil
}
func (c *cannedBroker) leader(context.Context, record.TopicPartition) (Leader, error) {
	return Leader{Node: 1, Epoch: 7}, nil
}
func (c *cannedBroker) Refresh(context.Context, ...string) error { return nil }

func (c *cannedBroker) exchangeRaw(ctx context.Context, _ int32, _, version int16, _ bool, body [][]byte, alloc func(int) ([]byte, error)) ([]byte, error) {
	q := kmsg.NewPtrFetchRequest()
	q.SetVersion(version)
	if err := q.ReadFrom(slices.Concat(body...)); err != nil {
		return nil, err
	}
	if c.latency > 0 {
		select {
		case <-time.After(c.latency): // virtual
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	wait := time.NewTimer(time.Duration(q.MaxWaitMillis) * time.Millisecond)
	defer wait.Stop()
	for timeout := false; ; {
		c.mu.Lock()
		res, some := c.answer(q)
		more := c.more
		c.mu.Unlock()
		if some || timeout {
			return copyTo(res.AppendTo(nil), alloc)
		}
		select {
		case <-more:
		case <-wait.C:
			timeout = true
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func copyTo(answer []byte, alloc func(int) ([]byte, error)) ([]byte, error) {
	b, err := alloc(len(answer))
	if err != nil {
		return nil, err
	}
	return b[:copy(b, answer)], nil
}

// answer is a broker's: from the batch that holds the offset on, up to the limits, cut inside a batch.
func (c *cannedBroker) answer(q *kmsg.FetchRequest) (res *kmsg.FetchResponse, some bool) {
	c.polls = append(c.polls, q)
	res = q.ResponseKind().(*kmsg.FetchResponse)
	for _, t := range q.Topics {
		rt := kmsg.NewFetchResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			tp := record.TopicPartition{Topic: t.Topic, Partition: p.Partition}
			rp := kmsg.NewFetchResponseTopicPartition()
			rp.Partition, rp.HighWatermark, rp.LastStableOffset = p.Partition, c.high[tp], c.high[tp]
			rp.AbortedTransactions = c.abort[tp]
			if p.CurrentLeaderEpoch != 7 && q.Version >= 9 {
				rp.ErrorCode = 74
			}
			for _, b := range c.logs[tp] {
				if b.last >= p.FetchOffset {
					rp.RecordBatches = append(rp.RecordBatches, b.raw...)
				}
			}
			if limit := int(p.PartitionMaxBytes); len(rp.RecordBatches) > limit {
				first := 12 + int(binary.BigEndian.Uint32(rp.RecordBatches[8:]))
				switch {
				case first <= limit:
					rp.RecordBatches = rp.RecordBatches[:limit]
				case c.whole && !some:
					rp.RecordBatches = rp.RecordBatches[:first]
				case c.whole:
					rp.RecordBatches = nil
				default:
					rp.RecordBatches = rp.RecordBatches[:limit]
				}
			}
			some = some || len(rp.RecordBatches) > 0 || rp.ErrorCode != 0
			rp.UnknownTags.Set(77, []byte("a tag of tomorrow"))
			rt.Partitions = append(rt.Partitions, rp)
		}
		res.Topics = append(res.Topics, rt)
	}
	return res, some
}

// canned makes a batch of values; lastDelta may lie beyond them, as compaction leaves it.
func canned(codec Codec, base, lastDelta int64, attributes int16, producer int64, values ...string) cannedBatch {
	var b Builder
	for _, v := range values {
		if _, err := b.Append(1, nil, []byte(v), record.Headers{}); err != nil {
			panic(err)
		}
	}
	var raw []byte
	if len(values) == 0 {
		raw = make([]byte, headerSize)
		raw[atMagic] = 2
		binary.BigEndian.PutUint32(raw[atLength:], headerSize-lengthOverhead)
		binary.BigEndian.PutUint64(raw[atBaseTime:], 1<<64-1)
	} else {
		o, err := b.Seal(codec)
		if err != nil {
			panic(err)
		}
		raw = wireOf(o, base)
	}
	binary.BigEndian.PutUint64(raw[atBaseOffset:], uint64(base))
	binary.BigEndian.PutUint32(raw[atLastDelta:], uint32(lastDelta))
	binary.BigEndian.PutUint64(raw[atProducerID:], uint64(producer))
	raw[atAttributes+1] |= byte(attributes)
	binary.BigEndian.PutUint32(raw[atCRC:], crc32.Checksum(raw[atAttributes:], castagnoli))
	return cannedBatch{base + lastDelta, raw}
}

// marker makes a control batch: the end of a transaction.
func marker(offset, producer int64, commit bool) cannedBatch {
	var b Builder
	key := []byte{0, 0, 0, 0}
	if commit {
		key[3] = 1
	}
	if _, err := b.Append(1, key, make([]byte, 6), record.Headers{}); err != nil {
		panic(err)
	}
	o, err := b.Seal(None)
	if err != nil {
		panic(err)
	}
	raw := wireOf(o, offset)
	binary.BigEndian.PutUint64(raw[atProducerID:], uint64(producer))
	raw[atAttributes+1] |= attrControl | attrTransactional
	binary.BigEndian.PutUint32(raw[atCRC:], crc32.Checksum(raw[atAttributes:], castagnoli))
	return cannedBatch{offset, raw}
}

func startCanned(t testing.TB, c *cannedBroker, cfg FetchConfig, deliver func([]Fetched)) *Fetcher {
	t.Helper()
	f := newFetcher(c, cfg, 10*time.Second, deliver)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return f
}

// The shapes a cleaner leaves behind, in every version of the request.
func TestFetchCompactedLog(t *testing.T) {
	for version := int16(fetchMinVersion); version <= fetchMaxVersion; version++ {
		for _, codec := range []Codec{None, LZ4} {
			t.Run(fmt.Sprintf("v%d %s", version, codec), func(t *testing.T) {
				c := newCannedBroker(version)
				tp, other := part("log", 0), part("log2", 5)
				c.put(tp,
					canned(codec, 0, 3, 0, -1, "a", "b"),              // tail compacted away
					canned(codec, 4, 2, 0, 9),                         // empty, several in a row
					canned(codec, 7, 5, 0, 10),                        //
					canned(codec, 20, 0, attrDeleteHorizon, -1, "c"),  // after a gap
					marker(21, 9, true),                               // alone
					canned(codec, 22, 1, attrTransactional, 9, "d"),   //
					marker(24, 9, true), canned(codec, 25, 99, 0, 12), // ends in an empty one
				)
				c.put(other, canned(codec, 0, 0, 0, -1, "z"))
				for _, limit := range []int32{1, 100, 200, 1 << 20} {
					r := newReceiver(t)
					f := startCanned(t, c, FetchConfig{PartitionBytes: limit, ReadCommitted: true, MaxWait: 20 * time.Millisecond}, r.deliver)
					f.Add(tp, 0)
					f.Add(other, 0)
					r.wait("the end", func() bool { return r.next[tp] == 125 && r.next[other] == 1 })
					if got := r.values[tp]; !slices.Equal(got, []string{"a", "b", "c", "d"}) {
						t.Errorf("limit %d: %q", limit, got)
					}
				}
			})
		}
	}
}

func TestFetchAbortedData(t *testing.T) {
	tp := part("log", 0)
	c := newCannedBroker(fetchMaxVersion)
	c.put(tp,
		canned(None, 0, 0, attrTransactional, 1, "no"),
		canned(None, 1, 0, attrTransactional, 2, "yes"),
		marker(2, 1, false),
		canned(None, 3, 0, attrTransactional, 1, "again"),
		marker(4, 2, true), marker(5, 1, true),
	)
	aborted := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
	aborted.ProducerID, aborted.FirstOffset = 1, 0
	c.abort[tp] = append(c.abort[tp], aborted)
	r := newReceiver(t)
	startCanned(t, c, FetchConfig{ReadCommitted: true}, r.deliver).Add(tp, 0)
	r.wait("the end", func() bool { return r.next[tp] == 6 })
	if got := r.values[tp]; !slices.Equal(got, []string{"yes", "again"}) {
		t.Error(got)
	}
}

// A partition whose next batch exceeds the limit gets it, also while others have data all the time, and on brokers that
// cut the batch off.
func TestFetchOversizedBatch(t *testing.T) {
	for _, whole := range []bool{true, false} {
		c := newCannedBroker(fetchMaxVersion)
		c.whole = whole
		big, small := part("big", 0), part("small", 0)
		c.put(big, canned(None, 0, 0, 0, -1, string(make([]byte, 100_000))))
		for i := range int64(200) {
			c.put(small, canned(None, i, 0, 0, -1, "s"))
		}
		r := newReceiver(t)
		f := startCanned(t, c, FetchConfig{PartitionBytes: 200, BrokerBytes: 400, MaxWait: 50 * time.Millisecond}, r.deliver)
		f.Add(small, 0)
		f.Add(big, 0)
		r.wait("both", func() bool { return r.next[big] == 1 && r.next[small] == 200 })
	}
}

// Damage stops its partition with its coordinates, after what is good before it; others go on, and so does the
// partition when it is added behind the damage.
func TestFetchCorruptBatch(t *testing.T) {
	bad, good := part("log", 0), part("log", 1)
	c := newCannedBroker(fetchMaxVersion)
	damaged := canned(None, 2, 0, 0, -1, "bad")
	damaged.raw[len(damaged.raw)-2] ^= 1
	c.put(bad, canned(None, 0, 1, 0, -1, "a", "b"), damaged, canned(None, 3, 0, 0, -1, "c"))
	c.put(good, canned(None, 0, 0, 0, -1, "x"))
	r := newReceiver(t)
	f := startCanned(t, c, FetchConfig{MaxWait: 10 * time.Millisecond}, r.deliver)
	f.Add(bad, 0)
	f.Add(good, 0)
	r.wait("the error", func() bool { return r.errs[bad] != nil && r.next[good] == 1 })
	var ce *CorruptError
	if !errors.As(r.errs[bad], &ce) || ce.At.Offset != 2 || ce.At.TopicPartition != bad {
		t.Fatal(r.errs[bad])
	}
	if !slices.Equal(r.values[bad], []string{"a", "b"}) || r.next[bad] != 2 {
		t.Fatal(r.values[bad], r.next[bad])
	}
	c.put(good, canned(None, 1, 0, 0, -1, "y"))
	r.wait("the other one", func() bool { return r.next[good] == 2 })
	r.forget(bad)
	f.Add(bad, 3)
	r.wait("what follows", func() bool { return r.next[bad] == 4 })
}

func TestFetchBrokerTooOld(t *testing.T) {
	c := newCannedBroker(3)
	r := newReceiver(t)
	startCanned(t, c, FetchConfig{}, r.deliver).Add(part("in", 0), 0)
	r.wait("the error", func() bool { return errors.Is(r.errs[part("in", 0)], errFetchVersion) })
}

// eventually looks until it sees, and gives up in the end.
func eventually(t testing.TB, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	timeout := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatal("it never happened")
		}
	}
}
