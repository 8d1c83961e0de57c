// Package cluster gives the examples a Kafka to talk to: the one that KAFKA_BROKERS names, or one inside the process.
//
// Everything here is what any user of kafka-go would write; nothing of it is needed to use Oxbow.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
)

// Cluster is a Kafka cluster and a kafka-go client for it.
type Cluster struct {
	Brokers  []string
	Embedded bool // inside this process; what it holds is gone at the end
	client   *kafka.Client
	fake     *kfake.Cluster
}

// Start connects to KAFKA_BROKERS (host:port, separated by commas), or starts a broker in the process if that is not set.
func Start() (*Cluster, error) {
	c := &Cluster{}
	if list := os.Getenv("KAFKA_BROKERS"); list != "" {
		c.Brokers = strings.Split(list, ",")
	} else {
		fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.BrokerConfigs(map[string]string{
			"group.initial.rebalance.delay.ms": "0",
		}))
		if err != nil {
			return nil, fmt.Errorf("embedded broker: %w", err)
		}
		c.fake, c.Embedded, c.Brokers = fake, true, fake.ListenAddrs()
	}
	c.client = &kafka.Client{Addr: kafka.TCP(c.Brokers...), Timeout: 10 * time.Second, Transport: &kafka.Transport{}}
	return c, nil
}

// Close ends the embedded broker, if there is one.
func (c *Cluster) Close() {
	c.client.Transport.(*kafka.Transport).CloseIdleConnections()
	if c.fake != nil {
		c.fake.Close()
	}
}

// Create makes topics that do not exist yet.
func (c *Cluster) Create(ctx context.Context, partitions int, topics ...string) error {
	req := &kafka.CreateTopicsRequest{}
	for _, t := range topics {
		req.Topics = append(req.Topics, kafka.TopicConfig{Topic: t, NumPartitions: partitions, ReplicationFactor: -1})
	}
	res, err := c.client.CreateTopics(ctx, req)
	if err != nil {
		return fmt.Errorf("create topics: %w", err)
	}
	for t, err := range res.Errors {
		if err != nil && !errors.Is(err, kafka.TopicAlreadyExists) {
			return fmt.Errorf("create topic %s: %w", t, err)
		}
	}
	return nil
}

// Write appends messages to a topic, by hash of their keys.
func (c *Cluster) Write(ctx context.Context, topic string, messages ...kafka.Message) error {
	w := &kafka.Writer{Addr: kafka.TCP(c.Brokers...), Topic: topic, RequiredAcks: kafka.RequireAll, BatchSize: 1000,
		BatchTimeout: 5 * time.Millisecond, Balancer: kafka.Murmur2Balancer{Consistent: true}, Transport: c.client.Transport}
	defer w.Close()
	if err := w.WriteMessages(ctx, messages...); err != nil {
		return fmt.Errorf("write %s: %w", topic, err)
	}
	return nil
}

// Ends returns where each partition of a topic ends; nil if there is no such topic.
func (c *Cluster) Ends(ctx context.Context, topic string) (map[int]int64, error) {
	meta, err := c.client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
	if err != nil {
		return nil, err
	}
	req := &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{}}
	for _, t := range meta.Topics {
		if t.Name != topic || t.Error != nil {
			continue
		}
		for _, p := range t.Partitions {
			req.Topics[topic] = append(req.Topics[topic], kafka.LastOffsetOf(p.ID))
		}
	}
	if len(req.Topics) == 0 {
		return nil, nil
	}
	res, err := c.client.ListOffsets(ctx, req)
	if err != nil {
		return nil, err
	}
	ends := map[int]int64{}
	for _, p := range res.Topics[topic] {
		if p.Error != nil {
			return nil, fmt.Errorf("%s/%d: %w", topic, p.Partition, p.Error)
		}
		ends[p.Partition] = p.LastOffset
	}
	return ends, nil
}

// Read calls f for each message of a topic from its beginning, partition after partition up to the ends it has now; with follow
// set it goes on until ctx ends or f says that it has enough.
func (c *Cluster) Read(ctx context.Context, topic string, partition int, from, to int64, f func(kafka.Message) bool) (int64, error) {
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: c.Brokers, Topic: topic, Partition: partition, MaxWait: 50 * time.Millisecond})
	defer r.Close()
	if err := r.SetOffset(from); err != nil {
		return from, err
	}
	for from < to {
		m, err := r.ReadMessage(ctx)
		if err != nil {
			return from, err
		}
		from = m.Offset + 1
		if !f(m) {
			break
		}
	}
	return from, nil
}

// Remove deletes every topic that begins with prefix.
func (c *Cluster) Remove(ctx context.Context, prefix string) error {
	meta, err := c.client.Metadata(ctx, &kafka.MetadataRequest{})
	if err != nil {
		return err
	}
	var names []string
	for _, t := range meta.Topics {
		if strings.HasPrefix(t.Name, prefix) {
			names = append(names, t.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	_, err = c.client.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: names})
	return err
}

// Warnings is a logger that keeps quiet when all is well.
func Warnings(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
}
