package stream_test

import (
	goctx "context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// cluster is a fake broker with topics.
type cluster struct {
	t     *testing.T
	addrs []string
}

func newCluster(t *testing.T, partitions int32, topics ...string) *cluster {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, topics...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &cluster{t, c.ListenAddrs()}
}

func (c *cluster) produce(topic string, kvs ...string) {
	c.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.addrs...))
	if err != nil {
		c.t.Fatal(err)
	}
	defer cl.Close()
	var rs []*kgo.Record
	for _, kv := range kvs {
		k, v, _ := strings.Cut(kv, "=")
		rs = append(rs, &kgo.Record{Topic: topic, Key: []byte(k), Value: []byte(v)})
	}
	if err := cl.ProduceSync(c.t.Context(), rs...).FirstErr(); err != nil {
		c.t.Fatal(err)
	}
}

// read reads n records of a topic from its beginning.
func (c *cluster) read(topic string, n int) (got []*kgo.Record) {
	c.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.addrs...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		c.t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := goctx.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	for len(got) < n {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			c.t.Fatalf("%s: %d of %d records: %v", topic, len(got), n, err)
		}
		got = append(got, fs.Records()...)
	}
	return got
}

func (c *cluster) config(id string) stream.Config {
	return stream.Config{ApplicationID: id, Brokers: c.addrs, StateDir: c.t.TempDir(), CommitInterval: 50 * time.Millisecond,
		FetchWait: 50 * time.Millisecond, Session: 6 * time.Second, Heartbeat: 200 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}
}

// start runs an application until the test stops it.
func start(t *testing.T, b *stream.Builder, c stream.Config) (app *stream.App, stop func() error) {
	t.Helper()
	app, err := stream.New(b, c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := goctx.WithCancel(goctx.Background())
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx) }()
	stopped := false
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(30 * time.Second):
			return errors.New("Run did not return")
		}
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return app, stop
}

func counting() *stream.Builder {
	b := stream.NewBuilder()
	in := stream.From(b, "in", serde.String, serde.String)
	words := stream.SelectKey(in, func(_, v string) string { return v })
	words.GroupByKey().Count(stream.As("counts")).ToStream().To("out", stream.WithValue[int64](serde.Int64))
	return b
}

func TestAppCounts(t *testing.T) {
	c := newCluster(t, 3, "in", "out")
	cfg := c.config("counting")
	c.produce("in", "1=a", "2=b", "3=a")
	app, stop := start(t, counting(), cfg)
	last := map[string]int64{}
	for _, r := range c.read("out", 2) {
		n, err := serde.Int64.Decode(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		last[string(r.Key)] = n
	}
	if fmt.Sprint(last) != "map[a:2 b:1]" {
		t.Errorf("counts %v", last)
	}
	if s := app.Stats().Sum(); s.Consumed != s.Completed || s.Consumed < 3 {
		t.Errorf("stats %+v", s)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	// It goes on where it was, with another disk: the changelog has the state.
	cfg.StateDir = t.TempDir()
	c.produce("in", "4=a")
	start(t, counting(), cfg)
	for _, r := range c.read("out", 3) {
		n, _ := serde.Int64.Decode(r.Value)
		last[string(r.Key)] = n
	}
	if fmt.Sprint(last) != "map[a:3 b:1]" {
		t.Errorf("counts after a restart %v", last)
	}
}
