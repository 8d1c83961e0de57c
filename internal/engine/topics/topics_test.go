package topics_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/engine/topics"
	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/internal/kafka/kafkatest"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/topology"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func from(b *stream.Builder, topic string) stream.Stream[string, string] {
	return stream.From(b, topic, serde.String, serde.String)
}

func build(t testing.TB, b *stream.Builder) *topology.Topology {
	t.Helper()
	top, err := b.Build("app")
	if err != nil {
		t.Fatal(err)
	}
	return top
}

// wordCount reads in, counts by word through a repartition topic, and writes out.
func wordCount(t testing.TB) *topology.Topology {
	b := stream.NewBuilder()
	words := stream.GroupBy(from(b, "in"), func(_, v string) string { return v })
	show := func(_ string, n int64) string { return fmt.Sprint(n) }
	stream.MapTable(words.Count(stream.As("counts")), show).ToStream().To("out", stream.WithValue(serde.String))
	return build(t, b)
}

// twice sends in through two repartition topics, one after the other, and joins the end of the chain with a table.
func twice(t testing.TB, opts ...stream.TopicOption) *topology.Topology {
	b := stream.NewBuilder()
	again := func(k, v string) string { return v }
	one := stream.SelectKey(from(b, "in"), again).Repartition(opts...)
	two := stream.SelectKey(one, again).Repartition()
	users := stream.TableFrom(b, "users", serde.String, serde.String, stream.As("users"))
	stream.JoinTable(two, users, func(_, v, u string) string { return v + u }).To("out", stream.WithValue(serde.String))
	return build(t, b)
}

func there(n int32, configs ...string) topics.Found {
	f := topics.Found{Partitions: n, Configs: map[string]string{}}
	for i := 0; i < len(configs); i += 2 {
		f.Configs[configs[i]] = configs[i+1]
	}
	return f
}

func lines(p *topics.Plan) (out []string) {
	for _, w := range p.Internal {
		s := fmt.Sprintf("%s %d", w.Name, w.Partitions)
		for _, k := range slices.Sorted(maps.Keys(w.Configs)) {
			s += " " + k + "=" + w.Configs[k]
		}
		out = append(out, s)
	}
	return out
}

