package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Offset is a committed offset: that of the next record to be processed, and what belongs to it.
type Offset struct {
	At       int64
	Metadata string
}

// Commit commits offsets under the current generation, and returns when the coordinator has confirmed all of them. It
// repeats what may be repeated until ctx ends (2 × RequestTimeout without a deadline). While the group rebalances
// (between JoinGroup and SyncGroup) it fails with REBALANCE_IN_PROGRESS: commit again in Assigned or Revoked. With
// ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID or FENCED_INSTANCE_ID the membership is gone.
func (g *Group) Commit(ctx context.Context, offsets map[record.TopicPartition]Offset) error {
	if len(offsets) == 0 {
		return nil
	}
	who := g.Identity()
	rebalance := &BrokerError{API: int16(kmsg.OffsetCommit), Node: anyBroker, Code: codeRebalance, What: fmt.Sprintf("group %q", g.cfg.Group)}
	if !who.Committable {
		if who.Generation < 0 {
			return &BrokerError{API: int16(kmsg.OffsetCommit), Node: anyBroker, Code: codeUnknownMember, What: fmt.Sprintf("group %q", g.cfg.Group)}
		}
		return rebalance
	}
	err := g.c.commitOffsets(ctx, who, offsets)
	// The old generation is refused as soon as the rebalance has a new one, which we may not know yet: we are not
	// fenced then, only late.
	if now := g.Identity(); errors.Is(err, codeIllegalGeneration) && now.Generation >= 0 && (!now.Committable || now.Generation != who.Generation) {
		return rebalance
	}
	return err
}

// CommitOffsets commits offsets of a group that has no live members, as tools do.
func (c *Client) CommitOffsets(ctx context.Context, group string, offsets map[record.TopicPartition]Offset) error {
	if len(offsets) == 0 {
		return nil
	}
	return c.commitOffsets(ctx, GroupIdentity{Group: group, Generation: -1}, offsets)
}

func (c *Client) commitOffsets(ctx context.Context, who GroupIdentity, offsets map[record.TopicPartition]Offset) error {
	ctx, cancel := c.limit(ctx)
	defer cancel()
	pending := maps.Clone(offsets)
	topics := topicsOf(maps.Keys(offsets))
	return c.retry(ctx, func(ctx context.Context) error {
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Group, req.MemberID, req.Generation = who.Group, who.MemberID, who.Generation
		if who.InstanceID != "" {
			req.InstanceID = &who.InstanceID
		}
		byTopic(sortedParts(maps.Keys(pending)), func(topic string, parts []led) {
			t := kmsg.NewOffsetCommitRequestTopic()
			t.Topic = topic
			for _, p := range parts {
				rp := kmsg.NewOffsetCommitRequestTopicPartition()
				o := pending[p.TopicPartition]
				// Leader epoch −1: "not known". 0 would make readers of the group suspect a truncated log.
				rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata = p.Partition, o.At, -1, &o.Metadata
				t.Partitions = append(t.Partitions, rp)
			}
			req.Topics = append(req.Topics, t)
		})
		res, err := c.toCoordinator(ctx, coordinatorGroup, who.Group, req)
		if err != nil {
			return err
		}
		failed := map[record.TopicPartition]error{}
		for tp := range pending {
			failed[tp] = &ConnError{API: req.Key(), Node: anyBroker, Sent: true, Err: errLeftOut}
		}
		for _, t := range res.(*kmsg.OffsetCommitResponse).Topics {
			for _, p := range t.Partitions {
				tp := record.TopicPartition{Topic: t.Topic, Partition: p.Partition}
				failed[tp] = brokerErr(req.Key(), anyBroker, p.ErrorCode, nil, tp.String())
				if p.ErrorCode == 0 {
					delete(pending, tp)
					delete(failed, tp)
				}
			}
		}
		err = worst(failed)
		c.checkCoordinator(coordinatorGroup, who.Group, err)
		return err
	}, topics...)
}

// Committed returns the committed offsets; a partition without one is not in the answer. It waits until no transaction
// has offsets pending for them: those of a dead predecessor would be missed otherwise.
func (g *Group) Committed(ctx context.Context, tps []record.TopicPartition) (map[record.TopicPartition]Offset, error) {
	if tps == nil {
		tps = []record.TopicPartition{}
	}
	return g.c.CommittedOffsets(ctx, g.cfg.Group, tps)
}

// CommittedOffsets is [Group.Committed] for any group; nil means all partitions that the group has offsets for.
func (c *Client) CommittedOffsets(ctx context.Context, group string, tps []record.TopicPartition) (map[record.TopicPartition]Offset, error) {
	if tps != nil && len(tps) == 0 {
		return map[record.TopicPartition]Offset{}, nil
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	var out map[record.TopicPartition]Offset
	err := c.retry(ctx, func(ctx context.Context) error {
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Group, req.RequireStable = group, true
		byTopic(sortedParts(slices.Values(tps)), func(topic string, parts []led) {
			t := kmsg.NewOffsetFetchRequestTopic()
			t.Topic = topic
			for _, p := range parts {
				t.Partitions = append(t.Partitions, p.Partition)
			}
			req.Topics = append(req.Topics, t)
		})
		res, err := c.toCoordinator(ctx, coordinatorGroup, group, req)
		if err != nil {
			return err
		}
		out = map[record.TopicPartition]Offset{}
		missing, failed := map[record.TopicPartition]error{}, map[record.TopicPartition]error{}
		for _, tp := range tps {
			missing[tp] = &ConnError{API: req.Key(), Node: anyBroker, Sent: true, Err: errLeftOut}
		}
		for _, t := range res.(*kmsg.OffsetFetchResponse).Topics {
			for _, p := range t.Partitions {
				tp := record.TopicPartition{Topic: t.Topic, Partition: p.Partition}
				delete(missing, tp)
				if err := brokerErr(req.Key(), anyBroker, p.ErrorCode, nil, tp.String()); err != nil {
					failed[tp] = err
				} else if p.Offset >= 0 {
					out[tp] = Offset{p.Offset, deref(p.Metadata)}
				}
			}
		}
		maps.Copy(failed, missing)
		err = worst(failed)
		c.checkCoordinator(coordinatorGroup, group, err)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// worst returns an error that no retry can mend if there is one, else any.
func worst(failed map[record.TopicPartition]error) error {
	final := maps.Clone(failed)
	maps.DeleteFunc(final, func(_ record.TopicPartition, err error) bool { return Retriable(err) })
	if len(final) > 0 {
		return firstError(final)
	}
	return firstError(failed)
}

func sortedParts(tps func(func(record.TopicPartition) bool)) []led {
	var parts []led
	for tp := range tps {
		parts = append(parts, led{TopicPartition: tp})
	}
	slices.SortFunc(parts, func(a, b led) int { return compareTP(a.TopicPartition, b.TopicPartition) })
	return parts
}

func topicsOf(tps func(func(record.TopicPartition) bool)) []string {
	set := map[string]struct{}{}
	for tp := range tps {
		set[tp.Topic] = struct{}{}
	}
	return slices.Collect(maps.Keys(set))
}
