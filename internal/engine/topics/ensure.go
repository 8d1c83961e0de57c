package topics

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/topology"
)

// Admin is what Ensure needs of a client; *kafka.Client has it.
type Admin interface {
	Topics(ctx context.Context, names ...string) (map[string]kafka.TopicInfo, error)
	Brokers(ctx context.Context) ([]kafka.Broker, error)
	DescribeTopicConfigs(ctx context.Context, topics ...string) (map[string]map[string]kafka.ConfigValue, error)
	DescribeBrokerConfigs(ctx context.Context, node int32) (map[string]kafka.ConfigValue, error)
	Rights(ctx context.Context, topics ...string) (map[string]kafka.Rights, error)
	CreateTopics(ctx context.Context, topics ...kafka.NewTopic) (existed []string, err error)
}

var _ Admin = (*kafka.Client)(nil)

// Ready is an application's topics, all there and right.
type Ready struct {
	*Plan
	Limits  map[string]Limits
	Created []string
	// Unreadable are source and sink topics whose configurations may not be read: their records are not checked before they
	// are sent.
	Unreadable []string
}

// Ensure brings a cluster to what an application needs, or says all that is in the way.
func Ensure(ctx context.Context, admin Admin, t *topology.Topology, cfg Config) (*Ready, error) {
	sources, sinks := Sources(t)
	users := slices.Concat(sources, sinks)
	for _, g := range t.Globals {
		users = append(users, g.Topic)
	}
	match, err := Matching(ctx, admin, t, cfg)
	if err != nil {
		return nil, err
	}
	users = slices.AppendSeq(users, maps.Keys(match))
	slices.Sort(users)
	found, err := Look(ctx, admin, slices.Compact(users))
	if err != nil {
		return nil, err
	}
	r := &Ready{Limits: map[string]Limits{}}
	if r.Plan, err = NewPlan(t, cfg, found); err != nil {
		return nil, err
	}
	if err := r.ours(ctx, admin, found); err != nil {
		return nil, err
	}
	if err := r.create(ctx, admin, cfg, found); err != nil {
		return nil, err
	}
	if err := r.rights(ctx, admin, t); err != nil {
		return nil, err
	}
	for name, f := range found {
		r.Limits[name] = LimitsOf(f)
		if f.Partitions > 0 && f.Configs == nil {
			r.Unreadable = append(r.Unreadable, name)
		}
	}
	slices.Sort(r.Unreadable)
	return r, nil
}

// Matching asks which topics the program's sources read by a pattern now, and how many partitions each has. One whose state the
// cluster cannot tell at the moment is there without partitions.
func Matching(ctx context.Context, admin Admin, t *topology.Topology, cfg Config) (map[string]int32, error) {
	match := map[string]int32{}
	if !Patterned(t) {
		return match, nil
	}
	all, err := admin.Topics(ctx)
	if err != nil {
		return nil, err
	}
	for name, info := range all {
		if !info.Internal && !kafka.IsMissing(info.Err) && cfg.byPattern(t, name) {
			match[name] = int32(len(info.Partitions))
		}
	}
	return match, nil
}

// ours looks at the internal topics and checks those that exist.
func (r *Ready) ours(ctx context.Context, admin Admin, found map[string]Found) error {
	names := make([]string, len(r.Internal))
	for i, w := range r.Internal {
		names[i] = w.Name
	}
	internal, err := Look(ctx, admin, names)
	if err != nil {
		return err
	}
	maps.Copy(found, internal)
	return r.Check(found)
}

