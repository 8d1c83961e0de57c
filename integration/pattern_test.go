package integration

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/oxbow-streams/oxbow/integration/brokers"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// patternRun is an instance that counts the keys of all topics that match.
type patternRun struct {
	app  *stream.App
	stop func() error
}

func startPattern(t *testing.T, c *brokers.Cluster, app string, age time.Duration) *patternRun {
	t.Helper()
	b := stream.NewBuilder()
	in := stream.FromPattern(b, regexp.MustCompile(regexp.QuoteMeta(app)+`-in-.*`), serde.String, serde.String)
	in.GroupByKey().Count(stream.As("counts")).ToStream().To(app+"-out", stream.WithValue(serde.Int64))
	a, err := stream.New(b, stream.Config{ApplicationID: app, Brokers: c.Addrs, StateDir: t.TempDir(), Workers: 2,
		CommitInterval: 50 * time.Millisecond, CacheMaxBytes: -1, FetchWait: 20 * time.Millisecond, Session: 6 * time.Second,
		Heartbeat: 200 * time.Millisecond, MetadataMaxAge: age, Logger: quiet(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	r := &patternRun{app: a}
	stopped := false
	r.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	wait, over := context.WithTimeout(t.Context(), time.Minute)
	defer over()
	if err := a.Await(wait, stream.Running); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestTopicsOfAPatternComeAndGo creates and deletes topics under two running instances. One of them does not look for topics by
// itself for an hour: it learns of them from the group.
func TestTopicsOfAPatternComeAndGo(t *testing.T) {
	brokers.Run(t, brokers.Options{Shared: true}, func(t *testing.T, c *brokers.Cluster) {
		app := fmt.Sprintf("pattern-%s-%d", c.Lane, time.Now().UnixNano())
		c.CreateTopic(t, app+"-out", 1)
		runs := []*patternRun{startPattern(t, c, app, time.Hour), startPattern(t, c, app, 100*time.Millisecond)}
		want := map[string]int64{}
		feed := func(topic string, n int) {
			t.Helper()
			var records []*kgo.Record
			for i := range n {
				key := fmt.Sprint("key-", i%5)
				records = append(records, &kgo.Record{Topic: app + "-in-" + topic, Key: []byte(key), Value: []byte("v")})
				want[key]++
			}
			c.Produce(t, records...)
			c.Await(t, app+"-out", func(records []*kgo.Record) bool {
				counts := map[string]int64{}
				for _, r := range records {
					counts[string(r.Key)], _ = serde.Int64.Decode(r.Value)
				}
				for key, n := range want {
					if counts[key] != n {
						return false
					}
				}
				return true
			})
		}
		tasks := func() (n int) {
			for _, r := range runs {
				for _, w := range r.app.Stats().Workers {
					n += len(w.Tasks)
				}
			}
			return n
		}
		if n := tasks(); n != 0 {
			t.Errorf("%d tasks, and no topic matches", n)
		}
		c.CreateTopic(t, app+"-in-a", 4)
		feed("a", 40)
		c.CreateTopic(t, app+"-in-b", 4) // its partitions go to tasks that run
		feed("b", 20)
		feed("a", 40)
		c.DeleteTopics(t, app+"-in-a") // the tasks go on with b
		feed("b", 20)
		c.CreateTopic(t, app+"-in-c", 4)
		feed("c", 40)
		c.DeleteTopics(t, app+"-in-b", app+"-in-c")
		c.CreateTopic(t, app+"-in-d", 4) // nothing that was read before is left
		feed("d", 40)
		for _, r := range runs {
			if err := r.stop(); err != nil {
				t.Error(err)
			}
			if s := r.app.Stats().Sum(); s.Consumed != s.Completed || s.Consumed == 0 {
				t.Errorf("%+v: both instances take part, and everything that they took is completed", s)
			}
		}
		committed := c.GroupOffsets(t, app)
		ends := c.Ends(t, app+"-in-d")
		for p, end := range ends {
			if at := committed[app+"-in-d"][p]; at.Offset != end {
				t.Errorf("partition %d of d: %d is committed of %d", p, at.Offset, end)
			}
		}
		total := int64(0)
		for _, n := range want {
			total += n
		}
		out := int64(0)
		for _, end := range c.Ends(t, app+"-out") {
			out += end
		}
		if out != total {
			t.Errorf("%d counts came out of %d records: something was counted twice", out, total)
		}
		c.DeleteTopics(t, app+"-in-d", app+"-out", app+"-counts-changelog", app+"-dlq")
	})
}

// TestATopicOfAPatternIsTooWide: the changelog has a partition for each task, and cannot get more. As at the start, the
// application says so and stops, rather than leave the topic out.
func TestATopicOfAPatternIsTooWide(t *testing.T) {
	brokers.Run(t, brokers.Options{Shared: true}, func(t *testing.T, c *brokers.Cluster) {
		app := fmt.Sprintf("wide-%s-%d", c.Lane, time.Now().UnixNano())
		c.CreateTopic(t, app+"-out", 1)
		c.CreateTopic(t, app+"-in-a", 1)
		r := startPattern(t, c, app, 50*time.Millisecond)
		c.CreateTopic(t, app+"-in-b", 2)
		wait, over := context.WithTimeout(t.Context(), time.Minute)
		defer over()
		if err := r.app.Await(wait, stream.Errored); err != nil {
			t.Fatal(err)
		}
		err := r.stop()
		for _, want := range []string{"topics that match patterns have changed", app + "-counts-changelog", "partitions is 1, wanted 2"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v\nlacks %q", err, want)
			}
		}
		c.DeleteTopics(t, app+"-in-a", app+"-in-b", app+"-out", app+"-counts-changelog", app+"-dlq")
	})
}
