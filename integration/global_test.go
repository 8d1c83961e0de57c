package integration

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/oxbow-streams/oxbow/integration/brokers"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// globalRun is an instance that joins a stream with a global table.
type globalRun struct {
	app  *stream.App
	view stream.View[string, string]
	stop func() error
}

func startGlobal(t *testing.T, c *brokers.Cluster, app, dir string, log *slog.Logger, opts ...stream.TableOption) *globalRun {
	t.Helper()
	b := stream.NewBuilder()
	users := stream.GlobalTableFrom(b, app+"-users", serde.String, serde.String, append(opts, stream.As("users"))...)
	in := stream.From(b, app+"-in", serde.String, serde.String)
	stream.LeftJoinGlobal(in, users, func(_, v string) string { return v },
		func(_, v string, u stream.Opt[string]) string { return v + "=" + u.Or("-") }).To(app + "-out")
	a, err := stream.New(b, stream.Config{ApplicationID: app, Brokers: c.Addrs, StateDir: dir, Workers: 2, CommitInterval: 50 * time.Millisecond,
		FetchWait: 20 * time.Millisecond, Session: 6 * time.Second, Heartbeat: 200 * time.Millisecond, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	r := &globalRun{app: a}
	if r.view, err = stream.QueryGlobal(a, users); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
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

// consumed is how many records of a topic an instance has read.
func (r *globalRun) consumed(topic string) (n int64) {
	for _, w := range r.app.Stats().Workers {
		for tp, a := range w.Tally.Inputs {
			if tp.Topic == topic {
				n += a.Records
			}
		}
	}
	return n
}

func quiet(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// Every instance has all of a global table before it runs, follows it afterwards, and goes on where it was after a restart. A topic
// that has lost what was to be read next is read anew.
func TestGlobalTable(t *testing.T) {
	brokers.Run(t, brokers.Options{Shared: true}, func(t *testing.T, c *brokers.Cluster) {
		app := fmt.Sprintf("global-%s-%d", c.Lane, time.Now().UnixNano())
		c.CreateTopic(t, app+"-in", 2)
		c.CreateTopic(t, app+"-out", 2)
		c.CreateTopic(t, app+"-users", 3, "cleanup.policy=compact,delete") // a topic that is only compacted refuses DeleteRecords
		const users = 100
		for i := range users {
			c.Produce(t, &kgo.Record{Topic: app + "-users", Key: fmt.Append(nil, "u", i), Value: []byte("old")})
		}
		dir := t.TempDir()
		a, b := startGlobal(t, c, app, dir, quiet(t)), startGlobal(t, c, app, t.TempDir(), quiet(t), stream.InMemory())
		for i := range users {
			c.Produce(t, &kgo.Record{Topic: app + "-in", Key: fmt.Append(nil, i), Value: fmt.Append(nil, "u", i)})
		}
		for _, r := range c.Await(t, app+"-out", brokers.Count(users)) {
			if !strings.HasSuffix(string(r.Value), "=old") {
				t.Errorf("%s: the table was not complete", r.Value)
			}
		}
		last := &kgo.Record{Topic: app + "-users", Key: []byte("u7"), Value: []byte("new")}
		if err := c.NewClient(t).ProduceSync(t.Context(), last).FirstErr(); err != nil {
			t.Fatal(err)
		}
		p := stream.Position{}.With(last.Topic, last.Partition, last.Offset)
		for _, r := range []*globalRun{a, b} {
			if err := r.view.Await(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			if v, ok, err := r.view.AtLeast(p).Get(t.Context(), "u7"); v != "new" || !ok || err != nil {
				t.Error(v, ok, err)
			}
			if n, err := r.view.ApproximateCount(t.Context()); n != users || err != nil {
				t.Error(n, err)
			}
		}
		c.Produce(t, &kgo.Record{Topic: app + "-in", Key: []byte("x"), Value: []byte("u7")}, &kgo.Record{Topic: app + "-in", Key: []byte("y"), Value: []byte("gone")})
		c.Await(t, app+"-out", func(rs []*kgo.Record) bool {
			got := brokers.Last(rs)
			return got["x"] == "u7=new" && got["y"] == "gone=-"
		})
		for _, r := range []*globalRun{a, b} {
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
		}

		a = startGlobal(t, c, app, dir, quiet(t))
		if n := a.consumed(app + "-users"); n != 0 {
			t.Errorf("%d records were read again after a clean restart", n)
		}
		if v, _, err := a.view.Get(t.Context(), "u7"); v != "new" || err != nil {
			t.Error(v, err)
		}
		if err := a.stop(); err != nil {
			t.Fatal(err)
		}
		truncate(t, c, last)
		log := &lines{}
		a = startGlobal(t, c, app, dir, slog.New(slog.NewTextHandler(log, nil)))
		if n, err := a.view.ApproximateCount(t.Context()); n >= users || err != nil {
			t.Errorf("%d rows, %v: what the topic has lost is still there", n, err)
		}
		if !strings.Contains(log.String(), "begins later: what lies between is gone") {
			t.Error(log.String())
		}
	})
}

// truncate takes away what a partition holds, and one record more that is written behind it.
func truncate(t *testing.T, c *brokers.Cluster, at *kgo.Record) {
	t.Helper()
	client := c.NewClient(t)
	more := &kgo.Record{Topic: at.Topic, Partition: at.Partition, Key: at.Key, Value: []byte("newer")}
	if err := client.ProduceSync(t.Context(), more).FirstErr(); err != nil {
		t.Fatal(err)
	}
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = 10000
	topic, part := kmsg.NewDeleteRecordsRequestTopic(), kmsg.NewDeleteRecordsRequestTopicPartition()
	topic.Topic, part.Partition, part.Offset = at.Topic, more.Partition, more.Offset+1
	topic.Partitions = append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	for _, shard := range client.RequestSharded(t.Context(), req) {
		if shard.Err != nil {
			t.Fatal(shard.Err)
		}
		for _, topic := range shard.Resp.(*kmsg.DeleteRecordsResponse).Topics {
			for _, p := range topic.Partitions {
				if p.ErrorCode != 0 {
					t.Fatalf("DeleteRecords of %s/%d: error code %d", topic.Topic, p.Partition, p.ErrorCode)
				}
			}
		}
	}
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
