package kafka

import (
	"context"
	"sync"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Isolation says which records count.
type Isolation int8

const (
	ReadUncommitted Isolation = 0
	ReadCommitted   Isolation = 1
)

// Instead of a time, [Client.ListOffsets] takes one of these.
const (
	LatestOffset   int64 = -1 // the high watermark, or the last stable offset under ReadCommitted
	EarliestOffset int64 = -2 // the log start
)

// OffsetResult is the answer for a partition. A time after the newest record gives Offset −1.
type OffsetResult struct {
	Offset      int64
	Time        int64 // of the record found by time; −1 else
	LeaderEpoch int32
	Err         error
}

// ListOffsets finds, for each partition, the first offset whose record has at least the given time (ms), or an end of
// the log. It sends one request per broker and repeats what may be repeated until ctx ends (2 × RequestTimeout without
// a deadline). Every partition is in the answer; the error is that of the first partition that has one.
func (c *Client) ListOffsets(ctx context.Context, at map[record.TopicPartition]int64, iso Isolation) (map[record.TopicPartition]OffsetResult, error) {
	tps := make([]record.TopicPartition, 0, len(at))
	for tp := range at {
		tps = append(tps, tp)
	}
	var mu sync.Mutex
	out := make(map[record.TopicPartition]OffsetResult, len(at))
	failed := c.eachLeader(ctx, tps, func(ctx context.Context, node int32, parts []led) map[record.TopicPartition]error {
		res, errs := c.listOffsets(ctx, node, parts, at, iso)
		mu.Lock()
		defer mu.Unlock()
		for tp, r := range res {
			out[tp] = r
		}
		return errs
	})
	for tp, err := range failed {
		out[tp] = OffsetResult{Offset: -1, Time: -1, LeaderEpoch: -1, Err: err}
	}
	return out, firstError(failed)
}

func (c *Client) listOffsets(ctx context.Context, node int32, parts []led, at map[record.TopicPartition]int64, iso Isolation) (map[record.TopicPartition]OffsetResult, map[record.TopicPartition]error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.IsolationLevel = int8(iso)
	byTopic(parts, func(topic string, parts []led) {
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = topic
		for _, p := range parts {
			rp := kmsg.NewListOffsetsRequestTopicPartition()
			rp.Partition, rp.CurrentLeaderEpoch, rp.Timestamp = p.Partition, p.epoch, at[p.TopicPartition]
			t.Partitions = append(t.Partitions, rp)
		}
		req.Topics = append(req.Topics, t)
	})
	res, err := ask[*kmsg.ListOffsetsResponse](ctx, c, node, req)
	if err != nil {
		return nil, allFailed(parts, err)
	}
	errs := allFailed(parts, &ConnError{API: req.Key(), Node: node, Sent: true, Err: errLeftOut})
	out := map[record.TopicPartition]OffsetResult{}
	for _, t := range res.Topics {
		for _, p := range t.Partitions {
			tp := record.TopicPartition{Topic: t.Topic, Partition: p.Partition}
			if _, asked := errs[tp]; !asked {
				continue
			}
			errs[tp] = brokerErr(req.Key(), node, p.ErrorCode, nil, tp.String())
			out[tp] = OffsetResult{Offset: p.Offset, Time: p.Timestamp, LeaderEpoch: p.LeaderEpoch}
		}
	}
	return out, errs
}
