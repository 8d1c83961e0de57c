package topics

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/oxbow-streams/oxbow/internal/engine/assign"
	"github.com/oxbow-streams/oxbow/topology"
)

// Config is what the application says of its internal topics.
type Config struct {
	// DeadLetter is the topic of dead letters. Empty: <app>-dlq.
	DeadLetter   string
	NoDeadLetter bool
	// Replication is the replication factor of what is created. 0: the brokers' default.
	Replication int16
	// TopicConfigs are set on every topic that is created. What decides whether data stays is not among them: it depends on
	// the kind of topic.
	TopicConfigs map[string]string
}

// Role says what a topic is for.
type Role uint8

// The roles of internal topics.
const (
	Repartition Role = iota
	Changelog
	DeadLetters
)

func (r Role) String() string {
	return [...]string{"repartition topic", "changelog", "dead letter topic"}[r]
}

// Wanted is an internal topic as the application needs it.
type Wanted struct {
	Name       string
	Role       Role
	Store      string // of a changelog
	Partitions int32
	Configs    map[string]string
}

// Plan is what an application needs of a cluster.
type Plan struct {
	Subs     []assign.Sub
	Internal []Wanted // by name
	// Partitions are the counts of all sources, repartition topics and changelogs.
	Partitions map[string]int32
	DeadLetter string // empty: none
}

// Configurations that matter here.
const (
	cleanupPolicy    = "cleanup.policy"
	retentionMs      = "retention.ms"
	retentionBytes   = "retention.bytes"
	segmentBytes     = "segment.bytes"
	timestampType    = "message.timestamp.type"
	minCompactionLag = "min.compaction.lag.ms"
	maxMessageBytes  = "max.message.bytes"
	deleteRetention  = "delete.retention.ms"
	createTime       = "CreateTime"
	thirtyDays       = "2592000000"
	letterRoom       = 64 << 10 // a dead letter is a source record and its headers
)

// Sources are the names of the topics that the program reads and that it does not create, sorted; sinks those it writes to.
func Sources(t *topology.Topology) (sources, sinks []string) {
	ours := map[string]bool{}
	for _, in := range t.Internals {
		ours[in.Topic] = true
	}
	for _, sub := range t.Subs {
		sources = append(sources, sub.Topics...)
		sinks = append(sinks, sub.Sinks...)
	}
	clean := func(names []string) []string {
		slices.Sort(names)
		return slices.DeleteFunc(slices.Compact(names), func(n string) bool { return ours[n] })
	}
	return clean(sources), clean(sinks)
}

// Patterned tells whether a source of the program is given by a pattern.
func Patterned(t *topology.Topology) bool {
	return slices.ContainsFunc(t.Subs, func(s *topology.Sub) bool { return len(s.Patterns) > 0 })
}

// byPattern tells whether a source reads a topic because its pattern matches. The application's own topics do not count.
func (cfg *Config) byPattern(t *topology.Topology, name string) bool {
	own, ok := strings.CutPrefix(name, t.App+"-")
	if name == cfg.DeadLetter || ok && (own == "dlq" || strings.HasSuffix(own, "-changelog") || strings.HasSuffix(own, "-repartition")) {
		return false
	}
	n := t.Source(name)
	return n != nil && !slices.Contains(t.Subs[n.Sub].Topics, name)
}

