package kafka

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ConfigValue is one configuration entry as a broker has it.
type ConfigValue struct {
	Value     string
	Null      bool // also for sensitive values, which are not shown
	Own       bool // set on the topic itself, not inherited
	ReadOnly  bool
	Sensitive bool
}

// DescribeTopicConfigs returns the configurations of topics. A topic that cannot be described is not in the answer, and
// its error is joined into the one returned.
func (c *Client) DescribeTopicConfigs(ctx context.Context, topics ...string) (map[string]map[string]ConfigValue, error) {
	return c.describe(ctx, kmsg.ConfigResourceTypeTopic, anyBroker, topics)
}

// DescribeBrokerConfigs returns the configuration of a broker.
func (c *Client) DescribeBrokerConfigs(ctx context.Context, node int32) (map[string]ConfigValue, error) {
	name := strconv.Itoa(int(node))
	all, err := c.describe(ctx, kmsg.ConfigResourceTypeBroker, node, []string{name})
	return all[name], err
}

func (c *Client) describe(ctx context.Context, kind kmsg.ConfigResourceType, node int32, names []string) (map[string]map[string]ConfigValue, error) {
	pending := map[string]struct{}{}
	for _, n := range names {
		pending[n] = struct{}{}
	}
	out := map[string]map[string]ConfigValue{}
	if len(pending) == 0 {
		return out, nil
	}
	ctx, cancel := c.limit(ctx)
	defer cancel()
	err := c.retry(ctx, func(ctx context.Context) error {
		req := kmsg.NewPtrDescribeConfigsRequest()
		for _, n := range slices.Sorted(maps.Keys(pending)) {
			r := kmsg.NewDescribeConfigsRequestResource()
			r.ResourceType, r.ResourceName = kind, n
			req.Resources = append(req.Resources, r)
		}
		res, err := ask[*kmsg.DescribeConfigsResponse](ctx, c, node, req)
		if err != nil {
			return err
		}
		answered := map[string]error{}
		for _, r := range res.Resources {
			answered[r.ResourceName] = brokerErr(req.Key(), node, r.ErrorCode, r.ErrorMessage, r.ResourceName)
			if r.ErrorCode == 0 {
				out[r.ResourceName] = configValues(kind, r.Configs)
			}
		}
		return settle(pending, answered, req.Key(), node)
	})
	return out, err
}

func configValues(kind kmsg.ConfigResourceType, in []kmsg.DescribeConfigsResponseResourceConfig) map[string]ConfigValue {
	own := kmsg.ConfigSourceDynamicTopicConfig
	if kind == kmsg.ConfigResourceTypeBroker {
		own = kmsg.ConfigSourceDynamicBrokerConfig
	}
	out := make(map[string]ConfigValue, len(in))
	for _, e := range in {
		out[e.Name] = ConfigValue{
			Value: deref(e.Value), Null: e.Value == nil, Own: e.Source == own, ReadOnly: e.ReadOnly, Sensitive: e.IsSensitive,
		}
	}
	return out
}

// AlterTopicConfigs changes entries of topic configurations and leaves the others alone. nil takes an entry back to its
// inherited value.
func (c *Client) AlterTopicConfigs(ctx context.Context, changes map[string]map[string]*string) error {
	pending := maps.Clone(changes)
	maps.DeleteFunc(pending, func(_ string, entries map[string]*string) bool { return len(entries) == 0 })
	if len(pending) == 0 {
		return nil
	}
	return c.administer(ctx, func(ctx context.Context, node int32) error {
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		for _, topic := range slices.Sorted(maps.Keys(pending)) {
			r := kmsg.NewIncrementalAlterConfigsRequestResource()
			r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, topic
			for _, k := range slices.Sorted(maps.Keys(pending[topic])) {
				e := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
				e.Name, e.Value, e.Op = k, pending[topic][k], kmsg.IncrementalAlterConfigOpSet
				if e.Value == nil {
					e.Op = kmsg.IncrementalAlterConfigOpDelete
				}
				r.Configs = append(r.Configs, e)
			}
			req.Resources = append(req.Resources, r)
		}
		res, err := ask[*kmsg.IncrementalAlterConfigsResponse](ctx, c, node, req)
		if err != nil {
			return err
		}
		answered := map[string]error{}
		for _, r := range res.Resources {
			answered[r.ResourceName] = brokerErr(req.Key(), node, r.ErrorCode, r.ErrorMessage, "topic "+r.ResourceName)
		}
		return settle(pending, answered, req.Key(), node)
	})
}

// IsMissing tells whether err says that a topic or partition does not exist.
func IsMissing(err error) bool { return errors.Is(err, codeUnknownTopic) }
