package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// errLeftOut is an answer that does not mention something that was asked.
var errLeftOut = errors.New("the answer leaves it out")

// NewTopic describes a topic to be created.
type NewTopic struct {
	Name        string
	Partitions  int32
	Replication int16 // 0: the brokers' default
	Configs     map[string]string
}

// CreateTopics creates topics. Those that exist are no error and are returned by name, as they are: comparing them with
// what was wanted is the caller's. A new topic may still answer UNKNOWN_TOPIC or NOT_LEADER for a moment.
func (c *Client) CreateTopics(ctx context.Context, topics ...NewTopic) (existed []string, err error) {
	pending := map[string]NewTopic{}
	for _, t := range topics {
		pending[t.Name] = t
	}
	err = c.administer(ctx, func(ctx context.Context, node int32) error {
		req := kmsg.NewPtrCreateTopicsRequest()
		req.TimeoutMillis = c.adminMillis()
		for _, name := range slices.Sorted(maps.Keys(pending)) {
			req.Topics = append(req.Topics, createTopic(pending[name]))
		}
		res, err := ask[*kmsg.CreateTopicsResponse](ctx, c, node, req)
		if err != nil {
			return err
		}
		answered := map[string]error{}
		for _, t := range res.Topics {
			if Code(t.ErrorCode) == codeTopicExists {
				existed = append(existed, t.Topic)
				t.ErrorCode = 0
			}
			answered[t.Topic] = brokerErr(req.Key(), node, t.ErrorCode, t.ErrorMessage, "topic "+t.Topic)
		}
		return settle(pending, answered, req.Key(), node)
	})
	slices.Sort(existed)
	return existed, err
}

func createTopic(t NewTopic) kmsg.CreateTopicsRequestTopic {
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = t.Name, t.Partitions, t.Replication
	if t.Replication == 0 {
		rt.ReplicationFactor = -1
	}
	for _, k := range slices.Sorted(maps.Keys(t.Configs)) {
		rc := kmsg.NewCreateTopicsRequestTopicConfig()
		rc.Name, rc.Value = k, kmsg.StringPtr(t.Configs[k])
		rt.Configs = append(rt.Configs, rc)
	}
	return rt
}

// DeleteTopics deletes topics. One that does not exist is no error.
func (c *Client) DeleteTopics(ctx context.Context, names ...string) error {
	pending := map[string]struct{}{}
	for _, n := range names {
		pending[n] = struct{}{}
	}
	return c.administer(ctx, func(ctx context.Context, node int32) error {
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.TimeoutMillis, req.TopicNames = c.adminMillis(), slices.Sorted(maps.Keys(pending))
		res, err := ask[*kmsg.DeleteTopicsResponse](ctx, c, node, req)
		if err != nil {
			return err
		}
		answered := map[string]error{}
		for _, t := range res.Topics {
			name := deref(t.Topic)
			if Code(t.ErrorCode) == codeUnknownTopic {
				t.ErrorCode = 0
			}
			answered[name] = brokerErr(req.Key(), node, t.ErrorCode, t.ErrorMessage, "topic "+name)
		}
		return settle(pending, answered, req.Key(), node)
	})
}

// CreatePartitions raises the number of partitions of topics to a total. A topic that has that many already is no error.
func (c *Client) CreatePartitions(ctx context.Context, totals map[string]int32) error {
	pending := maps.Clone(totals)
	return c.administer(ctx, func(ctx context.Context, node int32) error {
		req := kmsg.NewPtrCreatePartitionsRequest()
		req.TimeoutMillis = c.adminMillis()
		for _, name := range slices.Sorted(maps.Keys(pending)) {
			t := kmsg.NewCreatePartitionsRequestTopic()
			t.Topic, t.Count = name, pending[name]
			req.Topics = append(req.Topics, t)
		}
		res, err := ask[*kmsg.CreatePartitionsResponse](ctx, c, node, req)
		if err != nil {
			return err
		}
		answered := map[string]error{}
		for _, t := range res.Topics {
			if Code(t.ErrorCode) == codeInvalidPartitions && c.hasPartitions(ctx, t.Topic, pending[t.Topic]) {
				t.ErrorCode = 0 // a retry of a request that had been carried out, or nothing to do
			}
			answered[t.Topic] = brokerErr(req.Key(), node, t.ErrorCode, t.ErrorMessage, "topic "+t.Topic)
		}
		return settle(pending, answered, req.Key(), node)
	})
}

