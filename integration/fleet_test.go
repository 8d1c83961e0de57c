package integration

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/oxbow-streams/oxbow/integration/brokers"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// fleet is the instances of one application in this process.
type fleet struct {
	t       *testing.T
	c       *brokers.Cluster
	app     string
	fed     int
	running []*instance
	before  map[place]life // when the last change was made
}

type instance struct {
	name  string
	app   *stream.App
	stop  context.CancelFunc
	ended chan error
}

// place is a task at an instance.
type place struct {
	at   *instance
	task record.TaskID
}

// life is what shows that a task has gone on: a task that is closed and made again counts from zero.
type life struct {
	consumed int64
	broken   string // why it is not the life it was
}

func (f *fleet) topology() *stream.Builder {
	b := stream.NewBuilder()
	in := stream.From(b, f.app+"-in", serde.String, serde.String)
	in.To(f.app + "-echo")
	in.GroupByKey().Count(stream.As("counts")).ToStream().To(f.app+"-totals", stream.WithValue(serde.Int64))
	return b
}

// feedUntil appends inputs until stop is closed; the value counts up. The ticker leaves a part of the machine to those who work.
func (f *fleet) feedUntil(stop <-chan struct{}) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(f.c.Addrs...))
	if err != nil {
		return err
	}
	defer client.Close()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		var rs []*kgo.Record
		for range 40 {
			rs = append(rs, &kgo.Record{Topic: f.app + "-in", Key: fmt.Append(nil, "key-", f.fed%97), Value: strconv.AppendInt(nil, int64(f.fed), 10)})
			f.fed++
		}
		if err := client.ProduceSync(context.Background(), rs...).FirstErr(); err != nil {
			return err
		}
		select {
		case <-stop:
			return nil
		case <-tick.C:
		}
	}
}

func (f *fleet) add(name, dir string) *instance {
	f.t.Helper()
	f.begin()
	app, err := stream.New(f.topology(), stream.Config{ApplicationID: f.app, Brokers: f.c.Addrs, StateDir: dir, Workers: 2,
		CommitInterval: 50 * time.Millisecond, FetchWait: 50 * time.Millisecond, Session: 6 * time.Second, Heartbeat: 200 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(f.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	in := &instance{name: name, app: app, stop: cancel, ended: make(chan error, 1)}
	go func() {
		in.ended <- app.Run(ctx)
		close(in.ended)
	}()
	f.t.Cleanup(func() {
		cancel()
		<-in.ended
	})
	f.running = append(f.running, in)
	return in
}

// remove stops an instance and waits for it.
func (f *fleet) remove(in *instance) {
	f.t.Helper()
	f.begin()
	for i, other := range f.running {
		if other == in {
			f.running = append(f.running[:i:i], f.running[i+1:]...)
		}
	}
	in.stop()
	if err := <-in.ended; err != nil {
		f.t.Fatalf("instance %s: clean stop: %v", in.name, err)
	}
	if s := in.app.Stats().Sum(); s.Consumed != s.Completed || s.Consumed == 0 {
		f.t.Errorf("instance %s: %+v: everything that it took must be completed at its end", in.name, s)
	}
}
