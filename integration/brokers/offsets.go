package brokers

import (
	"context"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Special timestamps of ListOffsets.
const (
	latest   = -1
	earliest = -2
)

// Ends are the offsets behind the last record of each partition of a topic.
func (c *Cluster) Ends(t testing.TB, topic string) map[int32]int64 {
	t.Helper()
	ctx, cancel := deadline(t)
	defer cancel()
	return c.ends(ctx, t, topic, kgo.ReadUncommitted())
}

func (c *Cluster) ends(ctx context.Context, t testing.TB, topic string, isolation kgo.IsolationLevel) (ends map[int32]int64) {
	t.Helper()
	err := retry(ctx, func() (err error) {
		ends, err = c.listOffsets(ctx, topic, latest, isolation)
		return err
	})
	if err != nil {
		t.Fatalf("brokers: ends of %s: %v", topic, err)
	}
	return ends
}

// Committed is an offset that a group committed.
type Committed struct {
	Offset   int64
	Metadata string
}

// GroupOffsets are what a group has committed, by topic and partition, read with require_stable: offsets of a
// transaction that is being decided are waited for.
func (c *Cluster) GroupOffsets(t testing.TB, group string) map[string]map[int32]Committed {
	t.Helper()
	ctx, cancel := deadline(t)
	defer cancel()
	var offsets map[string]map[int32]Committed
	c.await(t, "stable offsets of group "+group, func() bool {
		var err error
		if offsets, err = c.groupOffsets(ctx, group); permanent(err) != nil {
			t.Fatalf("brokers: offsets of group %s: %v", group, err)
		}
		return err == nil
	})
	return offsets
}

func (c *Cluster) groupOffsets(ctx context.Context, group string) (map[string]map[int32]Committed, error) {
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = group
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group, req.Groups, req.RequireStable = group, append(req.Groups, g), true
	resp, err := req.RequestWith(ctx, c.client)
	if err != nil {
		return nil, err
	}
	if len(resp.Groups) != 1 {
		return nil, fmt.Errorf("%d groups in the answer", len(resp.Groups))
	}
	if err := kerr.ErrorForCode(resp.Groups[0].ErrorCode); err != nil {
		return nil, err
	}
	offsets := map[string]map[int32]Committed{}
	for _, topic := range resp.Groups[0].Topics {
		for _, p := range topic.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return nil, fmt.Errorf("%s/%d: %w", topic.Topic, p.Partition, err)
			}
			if offsets[topic.Topic] == nil {
				offsets[topic.Topic] = map[int32]Committed{}
			}
			offsets[topic.Topic][p.Partition] = Committed{p.Offset, unptr(p.Metadata)}
		}
	}
	return offsets, nil
}

// Group is what the coordinator says of a group.
type Group struct {
	State    string // Stable, PreparingRebalance, CompletingRebalance, Empty, Dead
	Members  int
	Protocol string
}

// DescribeGroup asks for a group; one that does not exist is Dead.
func (c *Cluster) DescribeGroup(t testing.TB, group string) Group {
	t.Helper()
	ctx, cancel := deadline(t)
	defer cancel()
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = append(req.Groups, group)
	var described Group
	c.await(t, "the coordinator of group "+group, func() bool {
		resp, err := req.RequestWith(ctx, c.client)
		if err == nil {
			err = kerr.ErrorForCode(resp.Groups[0].ErrorCode)
		}
		switch {
		case err == nil:
			g := resp.Groups[0]
			described = Group{g.State, len(g.Members), g.Protocol}
			return true
		case err == kerr.GroupIDNotFound: // from version 6 on; before, a group with the state Dead
			described = Group{State: "Dead"}
			return true
		case permanent(err) != nil:
			t.Fatalf("brokers: describe group %s: %v", group, err)
		}
		return false
	})
	return described
}

// listOffsets asks for one offset of each partition of a topic, at a time or a special timestamp.
func (c *Cluster) listOffsets(ctx context.Context, topic string, at int64, isolation kgo.IsolationLevel) (map[int32]int64, error) {
	_, leaders, err := c.leaders(ctx, topic)
	if err != nil {
		return nil, err
	}
	req := kmsg.NewPtrListOffsetsRequest()
	if isolation == kgo.ReadCommitted() {
		req.IsolationLevel = 1
	}
	asked := kmsg.NewListOffsetsRequestTopic()
	asked.Topic = topic
	for p := range leaders {
		partition := kmsg.NewListOffsetsRequestTopicPartition()
		partition.Partition, partition.Timestamp = p, at
		asked.Partitions = append(asked.Partitions, partition)
	}
	req.Topics = append(req.Topics, asked)
	resp, err := req.RequestWith(ctx, c.client)
	if err != nil {
		return nil, err
	}
	offsets := map[int32]int64{}
	for _, got := range resp.Topics {
		for _, p := range got.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return nil, fmt.Errorf("%s/%d: %w", topic, p.Partition, err)
			}
			offsets[p.Partition] = p.Offset
		}
	}
	return offsets, nil
}

// leaders returns a topic's id and the leader of each of its partitions; it is an error if one has none.
func (c *Cluster) leaders(ctx context.Context, topic string) (id [16]byte, leaders map[int32]int32, err error) {
	asked := kmsg.NewMetadataRequestTopic()
	asked.Topic = kmsg.StringPtr(topic)
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = append(req.Topics, asked)
	resp, err := req.RequestWith(ctx, c.client)
	if err != nil {
		return id, nil, err
	}
	if err := kerr.ErrorForCode(resp.Topics[0].ErrorCode); err != nil {
		return id, nil, fmt.Errorf("%s: %w", topic, err)
	}
	leaders = map[int32]int32{}
	for _, p := range resp.Topics[0].Partitions {
		if p.Leader < 0 {
			return id, nil, fmt.Errorf("%s/%d: %w", topic, p.Partition, kerr.LeaderNotAvailable)
		}
		leaders[p.Partition] = p.Leader
	}
	return resp.Topics[0].TopicID, leaders, nil
}