func (c *Client) hasPartitions(ctx context.Context, topic string, n int32) bool {
	infos, err := c.fetchMetadata(ctx, []string{topic})
	return err == nil && len(infos) == 1 && infos[0].Err == nil && len(infos[0].Partitions) == int(n)
}

// administer runs f at the controller until it succeeds, fails for good, or ctx ends.
func (c *Client) administer(ctx context.Context, f func(ctx context.Context, controller int32) error) error {
	ctx, cancel := c.limit(ctx)
	defer cancel()
	return c.retry(ctx, func(ctx context.Context) error {
		node, err := c.controller(ctx)
		if err != nil {
			return err
		}
		if err = f(ctx, node); ActionOf(err).Has(Refresh) {
			c.forgetController()
		}
		return err
	})
}

// adminMillis is how long the controller may work on a request: less than we wait for its answer.
func (c *Client) adminMillis() int32 {
	return int32(min(c.cfg.RequestTimeout/2, 30*time.Second) / time.Millisecond)
}

// settle takes what was done out of pending. It returns nil when nothing is left, an error that can be retried when all
// errors can, else those that can't, joined.
func settle[V any](pending map[string]V, answered map[string]error, key int16, node int32) error {
	var retriable error
	var permanent []error
	for _, name := range slices.Sorted(maps.Keys(pending)) {
		err, ok := answered[name]
		switch {
		case !ok:
			retriable = &ConnError{API: key, Node: node, Sent: true, Err: fmt.Errorf("%s: %w", name, errLeftOut)}
		case err == nil:
			delete(pending, name)
		case Retriable(err):
			retriable = err
		default:
			permanent = append(permanent, err)
		}
	}
	if len(permanent) > 0 {
		return permanentError{errors.Join(permanent...)}
	}
	return retriable
}

// permanentError hides what single errors in it would allow.
type permanentError struct{ error }

func (e permanentError) Unwrap() error  { return e.error }
func (e permanentError) Action() Action { return 0 }

// DeleteRecords deletes what lies below the given offsets, −1 meaning everything up to the high watermark. It returns
// the new log starts.
func (c *Client) DeleteRecords(ctx context.Context, before map[record.TopicPartition]int64) (map[record.TopicPartition]int64, error) {
	var mu sync.Mutex
	out := make(map[record.TopicPartition]int64, len(before))
	failed := c.eachLeader(ctx, slices.Collect(maps.Keys(before)), func(ctx context.Context, node int32, parts []led) map[record.TopicPartition]error {
		req := kmsg.NewPtrDeleteRecordsRequest()
		req.TimeoutMillis = c.adminMillis()
		byTopic(parts, func(topic string, parts []led) {
			t := kmsg.NewDeleteRecordsRequestTopic()
			t.Topic = topic
			for _, p := range parts {
				rp := kmsg.NewDeleteRecordsRequestTopicPartition()
				rp.Partition, rp.Offset = p.Partition, before[p.TopicPartition]
				t.Partitions = append(t.Partitions, rp)
			}
			req.Topics = append(req.Topics, t)
		})
		res, err := ask[*kmsg.DeleteRecordsResponse](ctx, c, node, req)
		if err != nil {
			return allFailed(parts, err)
		}
		errs := allFailed(parts, &ConnError{API: req.Key(), Node: node, Sent: true, Err: errLeftOut})
		mu.Lock()
		defer mu.Unlock()
		for _, t := range res.Topics {
			for _, p := range t.Partitions {
				tp := record.TopicPartition{Topic: t.Topic, Partition: p.Partition}
				errs[tp] = brokerErr(req.Key(), node, p.ErrorCode, nil, tp.String())
				if p.ErrorCode == 0 {
					out[tp] = p.LowWatermark
				}
			}
		}
		return errs
	})
	return out, firstError(failed)
}

// firstError returns the error of the first partition that has one, so that the same trouble reads the same each time.
func firstError(errs map[record.TopicPartition]error) error {
	tps := slices.SortedFunc(maps.Keys(errs), compareTP)
	if len(tps) == 0 {
		return nil
	}
	err := errs[tps[0]]
	var be *BrokerError
	if !errors.As(err, &be) {
		err = fmt.Errorf("%v: %w", tps[0], err)
	}
	if len(tps) > 1 {
		return fmt.Errorf("%w (and %d more partitions)", err, len(tps)-1)
	}
	return err
}
