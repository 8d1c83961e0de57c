package kafka

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Leader is the broker that takes a partition's reads and writes, and the epoch in which it does.
type Leader struct{ Node, Epoch int32 }

// PartitionInfo is a partition as the metadata shows it.
type PartitionInfo struct {
	ID       int32
	Leader   Leader // Node −1: none at the moment
	Replicas []int32
	ISR      []int32
}

// TopicInfo is a topic as the metadata shows it. With Err set, the rest is empty.
type TopicInfo struct {
	Name       string
	ID         [16]byte // zero on brokers before 2.8
	Internal   bool
	Partitions []PartitionInfo // by id
	Err        error
}

// Broker is a member of the cluster.
type Broker struct {
	ID   int32
	Host string
	Port int32
	Rack string
}

// metadataCache is what is known of the topics that somebody asked for. Requests for it are merged: those that come
// while one is under way, or within MetadataMinInterval of it, share the next one.
type metadataCache struct {
	mu         sync.Mutex
	topics     map[string]*TopicInfo // entries are not changed once they are in
	brokers    []Broker
	controller int32
	last       time.Time    // when the last request began
	next       *refreshCall // collects callers
	running    bool         // a goroutine serves next
}

type refreshCall struct {
	topics map[string]struct{}
	done   chan struct{}
	err    error            // the request failed
	failed map[string]error // topics that the broker answered with an error
}

func (m *metadataCache) init() {
	m.topics = map[string]*TopicInfo{}
	m.controller = -1
}

func (m *metadataCache) partition(tp record.TopicPartition) (PartitionInfo, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.topics[tp.Topic]
	if t == nil || tp.Partition < 0 || int(tp.Partition) >= len(t.Partitions) {
		return PartitionInfo{}, false
	}
	return t.Partitions[tp.Partition], true
}

// leader returns the leader of a partition from the cache; it asks the cluster once if the cache has none.
func (c *Client) leader(ctx context.Context, tp record.TopicPartition) (Leader, error) {
	l, err := c.cachedLeader(tp)
	if err == nil {
		return l, nil
	}
	if err := c.Refresh(ctx, tp.Topic); err != nil {
		return Leader{}, err
	}
	return c.cachedLeader(tp)
}

func (c *Client) cachedLeader(tp record.TopicPartition) (Leader, error) {
	p, ok := c.meta.partition(tp)
	switch {
	case !ok:
		return Leader{}, &BrokerError{API: int16(kmsg.Metadata), Node: anyBroker, Code: codeUnknownTopic, What: tp.String()}
	case p.Leader.Node < 0:
		return Leader{}, &BrokerError{API: int16(kmsg.Metadata), Node: anyBroker, Code: codeLeaderNotAvailable, What: tp.String()}
	}
	return p.Leader, nil
}

