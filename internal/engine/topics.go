package engine

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/oxbow-streams/oxbow/internal/engine/assign"
	"github.com/oxbow-streams/oxbow/internal/engine/topics"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/topology"
)

// topicBook knows the topics that the application reads and writes, as they were when it started, or when topics that its
// patterns match had come or gone.
type topicBook struct {
	client topics.Admin
	config topics.Config
	topo   *topology.Topology

	mu     sync.Mutex
	subs   []assign.Sub
	limits map[string]topics.Limits
}

// openTopicBook sees to it that all topics are there and right.
func openTopicBook(ctx context.Context, a *App) (*topicBook, error) {
	cfg := &a.cfg
	b := &topicBook{topo: cfg.Topology, limits: map[string]topics.Limits{},
		client: patientClient{a.client, func(topic string) bool { return cfg.Topology.Source(topic) != nil }},
		config: topics.Config{DeadLetter: cfg.DeadLetters, NoDeadLetter: cfg.DeadLetters == "", Replication: cfg.Replication}}
	return b, b.ensure(ctx, a)
}

// ensure looks at all topics and makes those of the application that are missing.
func (b *topicBook) ensure(ctx context.Context, a *App) error {
	ready, err := topics.Ensure(ctx, b.client, b.topo, b.config)
	if err != nil {
		return err
	}
	if len(ready.Created) > 0 {
		a.log.Info("internal topics created", "topics", ready.Created)
	}
	if len(ready.Unreadable) > 0 {
		a.log.Warn("configurations of topics cannot be read: what their brokers refuse is found out there; grant "+
			"DESCRIBE_CONFIGS", "topics", ready.Unreadable)
	}
	for _, g := range b.topo.Globals {
		if l := ready.Limits[g.Topic]; l.Known && !l.Compacted {
			a.log.Warn("the topic of a global store is not compacted: rows that the broker deletes by age are missing when it is read again",
				"topic", g.Topic, "store", g.Store.Name)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subs = ready.Subs
	maps.Copy(b.limits, ready.Limits)
	return nil
}

// reads returns the sub-topologies with the topics that they read.
func (b *topicBook) reads() []assign.Sub {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.subs
}

// has tells whether a sub-topology reads a partition.
func (b *topicBook) has(tp record.TopicPartition) bool {
	for _, sub := range b.reads() {
		for _, t := range sub.Topics {
			if t.Name == tp.Topic {
				return tp.Partition < t.Partitions
			}
		}
	}
	return false
}

// topicWait is how long a worker waits to hear of a topic.
const topicWait = 30 * time.Second

// lookup returns what an output must know of a topic. One that was not named in the topology costs a round trip, once.
func (b *topicBook) lookup(name string) (TopicInfo, error) {
	l, err := b.limitsOf(name)
	if err != nil {
		return TopicInfo{}, err
	}
	info := TopicInfo{Partitions: l.Partitions, Compacted: l.Compacted}
	if l.Known {
		info.MaxRecordBytes = int(l.MaxMessageBytes)
	}
	return info, nil
}

func (b *topicBook) limitsOf(name string) (topics.Limits, error) {
	b.mu.Lock()
	l, ok := b.limits[name]
	b.mu.Unlock()
	if ok {
		return l, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), topicWait)
	defer cancel()
	found, err := topics.Look(ctx, b.client, []string{name})
	if err != nil {
		return l, err
	}
	f := found[name]
	if f.Partitions == 0 {
		return l, fmt.Errorf("topic %s does not exist: create it, or correct the name that the program computes", name)
	}
	l = topics.LimitsOf(f)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.limits[name] = l
	return l, nil
}

// tasks is how many tasks a sub-topology has.
func (b *topicBook) tasks(sub int32) int32 {
	for _, s := range b.reads() {
		if s.ID == sub {
			return s.Tasks()
		}
	}
	return 0
}

// sources lists what the application subscribes to.
func (b *topicBook) sources() (names []string) {
	for _, sub := range b.reads() {
		for _, t := range sub.Topics {
			names = append(names, t.Name)
		}
	}
	return names
}