func TestPlanOfWordCount(t *testing.T) {
	p, err := topics.NewPlan(wordCount(t), topics.Config{}, map[string]topics.Found{
		"in": there(5, "max.message.bytes", "2000000"), "out": there(3),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"app-counts-changelog 5 cleanup.policy=compact message.timestamp.type=CreateTime",
		"app-counts-repartition 5 cleanup.policy=delete message.timestamp.type=CreateTime retention.ms=-1 segment.bytes=52428800",
		"app-dlq 5 cleanup.policy=delete max.message.bytes=2065536 message.timestamp.type=CreateTime retention.ms=2592000000",
	}
	if got := lines(p); !slices.Equal(got, want) {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
	if got := fmt.Sprint(p.Subs); got != "[{0 [{in 5}] false} {1 [{app-counts-repartition 5}] true}]" {
		t.Error(got)
	}
}

func TestPartitionCountsFollow(t *testing.T) {
	for name, tc := range map[string]struct {
		top    *topology.Topology
		in     int32
		users  int32
		wanted string
	}{
		"the table decides for the end of the chain": {twice(t), 8, 3, "8 3 3"},
		"and if it is the larger one":                {twice(t), 2, 6, "2 6 6"},
		"a count that is set":                        {twice(t, stream.Partitions(4)), 8, 3, "4 3 3"},
	} {
		p, err := topics.NewPlan(tc.top, topics.Config{NoDeadLetter: true}, map[string]topics.Found{
			"in": there(tc.in), "users": there(tc.users), "out": there(1),
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var repartitions []string
		for _, w := range p.Internal {
			if w.Role == topics.Repartition {
				repartitions = append(repartitions, w.Name)
			}
		}
		if len(repartitions) != 2 {
			t.Fatal(lines(p))
		}
		got := fmt.Sprint(p.Partitions[repartitions[0]], p.Partitions[repartitions[1]], p.Partitions["app-users-changelog"])
		if got != tc.wanted {
			t.Errorf("%s: %s, want %s (%v)", name, got, tc.wanted, p.Partitions)
		}
	}
}

func TestEverythingThatIsMissingIsNamed(t *testing.T) {
	_, err := topics.NewPlan(twice(t), topics.Config{}, nil)
	for _, want := range []string{`source topic "in" does not exist`, `source topic "users" does not exist`, `sink topic "out" does not exist`, "topics_test.go:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nlacks %q", err, want)
		}
	}
}

func TestCopartitionNamesBothTopics(t *testing.T) {
	b := stream.NewBuilder()
	users := stream.TableFrom(b, "users", serde.String, serde.String)
	stream.JoinTable(from(b, "orders"), users, func(_, v, u string) string { return v + u }).To("out", stream.WithValue(serde.String))
	_, err := topics.NewPlan(build(t, b), topics.Config{}, map[string]topics.Found{"orders": there(4), "users": there(6), "out": there(1)})
	var ce *topology.CopartitionError
	if !errors.As(err, &ce) || !strings.Contains(err.Error(), "orders has 4 partitions, users 6") {
		t.Error(err)
	}
}

func TestPatternsReadWhatMatches(t *testing.T) {
	b := stream.NewBuilder()
	s := stream.FromPattern(b, regexp.MustCompile("app.*|in-.*"), serde.String, serde.String)
	stream.GroupBy(s, func(_, v string) string { return v }).Count(stream.As("counts"))
	found := map[string]topics.Found{"in-1": there(3), "in-2": there(7), "other": there(9), "app-dlq": there(20), "app-x-changelog": there(20)}
	p, err := topics.NewPlan(build(t, b), topics.Config{}, found)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(p.Subs); got != "[{0 [{in-1 3} {in-2 7}] false} {1 [{app-counts-repartition 7}] true}]" {
		t.Error(got)
	}
}

// Before any topic matches, it is not known how many partitions internal topics get: they are not made.
func TestPatternsThatMatchNothing(t *testing.T) {
	b := stream.NewBuilder()
	s := stream.FromPattern(b, regexp.MustCompile("in-.*"), serde.String, serde.String)
	s.GroupByKey().Count(stream.As("plain"))
	stream.GroupBy(s, func(_, v string) string { return v }).Count(stream.As("counts"))
	p, err := topics.NewPlan(build(t, b), topics.Config{NoDeadLetter: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := lines(p); len(got) > 0 {
		t.Errorf("wanted: %v", got)
	}
}

func TestTwoPatternsMatchOneTopic(t *testing.T) {
	b := stream.NewBuilder()
	for _, p := range []string{"in-.*", ".*-1"} {
		stream.FromPattern(b, regexp.MustCompile(p), serde.String, serde.String).GroupByKey().Count()
	}
	_, err := topics.NewPlan(build(t, b), topics.Config{}, map[string]topics.Found{"in-1": there(1), "in-2": there(1)})
	for _, want := range []string{`topic "in-1" matches the patterns "in-.*" at`, `and ".*-1" at`, "topics_test.go:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nlacks %q", err, want)
		}
	}
}

func TestConfigsOfTheUser(t *testing.T) {
	found := map[string]topics.Found{"in": there(1), "out": there(1)}
	p, err := topics.NewPlan(wordCount(t), topics.Config{DeadLetter: "letters", TopicConfigs: map[string]string{
		"min.insync.replicas": "2", "max.message.bytes": "5000",
	}}, found)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range p.Internal {
		size := map[bool]string{true: "1114124", false: "5000"}[w.Role == topics.DeadLetters]
		if w.Configs["min.insync.replicas"] != "2" || w.Configs["max.message.bytes"] != size {
			t.Errorf("%+v", w)
		}
	}
	if p.DeadLetter != "letters" {
		t.Error(p.DeadLetter)
	}
	_, err = topics.NewPlan(wordCount(t), topics.Config{TopicConfigs: map[string]string{"cleanup.policy": "delete"}}, found)
	if err == nil || !strings.Contains(err.Error(), "TopicConfigs[cleanup.policy]") {
		t.Error(err)
	}
}

func TestChecks(t *testing.T) {
	plan := func(configs map[string]string) *topics.Plan {
		top := wordCount(t)
		if configs != nil {
			top.Stores[0].Spec.TopicConfig = configs
		}
		p, err := topics.NewPlan(top, topics.Config{}, map[string]topics.Found{"in": there(4), "out": there(1)})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	kv, windows := plan(nil), plan(map[string]string{"cleanup.policy": "compact,delete", "retention.ms": "100000"})
	versions := plan(map[string]string{"cleanup.policy": "compact", "min.compaction.lag.ms": "5000"})
	const log, parts, letters = "app-counts-changelog", "app-counts-repartition", "app-dlq"
	for _, tc := range []struct {
		plan  *topics.Plan
		topic string
		found topics.Found
		fault string // beginning of the only fault; "": none
	}{
		{kv, log, there(4, "cleanup.policy", "compact"), ""},
		{kv, log, there(5, "cleanup.policy", "compact"), log + " (changelog): partitions is 5, wanted 4: "},
		{kv, log, there(4, "cleanup.policy", "delete"), log + " (changelog): cleanup.policy is delete, wanted compact: "},
		{kv, log, there(4, "cleanup.policy", "delete, compact"), log + " (changelog): cleanup.policy is delete, compact, wanted compact: "},
		{kv, log, there(4, "cleanup.policy", ""), log + " (changelog): cleanup.policy is , wanted compact: "},
		{kv, log, there(4, "cleanup.policy", "compact", "message.timestamp.type", "LogAppendTime"), log + " (changelog): message.timestamp.type is "},
		{kv, log, topics.Found{Partitions: 4}, log + " (changelog): configuration is not readable"},
		{windows, log, there(4, "cleanup.policy", "delete,compact", "retention.ms", "100000", "retention.bytes", "-1"), ""},
		{windows, log, there(4, "cleanup.policy", "compact"), ""},
		{windows, log, there(4, "cleanup.policy", "compact,delete", "retention.ms", "-1"), ""},
		{windows, log, there(4, "cleanup.policy", "compact,delete", "retention.ms", "99999"), log + " (changelog): retention.ms is 99999, wanted 100000: "},
		{windows, log, there(4, "cleanup.policy", "compact,delete", "retention.ms", "100000", "retention.bytes", "5"), log + " (changelog): retention.bytes is 5, wanted -1: "},
		{versions, log, there(4, "cleanup.policy", "compact", "min.compaction.lag.ms", "5000"), ""},
		{versions, log, there(4, "cleanup.policy", "compact", "min.compaction.lag.ms", "0"), log + " (changelog): min.compaction.lag.ms is 0, wanted 5000: "},
		{kv, parts, there(4, "cleanup.policy", "delete", "retention.ms", "-1", "retention.bytes", "-1"), ""},
		{kv, parts, there(4, "cleanup.policy", ""), ""},
		{kv, parts, there(4, "cleanup.policy", "delete", "retention.ms", "604800000"), parts + " (repartition topic): retention.ms is 604800000, wanted -1: "},
		{kv, parts, there(4, "cleanup.policy", "compact"), parts + " (repartition topic): cleanup.policy is compact, wanted delete: "},
		{kv, letters, there(1, "cleanup.policy", "delete", "max.message.bytes", "1114124"), ""},
		{kv, letters, there(9, "cleanup.policy", "delete", "max.message.bytes", "1048588"), letters + " (dead letter topic): max.message.bytes is 1048588, wanted 1114124: "},
		{kv, letters, there(4, "cleanup.policy", "compact"), letters + " (dead letter topic): cleanup.policy is compact, wanted delete: "},
	} {
		err := tc.plan.Check(map[string]topics.Found{tc.topic: tc.found})
		switch {
		case tc.fault == "" && err != nil:
			t.Errorf("%s %v: %v", tc.topic, tc.found, err)
		case tc.fault != "" && (err == nil || !strings.HasPrefix(err.Error(), tc.fault) || strings.Contains(err.Error(), "\n")):
			t.Errorf("%s %v: %v, want %s", tc.topic, tc.found, err, tc.fault)
		}
		var we *topics.WrongTopicError
		if tc.fault != "" && (!errors.As(err, &we) || we.Topic != tc.topic || we.Fix == "" || we.Why == "") {
			t.Errorf("%s: %#v", tc.topic, err)
		}
	}
	all := kv.Check(map[string]topics.Found{log: there(1, "cleanup.policy", "delete"), parts: there(1, "cleanup.policy", "compact")})
	if n := strings.Count(all.Error(), "\n") + 1; n != 4 {
		t.Errorf("%d faults: %v", n, all)
	}
}

func TestLimits(t *testing.T) {
	l := topics.LimitsOf(there(3, "max.message.bytes", "77", "cleanup.policy", "delete,compact", "message.timestamp.type", "LogAppendTime",
		"message.timestamp.difference.max.ms", "9", "message.timestamp.after.max.ms", "4", "delete.retention.ms", "12"))
	if fmt.Sprint(l) != "{true 3 77 true true 9 4 12}" {
		t.Errorf("%+v", l)
	}
	if l := topics.LimitsOf(topics.Found{Partitions: 1}); l.Known || l.MaxMessageBytes != 1048588 || l.MaxBefore < 1<<62 || l.DeleteRetention != 86400000 {
		t.Errorf("%+v", l)
	}
}

// cluster is a kfake with the topics of the word count, and a client of it.
func cluster(t *testing.T, opts ...kfake.Opt) (*kfake.Cluster, *kafka.Client) {
	t.Helper()
	net := &kafkatest.Network{}
	opts = append([]kfake.Opt{kfake.NumBrokers(2), kfake.ListenFn(net.Listen), kfake.SeedTopics(5, "in"), kfake.SeedTopics(3, "out")}, opts...)
	c, err := kfake.NewCluster(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	client, err := kafka.Open(kafka.Config{Brokers: c.ListenAddrs(), Dial: net.Dial, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return c, client
}

func TestEnsure(t *testing.T) {
	c, client := cluster(t)
	ready, err := topics.Ensure(t.Context(), client, wordCount(t), topics.Config{Replication: 2})
	if err != nil {
		t.Fatal(err)
	}
	all := []string{"app-counts-changelog", "app-counts-repartition", "app-dlq"}
	if !slices.Equal(ready.Created, all) || ready.DeadLetter != "app-dlq" || len(ready.Unreadable) > 0 {
		t.Errorf("%+v", ready)
	}
	for _, name := range all {
		info := c.TopicInfo(name)
		if info == nil || c.PartitionInfo(name, 4) == nil || c.PartitionInfo(name, 5) != nil || info.NumReplicas != 2 {
			t.Errorf("%s: %+v", name, info)
		}
	}
	for name, want := range map[string]topics.Limits{
		"app-counts-changelog": {Known: true, Partitions: 5, Compacted: true, MaxMessageBytes: 1048588},
		"app-dlq":              {Known: true, Partitions: 5, MaxMessageBytes: 1048588 + 64<<10},
		"out":                  {Known: true, Partitions: 3, MaxMessageBytes: 1048588},
	} {
		got := ready.Limits[name]
		if got.Partitions != want.Partitions || got.Compacted != want.Compacted || got.MaxMessageBytes != want.MaxMessageBytes || !got.Known {
			t.Errorf("%s: %+v", name, got)
		}
	}
	again, err := topics.Ensure(t.Context(), client, wordCount(t), topics.Config{})
	if err != nil || len(again.Created) > 0 {
		t.Errorf("the second start: %+v, %v", again, err)
	}
}

// Nothing is created while something is wrong.
func TestEnsureLooksBeforeItCreates(t *testing.T) {
	c, client := cluster(t)
	if err := c.CreateTopic("app-counts-changelog", 5, map[string]string{"cleanup.policy": "delete"}); err != nil {
		t.Fatal(err)
	}
	_, err := topics.Ensure(t.Context(), client, wordCount(t), topics.Config{})
	var we *topics.WrongTopicError
	if !errors.As(err, &we) || we.What != "cleanup.policy" || !strings.Contains(we.Fix, "--add-config cleanup.policy=compact") {
		t.Errorf("%v", err)
	}
	if c.TopicInfo("app-dlq") != nil || c.TopicInfo("app-counts-repartition") != nil {
		t.Error("topics were created all the same")
	}
}

// Another instance creates the topics between our look and our request, and creates one of them wrong.
func TestEnsureChecksWhatOthersHaveCreated(t *testing.T) {
	c, client := cluster(t)
	raced := false
	c.ControlKey(int16(kmsg.CreateTopics), func(kmsg.Request) (kmsg.Response, error, bool) {
		if !raced {
			raced = true
			if err := c.CreateTopic("app-counts-repartition", 2, nil); err != nil {
				t.Error(err)
			}
		}
		return nil, nil, false
	})
	_, err := topics.Ensure(t.Context(), client, wordCount(t), topics.Config{})
	if !raced || err == nil || !strings.Contains(err.Error(), "app-counts-repartition (repartition topic): partitions is 2, wanted 5") {
		t.Errorf("%v", err)
	}
}

func TestEnsureWithoutRights(t *testing.T) {
	c, client := cluster(t)
	h := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Err: kerr.TopicAuthorizationFailed, Count: 100})
	_, err := topics.Ensure(t.Context(), client, wordCount(t), topics.Config{})
	var ce *topics.CreationError
	if !errors.As(err, &ce) || len(ce.Topics) != 3 || !strings.Contains(err.Error(), "kafka-topics.sh --create --topic app-counts-changelog --partitions 5 --config cleanup.policy=compact") {
		t.Errorf("%v", err)
	}
	h.Remove()
	// Configurations of the user's topics that may not be read are no reason to refuse; those of our own are.
	h = c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Err: kerr.TopicAuthorizationFailed, Count: 1})
	ready, err := topics.Ensure(t.Context(), client, wordCount(t), topics.Config{})
	if err != nil || len(ready.Unreadable) == 0 || h.Hits() == 0 {
		t.Fatalf("%+v, %v, %d", ready, err, h.Hits())
	}
	h.Remove()
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Err: kerr.TopicAuthorizationFailed, Count: 100})
	if _, err = topics.Ensure(t.Context(), client, wordCount(t), topics.Config{}); err == nil || !strings.Contains(err.Error(), "grant DESCRIBE_CONFIGS") {
		t.Errorf("%v", err)
	}
}