// Look finds out what a cluster has of some topics. Those that do not exist are left out.
func Look(ctx context.Context, admin Admin, names []string) (map[string]Found, error) {
	found := make(map[string]Found, len(names))
	if len(names) == 0 {
		return found, nil
	}
	infos, err := admin.Topics(ctx, names...)
	if err != nil {
		return nil, err
	}
	var there []string
	var errs []error
	for _, name := range names {
		info, ok := infos[name]
		switch {
		case !ok || kafka.IsMissing(info.Err):
		case info.Err != nil:
			errs = append(errs, fmt.Errorf("topic %s: %w", name, info.Err))
		default:
			found[name] = Found{Partitions: int32(len(info.Partitions))}
			there = append(there, name)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	configs, err := admin.DescribeTopicConfigs(ctx, there...)
	if err != nil && !denied(err) {
		return nil, err
	}
	for name, entries := range configs {
		f := found[name]
		f.Configs = make(map[string]string, len(entries))
		for key, v := range entries {
			f.Configs[key] = v.Value
		}
		found[name] = f
	}
	return found, nil
}

// Codes of brokers that mean something here.
const (
	codeReplication = kafka.Code(38)
	codeTopicDenied = kafka.Code(29)
	codeDenied      = kafka.Code(31)
)

func denied(err error) bool { return errors.Is(err, codeTopicDenied) || errors.Is(err, codeDenied) }

// create makes what is missing, and waits until it can be used.
func (r *Ready) create(ctx context.Context, admin Admin, cfg Config, found map[string]Found) error {
	missing := r.Missing(found)
	if len(missing) == 0 {
		return nil
	}
	list := make([]kafka.NewTopic, len(missing))
	names := make([]string, len(missing))
	for i, w := range missing {
		list[i] = kafka.NewTopic{Name: w.Name, Partitions: w.Partitions, Replication: cfg.Replication, Configs: w.Configs}
		names[i] = w.Name
	}
	existed, err := admin.CreateTopics(ctx, list...)
	if errors.Is(err, codeReplication) && cfg.Replication == 0 {
		// Brokers before 2.4 have no default for those who ask for it.
		if n, ok := defaultReplication(ctx, admin); ok {
			for i := range list {
				list[i].Replication = n
			}
			var more []string
			more, err = admin.CreateTopics(ctx, list...)
			existed = append(existed, more...)
		}
	}
	if err != nil {
		return creationError(err, missing)
	}
	if err := await(ctx, admin, names); err != nil {
		return err
	}
	// What another instance has made meanwhile, and what the broker made of what was asked, is checked as well.
	now, err := Look(ctx, admin, names)
	if err != nil {
		return err
	}
	maps.Copy(found, now)
	for _, name := range names {
		if !slices.Contains(existed, name) {
			r.Created = append(r.Created, name)
		}
	}
	return r.Check(found)
}

func defaultReplication(ctx context.Context, admin Admin) (int16, bool) {
	brokers, err := admin.Brokers(ctx)
	if err != nil || len(brokers) == 0 {
		return 0, false
	}
	configs, err := admin.DescribeBrokerConfigs(ctx, brokers[0].ID)
	if err != nil {
		return 0, false
	}
	n, ok := number(map[string]string{"": configs["default.replication.factor"].Value}, "")
	return int16(n), ok && n > 0 && n <= int64(len(brokers))
}

// CreationError says that internal topics could not be created, and how to do it by hand.
type CreationError struct {
	Topics []Wanted
	Err    error
}

func creationError(err error, missing []Wanted) error { return &CreationError{missing, err} }

func (e *CreationError) Error() string {
	s := fmt.Sprintf("internal topics cannot be created: %v; grant CREATE on them, or create them by hand:", e.Err)
	for _, w := range e.Topics {
		s += "\n  " + describe(w)
	}
	return s
}

func (e *CreationError) Unwrap() error { return e.Err }

const (
	awaitPause = 50 * time.Millisecond
	awaitLimit = 30 * time.Second
)

// await waits until every partition of new topics has a leader that brokers tell of.
func await(ctx context.Context, admin Admin, names []string) error {
	limit := time.NewTimer(awaitLimit)
	defer limit.Stop()
	for {
		infos, err := admin.Topics(ctx, names...)
		if err != nil {
			return err
		}
		waiting := ""
		for _, name := range names {
			info, ok := infos[name]
			if ok && info.Err != nil && !kafka.IsMissing(info.Err) && !kafka.Retriable(info.Err) {
				return fmt.Errorf("topic %s: %w", name, info.Err)
			}
			if !ok || info.Err != nil || slices.ContainsFunc(info.Partitions, func(p kafka.PartitionInfo) bool { return p.Leader.Node < 0 }) {
				waiting = name
			}
		}
		if waiting == "" {
			return nil
		}
		pause := time.NewTimer(awaitPause)
		select {
		case <-pause.C:
		case <-limit.C:
			pause.Stop()
			return fmt.Errorf("topic %s: was created, and still has partitions without a leader after %v: look at the brokers' logs", waiting, awaitLimit)
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
}
