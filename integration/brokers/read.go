package brokers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Read returns all records of a topic, also those of open and aborted transactions.
func (c *Cluster) Read(t testing.TB, topic string) []*kgo.Record {
	t.Helper()
	return c.readToEnd(t, topic, kgo.ReadUncommitted())
}

// ReadCommitted returns all records of a topic that a read-committed reader sees now.
func (c *Cluster) ReadCommitted(t testing.TB, topic string) []*kgo.Record {
	t.Helper()
	return c.readToEnd(t, topic, kgo.ReadCommitted())
}

func (c *Cluster) readToEnd(t testing.TB, topic string, isolation kgo.IsolationLevel) []*kgo.Record {
	t.Helper()
	ctx, cancel := deadline(t)
	defer cancel()
	ends := c.ends(ctx, t, topic, isolation)
	r := newReader(c, topic, isolation)
	for {
		behind := false
		for partition, end := range ends {
			behind = behind || r.next[partition] < end
		}
		if !behind {
			break
		}
		if err := retry(ctx, func() error { return r.fetch(ctx, ends) }); err != nil {
			t.Fatalf("brokers: read %s: %d records so far, next %v of %v: %v", topic, len(r.records), r.next, ends, err)
		}
	}
	return r.sorted(ends)
}

// Await reads a topic from its start, as a read-committed reader, and returns what it read when done says that it is
// enough.
func (c *Cluster) Await(t testing.TB, topic string, done func(records []*kgo.Record) bool) []*kgo.Record {
	t.Helper()
	ctx, cancel := deadline(t)
	defer cancel()
	r := newReader(c, topic, kgo.ReadCommitted())
	for !done(r.records) {
		if err := retry(ctx, func() error { return r.fetch(ctx, nil) }); err != nil {
			t.Fatalf("brokers: await %s: %d records so far, next %v: %v", topic, len(r.records), r.next, err)
		}
	}
	return r.sorted(nil)
}

// Count is for [Cluster.Await]: n records, or more.
func Count(n int) func([]*kgo.Record) bool {
	return func(records []*kgo.Record) bool { return len(records) >= n }
}

// LastIs is for [Cluster.Await]: the last value of each key is want.
func LastIs(want map[string]string) func([]*kgo.Record) bool {
	return func(records []*kgo.Record) bool { return maps.Equal(Last(records), want) }
}

// Last folds records, in the order they have, to the last value of each key; a null value removes its key.
func Last(records []*kgo.Record) map[string]string {
	last := map[string]string{}
	for _, r := range records {
		if r.Value == nil {
			delete(last, string(r.Key))
		} else {
			last[string(r.Key)] = string(r.Value)
		}
	}
	return last
}

// reader fetches one topic, partition by partition, and knows its position even where there are no records: behind
// markers, aborted transactions and compacted batches.
type reader struct {
	cluster      *Cluster
	topic        string
	isolation    kgo.IsolationLevel
	next         map[int32]int64 // by partition; absent: not begun
	records      []*kgo.Record
	decompressor kgo.Decompressor
}

func newReader(c *Cluster, topic string, isolation kgo.IsolationLevel) *reader {
	return &reader{
		cluster: c, topic: topic, isolation: isolation,
		next: map[int32]int64{}, decompressor: kgo.DefaultDecompressor(),
	}
}

// sorted returns the records below ends by partition and offset.
func (r *reader) sorted(ends map[int32]int64) []*kgo.Record {
	records := r.records
	if ends != nil {
		records = slices.DeleteFunc(records, func(rec *kgo.Record) bool { return rec.Offset >= ends[rec.Partition] })
	}
	slices.SortStableFunc(records, func(a, b *kgo.Record) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	return records
}

// fetch asks each leader once, waiting a little for records, for the partitions that are not at their ends (nil: all).
func (r *reader) fetch(ctx context.Context, ends map[int32]int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	id, leaders, err := r.cluster.leaders(ctx, r.topic)
	if err != nil {
		return err
	}
	if len(r.next) < len(leaders) {
		if r.next, err = r.cluster.listOffsets(ctx, r.topic, earliest, kgo.ReadUncommitted()); err != nil {
			return err
		}
		r.records = nil // a partition was added: begin again
	}
	byLeader := map[int32][]int32{}
	for partition, leader := range leaders {
		if end, bounded := ends[partition]; ends == nil || bounded && r.next[partition] < end {
			byLeader[leader] = append(byLeader[leader], partition)
		}
	}
	for leader, partitions := range byLeader {
		resp, err := r.cluster.client.Broker(int(leader)).RetriableRequest(ctx, r.request(id, partitions))
		if err != nil {
			return err
		}
		if err := r.take(ctx, resp.(*kmsg.FetchResponse)); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) request(id [16]byte, partitions []int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 100, 1, 16<<20
	if r.isolation == kgo.ReadCommitted() {
		req.IsolationLevel = 1
	}
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.TopicID = r.topic, id
	for _, p := range partitions {
		partition := kmsg.NewFetchRequestTopicPartition()
		partition.Partition, partition.FetchOffset, partition.PartitionMaxBytes = p, r.next[p], 4<<20
		topic.Partitions = append(topic.Partitions, partition)
	}
	req.Topics = append(req.Topics, topic)
	return req
}

// take adds the records of an answer and moves the positions. Of several errors it returns one.
func (r *reader) take(ctx context.Context, resp *kmsg.FetchResponse) error {
	failed := kerr.ErrorForCode(resp.ErrorCode)
	for _, topic := range resp.Topics {
		for i := range topic.Partitions {
			p := &topic.Partitions[i]
			if p.ErrorCode == kerr.OffsetOutOfRange.Code { // deleted while it was read: go on where records are left
				starts, err := r.cluster.listOffsets(ctx, r.topic, earliest, kgo.ReadUncommitted())
				if err != nil {
					return err
				}
				r.next[p.Partition] = starts[p.Partition]
				continue
			}
			fetched, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
				Offset: r.next[p.Partition], IsolationLevel: r.isolation, Topic: r.topic, Partition: p.Partition,
			}, p, r.decompressor, nil)
			if fetched.Err != nil {
				failed = fmt.Errorf("%s/%d@%d: %w", r.topic, p.Partition, r.next[p.Partition], fetched.Err)
				continue
			}
			r.records = append(r.records, fetched.Records...)
			r.next[p.Partition] = next
		}
	}
	return failed
}

// permanent returns nil for an error that passes by itself while a cluster moves, and err for any other.
func permanent(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return err
	}
	if broker := (*kerr.Error)(nil); errors.As(err, &broker) && !broker.Retriable {
		return err
	}
	return nil
}

// retry does try again, with a pause, as long as its error is one that passes.
func retry(ctx context.Context, try func() error) error {
	for {
		err := try()
		if err == nil || permanent(err) != nil {
			return err
		}
		pause := time.NewTimer(20 * time.Millisecond)
		select {
		case <-ctx.Done():
			pause.Stop()
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-pause.C:
		}
	}
}
