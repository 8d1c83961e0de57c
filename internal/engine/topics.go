package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/oxbow-streams/oxbow/internal/engine/assign"
	"github.com/oxbow-streams/oxbow/internal/engine/topics"
)

// topicBook knows the topics that the application reads and writes, as they were when it started.
type topicBook struct {
	client topics.Admin
	subs   []assign.Sub

	mu     sync.Mutex
	limits map[string]topics.Limits
}

// openTopicBook sees to it that all topics are there and right.
func openTopicBook(ctx context.Context, a *App) (*topicBook, error) {
	cfg := &a.cfg
	client := patientClient{a.client, func(topic string) bool { return cfg.Topology.Source(topic) != nil }}
	ready, err := topics.Ensure(ctx, client, cfg.Topology, topics.Config{DeadLetter: cfg.DeadLetters,
		NoDeadLetter: cfg.DeadLetters == "", Replication: cfg.Replication})
	if err != nil {
		return nil, err
	}
	if len(ready.Created) > 0 {
		a.log.Info("internal topics created", "topics", ready.Created)
	}
	if len(ready.Unreadable) > 0 {
		a.log.Warn("configurations of topics cannot be read: what their brokers refuse is found out there; grant "+
			"DESCRIBE_CONFIGS", "topics", ready.Unreadable)
	}
	for _, g := range cfg.Topology.Globals {
		if l := ready.Limits[g.Topic]; l.Known && !l.Compacted {
			a.log.Warn("the topic of a global store is not compacted: rows that the broker deletes by age are missing when it is read again",
				"topic", g.Topic, "store", g.Store.Name)
		}
	}
	return &topicBook{client: client, subs: ready.Subs, limits: ready.Limits}, nil
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
	for i := range b.subs {
		if b.subs[i].ID == sub {
			return b.subs[i].Tasks()
		}
	}
	return 0
}

// sources lists what the application subscribes to.
func (b *topicBook) sources() (names []string) {
	for _, sub := range b.subs {
		for _, t := range sub.Topics {
			names = append(names, t.Name)
		}
	}
	return names
}
