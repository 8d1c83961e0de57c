package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/topology"
)

// topicBook knows the topics that the application reads and writes, as they were when it started.
type topicBook struct {
	client *kafka.Client
	log    func(msg string, args ...any)

	mu     sync.Mutex
	infos  map[string]TopicInfo
	inputs []map[string]int32 // by sub-topology: what it reads, with partition counts
}

// lookup returns what is known of a topic. One that was not named in the topology costs a round trip, once.
func (b *topicBook) lookup(name string) (TopicInfo, error) {
	b.mu.Lock()
	info, ok := b.infos[name]
	b.mu.Unlock()
	if ok {
		return info, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := b.learn(ctx, []string{name}); err != nil {
		return info, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.infos[name], nil
}

// learn asks the cluster about topics that must exist. A configuration that cannot be read is not checked against.
func (b *topicBook) learn(ctx context.Context, names []string) error {
	found, err := b.ask(ctx, names...)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		if t := found[name]; t.Err != nil {
			errs = append(errs, fmt.Errorf("topic %s: %w", name, t.Err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	configs, err := b.client.DescribeTopicConfigs(ctx, names...)
	if err != nil {
		b.log("configurations of topics cannot be read: what their brokers refuse is found out there", "err", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range names {
		info := TopicInfo{Partitions: int32(len(found[name].Partitions))}
		if c, ok := configs[name]; ok {
			info.MaxRecordBytes, _ = strconv.Atoi(c["max.message.bytes"].Value)
			info.Compacted = slices.Contains(strings.Split(c["cleanup.policy"].Value, ","), "compact")
		}
		b.infos[name] = info
	}
	return nil
}

// prepareTopics looks at the topics of the user, checks that those of joins fit, and creates the application's own, or
// checks those that exist.
func prepareTopics(ctx context.Context, client *kafka.Client, cfg *AppConfig) (*topicBook, error) {
	b := &topicBook{client: client, log: cfg.Logger.Warn, infos: map[string]TopicInfo{}}
	external, err := b.external(ctx, cfg)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for name, n := range external {
		counts[name] = int(n)
	}
	internal, err := cfg.Topology.Partitions(counts)
	if err != nil {
		return nil, err
	}
	for name, n := range internal {
		external[name] = int32(n)
	}
	b.inputs = inputsOf(cfg.Topology, external)
	wanted, err := b.wanted(ctx, cfg, internal)
	if err != nil {
		return nil, err
	}
	if err := b.create(ctx, wanted); err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, t := range wanted {
		names[t.Name] = true
	}
	for _, sub := range cfg.Topology.Subs {
		for _, sink := range sub.Sinks {
			names[sink] = true
		}
	}
	return b, b.learn(ctx, slices.Sorted(maps.Keys(names)))
}

// external returns the partition counts of the user's source topics. Missing ones are reported by the topology, with the
// place in the program that reads them.
func (b *topicBook) external(ctx context.Context, cfg *AppConfig) (map[string]int32, error) {
	own := map[string]bool{}
	for _, in := range cfg.Topology.Internals {
		own[in.Topic] = true
	}
	var names []string
	patterns := false
	for _, sub := range cfg.Topology.Subs {
		patterns = patterns || len(sub.Patterns) > 0
		for _, t := range sub.Topics {
			if !own[t] {
				names = append(names, t)
			}
		}
	}
	if patterns {
		names = nil // all of the cluster
	}
	found, err := b.ask(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("source topics: %w", err)
	}
	counts := map[string]int32{}
	for name, t := range found {
		switch {
		case t.Err != nil && !kafka.IsMissing(t.Err):
			return nil, fmt.Errorf("source topic %s: %w", name, t.Err)
		case t.Err == nil && cfg.Topology.Source(name) != nil:
			counts[name] = int32(len(t.Partitions))
		}
	}
	return counts, nil
}

// inputsOf returns what each sub-topology reads.
func inputsOf(t *topology.Topology, counts map[string]int32) []map[string]int32 {
	inputs := make([]map[string]int32, len(t.Subs))
	for i := range inputs {
		inputs[i] = map[string]int32{}
	}
	for name, n := range counts {
		if src := t.Source(name); src != nil {
			inputs[src.Sub][name] = n
		}
	}
	return inputs
}

// tasksOf is the number of tasks of a sub-topology.
func (b *topicBook) tasksOf(sub int) (n int32) {
	for _, count := range b.inputs[sub] {
		n = max(n, count)
	}
	return n
}

// Configurations of internal topics, as Kafka Streams makes them.
var (
	repartitionConfig = map[string]string{"cleanup.policy": "delete", "segment.bytes": "52428800", "retention.ms": "-1",
		"message.timestamp.type": "CreateTime"}
	changelogConfig = map[string]string{"message.timestamp.type": "CreateTime"}
)

const (
	deadLetterRetention = "2592000000" // 30 days
	deadLetterRoom      = 64 << 10     // beyond the sources' max.message.bytes, for the headers
	defaultMaxMessage   = 1 << 20
)

// wanted lists the topics that the application needs for itself.
func (b *topicBook) wanted(ctx context.Context, cfg *AppConfig, internal map[string]int) ([]kafka.NewTopic, error) {
	var topics []kafka.NewTopic
	for _, name := range slices.Sorted(maps.Keys(internal)) {
		topics = append(topics, kafka.NewTopic{Name: name, Partitions: int32(internal[name]), Replication: cfg.Replication,
			Configs: repartitionConfig})
	}
	for _, st := range cfg.Topology.Stores {
		if st.Changelog == "" || b.reads(st.Changelog) {
			continue
		}
		configs := maps.Clone(changelogConfig)
		maps.Copy(configs, st.Spec.TopicConfig)
		topics = append(topics, kafka.NewTopic{Name: st.Changelog, Partitions: b.tasksOf(st.Sub), Replication: cfg.Replication,
			Configs: configs})
	}
	if cfg.DeadLetters == "" {
		return topics, nil
	}
	partitions, size := int32(1), defaultMaxMessage
	var sources []string
	for _, in := range b.inputs {
		for name, n := range in {
			partitions = max(partitions, n)
			if _, own := internal[name]; !own {
				sources = append(sources, name)
			}
		}
	}
	configs, err := b.client.DescribeTopicConfigs(ctx, sources...)
	if err != nil {
		b.log("configurations of source topics cannot be read", "err", err)
	}
	for _, c := range configs {
		n, _ := strconv.Atoi(c["max.message.bytes"].Value)
		size = max(size, n)
	}
	return append(topics, kafka.NewTopic{Name: cfg.DeadLetters, Partitions: partitions, Replication: cfg.Replication,
		Configs: map[string]string{"cleanup.policy": "delete", "retention.ms": deadLetterRetention,
			"max.message.bytes": strconv.Itoa(size + deadLetterRoom)}}), nil
}

func (b *topicBook) reads(topic string) bool {
	return slices.ContainsFunc(b.inputs, func(in map[string]int32) bool { _, ok := in[topic]; return ok })
}

// create makes the topics that are missing, and checks those that exist.
func (b *topicBook) create(ctx context.Context, wanted []kafka.NewTopic) error {
	if len(wanted) == 0 {
		return nil
	}
	names := make([]string, len(wanted))
	for i, t := range wanted {
		names[i] = t.Name
	}
	found, err := b.ask(ctx, names...)
	if err != nil {
		return fmt.Errorf("internal topics: %w", err)
	}
	var missing []kafka.NewTopic
	for _, t := range wanted {
		if found[t.Name].Err != nil {
			missing = append(missing, t)
		}
	}
	if len(missing) > 0 {
		if _, err := b.client.CreateTopics(ctx, missing...); err != nil {
			return fmt.Errorf("internal topics: %w", err)
		}
		if found, err = b.await(ctx, names); err != nil {
			return err
		}
	}
	var errs []error
	for i, t := range wanted {
		n := int32(len(found[t.Name].Partitions))
		letters := i == len(wanted)-1 && t.Configs["retention.ms"] == deadLetterRetention
		if n != t.Partitions && !letters {
			errs = append(errs, fmt.Errorf("internal topic %s has %d partitions, the program needs %d: the partition count of a "+
				"source has changed, or the topic is another application's; reset the application, or choose another id", t.Name, n,
				t.Partitions))
		}
	}
	return errors.Join(errs...)
}

// await waits until topics that were just created are known.
func (b *topicBook) await(ctx context.Context, names []string) (map[string]kafka.TopicInfo, error) {
	pause := 10 * time.Millisecond
	for end := time.Now().Add(30 * time.Second); ; {
		found, err := b.client.Topics(ctx, names...)
		missing := ""
		for _, name := range names {
			if found[name].Err != nil || len(found[name].Partitions) == 0 {
				missing = cmp.Or(missing, name)
				err = errors.Join(err, found[name].Err)
			}
		}
		if err == nil && missing == "" {
			return found, nil
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("internal topic %s was created but does not appear: %w", missing, err)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(pause):
			pause = min(2*pause, 500*time.Millisecond)
		}
	}
}