// Refresh brings the metadata of topics up to date; of all topics in use when none is named. It returns the error of
// the request, else that of the first named topic that has one.
func (c *Client) Refresh(ctx context.Context, topics ...string) error {
	call, err := c.refreshLater(topics)
	if err != nil {
		return err
	}
	select {
	case <-call.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if call.err != nil {
		return call.err
	}
	for _, t := range topics {
		if err := call.failed[t]; err != nil {
			return err
		}
	}
	return nil
}

// refreshLater adds topics to the next request and sees to it that there is one.
func (c *Client) refreshLater(topics []string) (*refreshCall, error) {
	m := &c.meta
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.next == nil {
		m.next = &refreshCall{topics: map[string]struct{}{}, done: make(chan struct{}), failed: map[string]error{}}
	}
	call := m.next
	for _, t := range topics {
		call.topics[t] = struct{}{}
	}
	if len(topics) == 0 {
		for t := range m.topics {
			call.topics[t] = struct{}{}
		}
	}
	if !m.running {
		if err := c.background(c.refreshLoop); err != nil {
			return nil, err
		}
		m.running = true
	}
	return call, nil
}

// refreshLoop serves calls until there is none.
func (c *Client) refreshLoop(ctx context.Context) {
	m := &c.meta
	for {
		m.mu.Lock()
		wait := c.cfg.MetadataMinInterval - time.Since(m.last)
		m.mu.Unlock()
		perr := pause(ctx, wait)

		m.mu.Lock()
		call := m.next
		m.next = nil
		if call == nil {
			m.running = false
			m.mu.Unlock()
			return
		}
		m.last = time.Now()
		m.mu.Unlock()

		if perr != nil {
			call.err = ErrClosed
		} else {
			c.refreshOnce(ctx, call)
		}
		close(call.done)
	}
}

func (c *Client) refreshOnce(ctx context.Context, call *refreshCall) {
	names := make([]string, 0, len(call.topics))
	for t := range call.topics {
		names = append(names, t)
	}
	slices.Sort(names)
	infos, err := c.fetchMetadata(ctx, names)
	if err != nil {
		call.err = err
		return
	}
	c.meta.mu.Lock()
	defer c.meta.mu.Unlock()
	for _, info := range infos {
		if info.Err != nil {
			call.failed[info.Name] = info.Err
			if errors.Is(info.Err, codeUnknownTopic) {
				delete(c.meta.topics, info.Name)
			}
			continue
		}
		c.meta.topics[info.Name] = newer(c.meta.topics[info.Name], info)
	}
}

// newer merges what is known with an answer: a broker that lags behind may tell of a leader that is no more, and
// epochs never go back (K4), unless the topic is another one by the same name.
func newer(old, now *TopicInfo) *TopicInfo {
	if old == nil || old.ID != now.ID {
		return now
	}
	for i := range now.Partitions {
		if i < len(old.Partitions) && now.Partitions[i].Leader.Epoch < old.Partitions[i].Leader.Epoch {
			now.Partitions[i].Leader = old.Partitions[i].Leader
		}
	}
	return now
}

// Topics asks the cluster about topics, about all when none is named. A topic that does not exist, or may not be seen,
// is in the answer with its Err set.
func (c *Client) Topics(ctx context.Context, names ...string) (map[string]TopicInfo, error) {
	var infos []*TopicInfo
	err := c.retry(ctx, func(ctx context.Context) (err error) {
		if len(names) == 0 {
			infos, err = c.fetchMetadata(ctx, nil)
		} else {
			infos, err = c.fetchMetadata(ctx, names)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out := make(map[string]TopicInfo, len(infos))
	for _, info := range infos {
		out[info.Name] = *info
	}
	return out, nil
}

// Brokers asks the cluster for its brokers.
func (c *Client) Brokers(ctx context.Context) ([]Broker, error) {
	err := c.retry(ctx, func(ctx context.Context) error {
		_, err := c.fetchMetadata(ctx, []string{})
		return err
	})
	c.meta.mu.Lock()
	defer c.meta.mu.Unlock()
	return slices.Clone(c.meta.brokers), err
}

// fetchMetadata sends one Metadata request, to a bootstrap connection first and then to brokers that are known: the
// bootstrap addresses may be gone long since. nil asks for all topics.
func (c *Client) fetchMetadata(ctx context.Context, names []string) ([]*TopicInfo, error) {
	nodes := append([]int32{anyBroker}, c.someBrokers(2)...)
	var res *kmsg.MetadataResponse
	var err error
	for _, node := range nodes {
		req := kmsg.NewPtrMetadataRequest()
		req.AllowAutoTopicCreation = false
		if names != nil {
			req.Topics = make([]kmsg.MetadataRequestTopic, len(names))
			for i := range names {
				req.Topics[i] = kmsg.NewMetadataRequestTopic()
				req.Topics[i].Topic = &names[i]
			}
		}
		if res, err = ask[*kmsg.MetadataResponse](ctx, c, node, req); err == nil || !Retriable(err) || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	c.meta.mu.Lock()
	if len(res.Brokers) > 0 {
		c.meta.brokers = c.meta.brokers[:0:0]
		for _, b := range res.Brokers {
			c.meta.brokers = append(c.meta.brokers, Broker{ID: b.NodeID, Host: b.Host, Port: b.Port, Rack: deref(b.Rack)})
		}
	}
	c.meta.controller = res.ControllerID
	c.meta.mu.Unlock()
	infos := make([]*TopicInfo, 0, len(res.Topics))
	for i := range res.Topics {
		infos = append(infos, topicInfo(&res.Topics[i]))
	}
	return infos, nil
}

func topicInfo(t *kmsg.MetadataResponseTopic) *TopicInfo {
	info := &TopicInfo{Name: deref(t.Topic), ID: t.TopicID, Internal: t.IsInternal}
	info.Err = brokerErr(int16(kmsg.Metadata), anyBroker, t.ErrorCode, nil, info.Name)
	if info.Err != nil {
		return info
	}
	slices.SortFunc(t.Partitions, func(a, b kmsg.MetadataResponseTopicPartition) int { return int(a.Partition) - int(b.Partition) })
	for i, p := range t.Partitions {
		if int(p.Partition) != i {
			info.Err = &FrameError{Reason: info.Name + ": the metadata leaves out a partition"}
			info.Partitions = nil
			return info
		}
		info.Partitions = append(info.Partitions, PartitionInfo{
			ID: p.Partition, Leader: Leader{p.Leader, p.LeaderEpoch}, Replicas: p.Replicas, ISR: p.ISR,
		})
	}
	return info
}

// someBrokers returns up to n known brokers, any of them.
func (c *Client) someBrokers(n int) []int32 {
	c.meta.mu.Lock()
	defer c.meta.mu.Unlock()
	ids := make([]int32, 0, len(c.meta.brokers))
	for _, b := range c.meta.brokers {
		ids = append(ids, b.ID)
	}
	rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return ids[:min(n, len(ids))]
}

// controller returns the broker for requests that change topics.
func (c *Client) controller(ctx context.Context) (int32, error) {
	c.meta.mu.Lock()
	id := c.meta.controller
	c.meta.mu.Unlock()
	if id >= 0 {
		return id, nil
	}
	if _, err := c.fetchMetadata(ctx, []string{}); err != nil {
		return 0, err
	}
	c.meta.mu.Lock()
	defer c.meta.mu.Unlock()
	return c.meta.controller, nil // −1 still: any broker passes the request on
}

func (c *Client) forgetController() {
	c.meta.mu.Lock()
	c.meta.controller = -1
	c.meta.mu.Unlock()
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
