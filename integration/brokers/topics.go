package brokers

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// patience is how long a helper waits for the cluster to do what it was asked, or for records to come. A real broker
// on a busy machine needs seconds after a restart.
const patience = 60 * time.Second

func deadline(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), patience)
}

// CreateTopic creates a topic with the broker's replication factor and returns when it can be written and read.
// Configs are of the form key=value.
func (c *Cluster) CreateTopic(t testing.TB, name string, partitions int32, configs ...string) {
	t.Helper()
	ctx, cancel := deadline(t)
	defer cancel()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, -1
	for _, text := range configs {
		key, value, found := strings.Cut(text, "=")
		if !found {
			t.Fatalf("brokers: create %s: config %q: want key=value", name, text)
		}
		config := kmsg.NewCreateTopicsRequestTopicConfig()
		config.Name, config.Value = key, kmsg.StringPtr(value)
		topic.Configs = append(topic.Configs, config)
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics, req.TimeoutMillis = append(req.Topics, topic), int32(patience.Milliseconds())
	resp, err := req.RequestWith(ctx, c.client)
	if err != nil {
		t.Fatalf("brokers: create %s: %v", name, err)
	}
	if err := kerr.ErrorForCode(resp.Topics[0].ErrorCode); err != nil {
		t.Fatalf("brokers: create %s: %v: %s", name, err, unptr(resp.Topics[0].ErrorMessage))
	}
	c.await(t, "leaders of "+name, func() bool {
		_, leaders, err := c.leaders(ctx, name)
		return err == nil && len(leaders) == int(partitions)
	})
}

// DeleteTopics deletes topics and returns when no broker lists them any more.
func (c *Cluster) DeleteTopics(t testing.TB, names ...string) {
	t.Helper()
	ctx, cancel := deadline(t)
	defer cancel()
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = int32(patience.Milliseconds())
	for _, name := range names {
		topic := kmsg.NewDeleteTopicsRequestTopic()
		topic.Topic = kmsg.StringPtr(name)
		req.TopicNames, req.Topics = append(req.TopicNames, name), append(req.Topics, topic)
	}
	resp, err := req.RequestWith(ctx, c.client)
	if err != nil {
		t.Fatalf("brokers: delete %v: %v", names, err)
	}
	for _, topic := range resp.Topics {
		if err := kerr.ErrorForCode(topic.ErrorCode); err != nil {
			t.Fatalf("brokers: delete %s: %v", unptr(topic.Topic), err)
		}
	}
	c.await(t, "the end of "+strings.Join(names, ", "), func() bool {
		return !slices.ContainsFunc(c.Topics(t), func(name string) bool { return slices.Contains(names, name) })
	})
}

// Topics are the names of all topics, internal ones of the broker left out, in order.
func (c *Cluster) Topics(t testing.TB) []string {
	t.Helper()
	return slices.Sorted(maps.Keys(c.Partitions(t)))
}

// Partitions are the numbers of partitions of all topics, internal ones of the broker left out.
func (c *Cluster) Partitions(t testing.TB) map[string]int {
	t.Helper()
	ctx, cancel := deadline(t)
	defer cancel()
	resp, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, c.client)
	if err != nil {
		t.Fatalf("brokers: topics: %v", err)
	}
	counts := map[string]int{}
	for _, topic := range resp.Topics {
		if name := unptr(topic.Topic); !topic.IsInternal && !strings.HasPrefix(name, "__") {
			counts[name] = len(topic.Partitions)
		}
	}
	return counts
}

// TopicConfigs are the settings of a topic that were given to it, not those it has from its broker.
func (c *Cluster) TopicConfigs(t testing.TB, name string) map[string]string {
	t.Helper()
	ctx, cancel := deadline(t)
	defer cancel()
	resource := kmsg.NewDescribeConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeTopic, name
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Resources = append(req.Resources, resource)
	resp, err := req.RequestWith(ctx, c.client)
	if err == nil {
		err = kerr.ErrorForCode(resp.Resources[0].ErrorCode)
	}
	if err != nil {
		t.Fatalf("brokers: configs of %s: %v", name, err)
	}
	configs := map[string]string{}
	for _, config := range resp.Resources[0].Configs {
		if config.Source == kmsg.ConfigSourceDynamicTopicConfig {
			configs[config.Name] = unptr(config.Value)
		}
	}
	return configs
}

// Produce writes records and returns when all are acknowledged. Keys choose partitions as Java's default does.
func (c *Cluster) Produce(t testing.TB, records ...*kgo.Record) {
	t.Helper()
	produce(t, c.client, records)
}

// ProduceTo writes records to the partitions that their Partition fields name.
func (c *Cluster) ProduceTo(t testing.TB, records ...*kgo.Record) {
	t.Helper()
	produce(t, c.manual, records)
}

func produce(t testing.TB, client *kgo.Client, records []*kgo.Record) {
	t.Helper()
	ctx, cancel := deadline(t)
	defer cancel()
	for _, result := range client.ProduceSync(ctx, records...) {
		if result.Err != nil {
			t.Fatalf("brokers: produce to %s/%d, key %q: %v", result.Record.Topic, result.Record.Partition,
				result.Record.Key, result.Err)
		}
	}
}

// await asks until done says yes. The pause between is for a busy cluster; nothing signals what it waits for.
func (c *Cluster) await(t testing.TB, what string, done func() bool) {
	t.Helper()
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for end := time.Now().Add(patience); !done(); <-pause.C {
		if time.Now().After(end) {
			t.Fatalf("brokers: waited %v for %s", patience, what)
		}
	}
}

func unptr(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
