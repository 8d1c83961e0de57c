package topology_test

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/topology"
)

func from(b *stream.Builder, topic string) stream.Stream[string, string] {
	return stream.From(b, topic, serde.String, serde.String)
}

func build(t *testing.T, b *stream.Builder) *topology.Topology {
	t.Helper()
	topo, err := b.Build("app")
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

func rekey(s stream.Stream[string, string]) stream.Stream[string, string] {
	return stream.SelectKey(s, func(_, v string) string { return v })
}

func left(_, l, _ string) string { return l }

// chained is a program whose repartition topics feed each other: orders → by-user ⋈ users → by-region (count).
func chained(opts ...stream.TopicOption) *stream.Builder {
	b := stream.NewBuilder()
	users := stream.TableFrom(b, "users", serde.String, serde.String, stream.As("users"))
	byUser := rekey(from(b, "orders")).Repartition(append(opts, stream.Named("by-user"))...)
	joined := stream.JoinTable(byUser, users, left)
	rekey(joined).GroupByKey(stream.Named("by-region"), stream.WithValue(serde.String)).Count(stream.As("regions"), stream.NoChangelog())
	return b
}

func TestSubTopologies(t *testing.T) {
	topo := build(t, chained())
	if len(topo.Subs) != 3 {
		t.Fatalf("%d sub-topologies, want 3", len(topo.Subs))
	}
	for i, want := range []string{
		"users+app-by-user-repartition > app-by-region-repartition",
		"orders > app-by-user-repartition",
		"app-by-region-repartition > ",
	} {
		sub := topo.Subs[i]
		topics := slices.Clone(sub.Topics)
		slices.Reverse(topics)
		if got := strings.Join(topics, "+") + " > " + strings.Join(sub.Sinks, "+"); got != want {
			t.Errorf("sub-topology %d: %s, want %s", i, got, want)
		}
	}
	changelogs := map[string]string{}
	for _, s := range topo.Stores {
		changelogs[s.Name] = s.Changelog
	}
	if want := map[string]string{"users": "app-users-changelog", "regions": ""}; !maps.Equal(changelogs, want) {
		t.Errorf("changelogs %v, want %v", changelogs, want)
	}
	if o := topo.Offset("app-by-user-repartition"); o != topology.OffsetEarliest {
		t.Errorf("a repartition topic is read from %v", o)
	}
}

func TestPartitions(t *testing.T) {
	for _, c := range []struct {
		name     string
		opts     []stream.TopicOption
		external map[string]int
		want     map[string]int
		fault    string
	}{
		{name: "a join's repartition topic follows the table", external: map[string]int{"orders": 8, "users": 6},
			want: map[string]int{"app-by-user-repartition": 6, "app-by-region-repartition": 8}},
		{name: "fixed and equal", opts: []stream.TopicOption{stream.Partitions(6)}, external: map[string]int{"orders": 2, "users": 6},
			want: map[string]int{"app-by-user-repartition": 6, "app-by-region-repartition": 6}},
		{name: "fixed and unequal", opts: []stream.TopicOption{stream.Partitions(4)}, external: map[string]int{"orders": 2, "users": 6},
			fault: "app-by-user-repartition has 4 partitions, users 6: the join at "},
		{name: "missing topics, all of them", fault: "topology: 2 faults\n"},
	} {
		got, err := build(t, chained(c.opts...)).Partitions(c.external)
		if c.fault != "" {
			if err == nil || !strings.HasPrefix(err.Error(), c.fault) {
				t.Errorf("%s: got %v, want %s", c.name, err, c.fault)
			}
			continue
		}
		if err != nil || !maps.Equal(got, c.want) {
			t.Errorf("%s: got %v (%v), want %v", c.name, got, err, c.want)
		}
	}
}

func TestCopartitionOfUserTopics(t *testing.T) {
	b := stream.NewBuilder()
	users := stream.TableFrom(b, "users", serde.String, serde.String)
	stream.JoinTable(from(b, "orders").Merge(from(b, "more")), users, left)
	_, err := build(t, b).Partitions(map[string]int{"orders": 4, "more": 4, "users": 6})
	var e *topology.CopartitionError
	if !errors.As(err, &e) || e.A != "more" || e.B != "users" || e.CountA != 4 || e.CountB != 6 || !strings.Contains(e.Site, "topology_test.go:") {
		t.Errorf("got %v, want a CopartitionError of more and users", err)
	}
	if internal, err := build(t, b).Partitions(map[string]int{"orders": 4, "more": 4, "users": 4}); err != nil || len(internal) != 0 {
		t.Errorf("equal counts: %v, %v", internal, err)
	}
}

// TestStoreJoins: a store that two processors share makes one sub-topology of them.
func TestStoreJoins(t *testing.T) {
	kv := stream.KeyValue("shared", serde.String, serde.String)
	b := stream.NewBuilder()
	for _, topic := range []string{"a", "b", "c"} {
		var stores []stream.StoreRef
		if topic != "b" {
			stores = append(stores, kv)
		}
		stream.Process(from(b, topic), func() *nop { return new(nop) }, stores)
	}
	topo := build(t, b)
	if len(topo.Subs) != 2 || !slices.Equal(topo.Subs[0].Topics, []string{"a", "c"}) || len(topo.Subs[0].Stores) != 1 {
		t.Errorf("%d sub-topologies, the first reads %v", len(topo.Subs), topo.Subs[0].Topics)
	}
}

type nop struct{}

func (*nop) Process(*stream.ProcessContext[string, string], stream.Record[string, string]) error {
	return nil
}

// out numbers topics.
type out struct {
	node.Output
	topics []string
}

func (o *out) Dest(topic string) (node.Dest, error) {
	o.topics = append(o.topics, topic)
	return node.Dest(len(o.topics) - 1), nil
}

func instantiate(t *testing.T, topo *topology.Topology, sub int) (*topology.Instance, *out) {
	t.Helper()
	o := new(out)
	in, err := topo.Instantiate(sub, &node.Task{Out: o}, map[string]state.Store{})
	if err != nil {
		t.Fatal(err)
	}
	return in, o
}

func TestPassThrough(t *testing.T) {
	plain := func(s stream.Stream[string, string], opts ...stream.SinkOption) { s.To("out", opts...) }
	for _, c := range []struct {
		name  string
		write func(b *stream.Builder)
		want  bool
	}{
		{"text to text", func(b *stream.Builder) { plain(from(b, "in")) }, true},
		{"bytes to bytes", func(b *stream.Builder) { stream.From(b, "in", serde.BytesView, serde.Bytes).To("out") }, true},
		{"two sinks", func(b *stream.Builder) { plain(from(b, "in")); from(b, "in").To("other") }, false},
		{"a step between", func(b *stream.Builder) { plain(from(b, "in").Peek(func(_, _ string) {})) }, false},
		{"a function behind", func(b *stream.Builder) { from(b, "in").ForEach(func(_, _ string) {}) }, false},
		{"a partitioner", func(b *stream.Builder) {
			plain(from(b, "in"), stream.Partitioner(func(stream.Record[string, string], int) int { return 0 }))
		}, false},
		{"timestamps", func(b *stream.Builder) {
			plain(stream.From(b, "in", serde.String, serde.String, stream.WallClockTime()))
		}, false},
		{"decoded", func(b *stream.Builder) { stream.From(b, "in", serde.String, serde.JSON[int]()).To("out") }, false},
		{"chosen topics", func(b *stream.Builder) {
			from(b, "in").ToTopics(func(stream.Record[string, string]) string { return "out" })
		}, false},
		{"a repartition topic", func(b *stream.Builder) { from(b, "in").Repartition() }, false},
	} {
		b := stream.NewBuilder()
		c.write(b)
		in, o := instantiate(t, build(t, b), 0)
		p, ok := in.PassThrough("in")
		if ok != c.want {
			t.Errorf("%s: pass-through %v, want %v", c.name, ok, c.want)
		}
		if ok && (p.Topic != "out" || o.topics[p.Dest] != "out" || p.Source.Name != "KSTREAM-SOURCE-0000000000" || p.Sink.Name != "KSTREAM-SINK-0000000001") {
			t.Errorf("%s: goes %+v", c.name, p)
		}
	}
}

func TestInstance(t *testing.T) {
	b := stream.NewBuilder()
	stream.FromPattern(b, regexp.MustCompile("a|ab"), serde.String, serde.String).Peek(func(_, _ string) {}).To("out", stream.Named("sink"))
	topo := build(t, b)
	in, _ := instantiate(t, topo, 0)
	for topic, want := range map[string]bool{"a": true, "ab": true, "abc": false, "xa": false} {
		if got := in.Source(topic) != nil; got != want {
			t.Errorf("topic %s has a source: %v, want %v", topic, got, want)
		}
	}
	if got := strings.Join(in.Path("sink"), " > "); got != "KSTREAM-SOURCE-0000000000 > KSTREAM-PEEK-0000000001 > sink" {
		t.Errorf("path %s", got)
	}
	if in.Path("none") != nil {
		t.Error("a node that is not there has a path")
	}
	for _, c := range []struct {
		topo *topology.Topology
		sub  int
		want string
	}{
		{topo, 1, "task 0_0: there are 1 sub-topologies"},
		{build(t, chained()), 0, `task 0_0: store "users" is missing`},
	} {
		if _, err := c.topo.Instantiate(c.sub, &node.Task{Out: new(out)}, nil); err == nil || err.Error() != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
	if unnamed, err := b.Build(""); err != nil {
		t.Error(err)
	} else if _, err := unnamed.Instantiate(0, &node.Task{}, nil); err == nil {
		t.Error("a topology without an application id was instantiated")
	}
}

// TestBuildTwice: building changes nothing in the program.
func TestBuildTwice(t *testing.T) {
	b := chained()
	first := build(t, b).Describe()
	if again := build(t, b).Describe(); again != first {
		t.Errorf("the second time\n%s\nthe first\n%s", again, first)
	}
}

func TestCheckName(t *testing.T) {
	for name, want := range map[string]string{
		"a.b-C_9": "", "": "a name must not be empty", "..": `name ".." is not allowed by Kafka`,
		"a/b": `name "a/b" contains '/': use letters, digits, '.', '_' and '-'`,
	} {
		got := ""
		if err := topology.CheckName(name); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}
