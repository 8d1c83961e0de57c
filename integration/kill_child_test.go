package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// childEnv tells the test binary to be the application that is killed; its value is a childConfig.
const childEnv = "OXBOW_KILL_CHILD"

type childConfig struct {
	App, Instance, StateDir string
	Brokers                 []string
	ExactlyOnce             bool
}

// status is a line that the child prints: how far it is, and in which step of a commit.
type status struct {
	Running              bool
	Processed, Committed int64 // offsets, over all partitions of the input
	Step                 string
}

// killTopology echoes its input and counts it by key.
func killTopology() *stream.Builder {
	b := stream.NewBuilder()
	in := stream.From(b, "in", serde.String, serde.String)
	in.To("echo")
	in.GroupByKey().Count(stream.As("counts")).ToStream().To("counts", stream.WithValue(serde.Int64))
	return b
}

// child runs the application until it is killed, or told to end.
func child() {
	var c childConfig
	if err := json.Unmarshal([]byte(os.Getenv(childEnv)), &c); err != nil {
		panic(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	guarantee := stream.AtLeastOnce
	if c.ExactlyOnce {
		guarantee = stream.ExactlyOnce
	}
	app, err := stream.New(killTopology(), stream.Config{Guarantee: guarantee, ApplicationID: c.App, Brokers: c.Brokers, StateDir: c.StateDir,
		InstanceID: c.Instance, CommitInterval: 20 * time.Millisecond, Session: 6 * time.Second, Heartbeat: 200 * time.Millisecond,
		Workers: 2, Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(2)
	}
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	out := json.NewEncoder(os.Stdout)
	for {
		select {
		case err := <-ended:
			if err != nil {
				fmt.Fprintln(os.Stderr, "child:", err)
				os.Exit(1)
			}
			return
		case <-tick.C:
			_ = out.Encode(statusOf(app))
		}
	}
}

func statusOf(app *stream.App) (s status) {
	s.Running, s.Step = app.State() == stream.Running, "none"
	for _, w := range app.Stats().Workers {
		if w.Step != "none" {
			s.Step = w.Step
		}
		for _, t := range w.Tasks {
			for _, in := range t.Inputs {
				s.Processed += in.Position
				s.Committed += in.Committed
			}
		}
	}
	return s
}