// matched are the topics that sources read by a pattern, sorted.
func (cfg *Config) matched(t *topology.Topology, found map[string]Found) (names []string) {
	if !Patterned(t) {
		return nil
	}
	for name, f := range found {
		if f.Partitions > 0 && cfg.byPattern(t, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// NewPlan computes what an application needs. found has the topics of the cluster that it reads and writes; those that are
// missing are reported, all at once.
func NewPlan(t *topology.Topology, cfg Config, found map[string]Found) (*Plan, error) {
	for _, key := range []string{cleanupPolicy, retentionMs, retentionBytes, minCompactionLag, timestampType} {
		if v, ok := cfg.TopicConfigs[key]; ok {
			return nil, fmt.Errorf("topics config: TopicConfigs[%s] = %s: it depends on the kind of topic; leave it out, and set it on the store if it is a changelog's", key, v)
		}
	}
	sources, sinks := Sources(t)
	match := cfg.matched(t, found)
	sources = append(sources, match...)
	external := map[string]int{}
	for _, name := range sources {
		external[name] = int(found[name].Partitions)
	}
	internal, err := t.Partitions(external)
	errs := []error{err}
	for _, name := range match {
		if n := t.Matching(name); len(n) > 1 {
			errs = append(errs, fmt.Errorf("topic %q matches the patterns %q at %s and %q at %s: narrow one of them, a topic is read by "+
				"one source", name, n[0].Pattern, n[0].Site, n[1].Pattern, n[1].Site))
		}
	}
	for _, g := range t.Globals {
		if found[g.Topic].Partitions == 0 {
			errs = append(errs, fmt.Errorf("topic %q of the global store %s does not exist: create it before the start, with "+
				"cleanup.policy compact", g.Topic, g.Store.Name))
		}
	}
	for _, name := range sinks {
		if found[name].Partitions == 0 && !slices.Contains(sources, name) {
			errs = append(errs, fmt.Errorf("sink topic %q does not exist: create it before the start", name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	p := &Plan{Partitions: map[string]int32{}}
	for name, n := range external {
		p.Partitions[name] = int32(n)
	}
	for name, n := range internal {
		if n == 0 { // no topic matches the pattern that it adopts its count from, so far
			continue
		}
		p.Partitions[name] = int32(n)
		p.want(cfg, Wanted{Name: name, Role: Repartition, Partitions: int32(n), Configs: map[string]string{
			cleanupPolicy: "delete", retentionMs: "-1", segmentBytes: "52428800", timestampType: createTime,
		}})
	}
	for _, sub := range t.Subs {
		if sub.Global == nil {
			p.addSub(t, cfg, sub)
		}
	}
	if !cfg.NoDeadLetter {
		p.addDeadLetters(t.App, cfg, sources, found)
	}
	slices.SortFunc(p.Internal, func(a, b Wanted) int { return strings.Compare(a.Name, b.Name) })
	return p, nil
}

func (p *Plan) addSub(t *topology.Topology, cfg Config, sub *topology.Sub) {
	s := assign.Sub{ID: int32(sub.ID), Stateful: len(sub.Stores) > 0}
	for _, name := range slices.Sorted(maps.Keys(p.Partitions)) {
		if n := t.Source(name); n != nil && n.Sub == sub.ID {
			s.Topics = append(s.Topics, assign.Topic{Name: name, Partitions: p.Partitions[name]})
		}
	}
	p.Subs = append(p.Subs, s)
	for _, st := range sub.Stores {
		if st.Changelog == "" || slices.Contains(sub.Topics, st.Changelog) || s.Tasks() == 0 {
			continue // not logged, or restored from a source topic, or no topic matches the pattern so far
		}
		configs := maps.Clone(st.Spec.TopicConfig)
		if configs == nil {
			configs = map[string]string{}
		}
		if configs[cleanupPolicy] == "" {
			configs[cleanupPolicy] = "compact"
		}
		configs[timestampType] = createTime
		p.Partitions[st.Changelog] = s.Tasks()
		p.want(cfg, Wanted{Name: st.Changelog, Role: Changelog, Store: st.Name, Partitions: s.Tasks(), Configs: configs})
	}
}

// addDeadLetters wants a topic as wide as the widest source, for records that are a little larger than the largest.
func (p *Plan) addDeadLetters(app string, cfg Config, sources []string, found map[string]Found) {
	p.DeadLetter = cfg.DeadLetter
	if p.DeadLetter == "" {
		p.DeadLetter = app + "-dlq"
	}
	widest, largest := int32(1), int64(0)
	for _, name := range sources {
		widest = max(widest, found[name].Partitions)
		largest = max(largest, int64(LimitsOf(found[name]).MaxMessageBytes))
	}
	if largest == 0 {
		largest = defaultMaxMessage
	}
	p.want(cfg, Wanted{Name: p.DeadLetter, Role: DeadLetters, Partitions: widest, Configs: map[string]string{
		cleanupPolicy: "delete", retentionMs: thirtyDays, timestampType: createTime,
		maxMessageBytes: fmt.Sprint(min(largest+letterRoom, math.MaxInt32)),
	}})
}

// want adds a topic, with what the application sets for all of them.
func (p *Plan) want(cfg Config, w Wanted) {
	for key, v := range cfg.TopicConfigs {
		needed, ok := number(w.Configs, key)
		if n, isNumber := number(cfg.TopicConfigs, key); key == maxMessageBytes && ok && isNumber && n < needed {
			continue
		}
		w.Configs[key] = v
	}
	p.Internal = append(p.Internal, w)
}
