package kafka

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// led is a partition and its leader's epoch, as a request to that leader needs them.
type led struct {
	record.TopicPartition
	epoch int32
}

// limit gives an operation that retries an end when its caller gave none.
func (c *Client) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, 2*c.cfg.RequestTimeout)
}

// eachLeader brings every partition to its leader: one request per broker and round, all brokers at the same time.
// f returns the errors of partitions; those that a retry may mend go into the next round, after a refresh of the
// metadata. What is returned is the last error of each partition that could not be done.
func (c *Client) eachLeader(ctx context.Context, tps []record.TopicPartition,
	f func(ctx context.Context, node int32, parts []led) map[record.TopicPartition]error) map[record.TopicPartition]error {
	ctx, cancel := c.limit(ctx)
	defer cancel()
	failed := map[record.TopicPartition]error{}
	b := c.newBackoff()
	for {
		byNode, errs := c.byLeader(ctx, tps)
		var mu sync.Mutex
		var wg sync.WaitGroup
		for node, parts := range byNode {
			wg.Go(func() {
				res := f(ctx, node, parts)
				mu.Lock()
				defer mu.Unlock()
				maps.Copy(errs, res)
			})
		}
		wg.Wait()
		tps = tps[:0:0]
		topics := map[string]struct{}{}
		for tp, err := range errs {
			if err == nil {
				continue
			}
			failed[tp] = err
			if Retriable(err) {
				tps = append(tps, tp)
				topics[tp.Topic] = struct{}{}
			}
		}
		if len(tps) == 0 || pause(ctx, b.next()) != nil {
			return failed
		}
		// An error of the refresh shows again when the leaders are looked up.
		_ = c.Refresh(ctx, slices.Collect(maps.Keys(topics))...)
		for _, tp := range tps {
			delete(failed, tp)
		}
	}
}

// byLeader sorts partitions by the broker that leads them.
func (c *Client) byLeader(ctx context.Context, tps []record.TopicPartition) (map[int32][]led, map[record.TopicPartition]error) {
	errs := map[record.TopicPartition]error{}
	missing := map[string]struct{}{}
	for _, tp := range tps {
		if p, ok := c.meta.partition(tp); !ok || p.Leader.Node < 0 {
			missing[tp.Topic] = struct{}{}
		}
	}
	if len(missing) > 0 { // one request for all of them; what fails shows below
		_ = c.Refresh(ctx, slices.Collect(maps.Keys(missing))...)
	}
	nodes := map[int32][]led{}
	for _, tp := range tps {
		l, err := c.cachedLeader(tp)
		if err != nil {
			errs[tp] = err
			continue
		}
		nodes[l.Node] = append(nodes[l.Node], led{tp, l.Epoch})
	}
	for _, parts := range nodes {
		slices.SortFunc(parts, func(a, b led) int { return compareTP(a.TopicPartition, b.TopicPartition) })
	}
	return nodes, errs
}

func compareTP(a, b record.TopicPartition) int {
	switch {
	case a.Topic < b.Topic:
		return -1
	case a.Topic > b.Topic:
		return 1
	}
	return int(a.Partition) - int(b.Partition)
}

// allFailed blames err on every partition of a request.
func allFailed(parts []led, err error) map[record.TopicPartition]error {
	errs := make(map[record.TopicPartition]error, len(parts))
	for _, p := range parts {
		errs[p.TopicPartition] = err
	}
	return errs
}

// byTopic calls f for each topic of parts, which are sorted.
func byTopic(parts []led, f func(topic string, parts []led)) {
	for len(parts) > 0 {
		n := 1
		for n < len(parts) && parts[n].Topic == parts[0].Topic {
			n++
		}
		f(parts[0].Topic, parts[:n])
		parts = parts[n:]
	}
}
