package main

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func admin(brokers []string) (*kgo.Client, error) { return kgo.NewClient(kgo.SeedBrokers(brokers...)) }

// createTopic makes a topic anew.
func createTopic(ctx context.Context, brokers []string, topic string, configs map[string]string) error {
	c, err := admin(brokers)
	if err != nil {
		return err
	}
	defer c.Close()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = 30_000
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, partitions, -1
	for k, v := range configs {
		entry := kmsg.NewCreateTopicsRequestTopicConfig()
		entry.Name, entry.Value = k, &v
		t.Configs = append(t.Configs, entry)
	}
	req.Topics = append(req.Topics, t)
	res, err := req.RequestWith(ctx, c)
	if err != nil {
		return err
	}
	if code := res.Topics[0].ErrorCode; code != 0 {
		return fmt.Errorf("creating %s: error %d", topic, code)
	}
	return nil
}

// deleteTopics ignores topics that are not there.
func deleteTopics(ctx context.Context, brokers []string, topics ...string) error {
	c, err := admin(brokers)
	if err != nil {
		return err
	}
	defer c.Close()
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = 30_000
	for _, name := range topics {
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.Topic = &name
		req.Topics = append(req.Topics, t)
		req.TopicNames = append(req.TopicNames, name)
	}
	_, err = req.RequestWith(ctx, c)
	return err
}

// endOffsets returns the high watermarks of a topic's partitions.
func endOffsets(ctx context.Context, brokers []string, topic string) ([]int64, error) {
	c, err := admin(brokers)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	req := kmsg.NewPtrListOffsetsRequest()
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = topic
	for p := range int32(partitions) {
		q := kmsg.NewListOffsetsRequestTopicPartition()
		q.Partition, q.Timestamp = p, -1
		t.Partitions = append(t.Partitions, q)
	}
	req.Topics = append(req.Topics, t)
	ends := make([]int64, partitions)
	for _, shard := range c.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, shard.Err
		}
		for _, t := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode != 0 {
					return nil, fmt.Errorf("%s/%d: end offset: error %d", topic, p.Partition, p.ErrorCode)
				}
				ends[p.Partition] = p.Offset
			}
		}
	}
	return ends, nil
}