// Brokers before 2.4 refuse −1 as a replication factor.
func TestEnsureOnOldBrokers(t *testing.T) {
	c, client := cluster(t, kfake.BrokerConfigs(map[string]string{"default.replication.factor": "2"}))
	var factors []int16
	c.ControlKey(int16(kmsg.CreateTopics), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		q := req.(*kmsg.CreateTopicsRequest)
		factors = append(factors, q.Topics[0].ReplicationFactor)
		if q.Topics[0].ReplicationFactor != -1 {
			return nil, nil, false
		}
		res := q.ResponseKind().(*kmsg.CreateTopicsResponse)
		for _, topic := range q.Topics {
			rt := kmsg.NewCreateTopicsResponseTopic()
			rt.Topic, rt.ErrorCode = topic.Topic, 38
			res.Topics = append(res.Topics, rt)
		}
		return res, nil, true
	})
	if _, err := topics.Ensure(t.Context(), client, wordCount(t), topics.Config{}); err != nil {
		t.Fatal(err)
	}
	if info := c.TopicInfo("app-dlq"); info == nil || info.NumReplicas != 2 || len(factors) != 2 || factors[0] != -1 {
		t.Errorf("%+v, %v", info, factors)
	}
}

func TestEnsureEndsWithItsContext(t *testing.T) {
	_, client := cluster(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := topics.Ensure(ctx, client, wordCount(t), topics.Config{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
