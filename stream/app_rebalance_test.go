package stream_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	goctx "context"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

func copying() *stream.Builder {
	b := stream.NewBuilder()
	stream.MapValues(stream.From(b, "in", serde.String, serde.String), func(_, v string) string { return v + "!" }).To("out")
	return b
}

func numbered(from, to int) (kvs []string) {
	for i := from; i < to; i++ {
		kvs = append(kvs, fmt.Sprintf("k%d=%d", i%16, i))
	}
	return kvs
}

func await(t *testing.T, app *stream.App, want stream.State) {
	t.Helper()
	ctx, cancel := goctx.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := app.Await(ctx, want); err != nil {
		t.Fatal(err)
	}
}

// P2: tasks move between instances that come and go cleanly while records flow; nothing is lost and nothing comes twice.
func TestAppHandsTasksOver(t *testing.T) {
	c := newCluster(t, 4, "in", "out")
	cfg := func() stream.Config {
		cfg := c.config("copying")
		cfg.Workers = 2
		return cfg
	}
	one, stopOne := start(t, copying(), cfg())
	await(t, one, stream.Running)
	c.produce("in", numbered(0, 200)...)
	two, stopTwo := start(t, copying(), cfg())
	await(t, two, stream.Running)
	c.produce("in", numbered(200, 400)...)
	if err := stopOne(); err != nil {
		t.Fatal(err)
	}
	c.produce("in", numbered(400, 600)...)
	seen, last := map[string]int{}, map[string]int{}
	for _, r := range c.read("out", 600) {
		v := strings.TrimSuffix(string(r.Value), "!")
		seen[v]++
		n := 0
		fmt.Sscan(v, &n)
		if before, ok := last[string(r.Key)]; ok && before >= n {
			t.Errorf("key %s: %d after %d", r.Key, n, before)
		}
		last[string(r.Key)] = n
	}
	for i := range 600 {
		if n := seen[fmt.Sprint(i)]; n != 1 {
			t.Errorf("%d was written %d times", i, n)
		}
	}
	if err := stopTwo(); err != nil {
		t.Fatal(err)
	}
}

func TestAppStopsWithTheError(t *testing.T) {
	c := newCluster(t, 1, "in", "out")
	b := stream.NewBuilder()
	broken := errors.New("broken")
	in := stream.From(b, "in", serde.String, serde.String)
	stream.TryMapValues(in, func(_ goctx.Context, _, v string) (string, error) {
		if v == "bad" {
			return "", stream.Fatal(broken)
		}
		return v, nil
	}).To("out")
	app, err := stream.New(b, c.config("failing"))
	if err != nil {
		t.Fatal(err)
	}
	c.produce("in", "k=good", "k=bad", "k=never")
	err = app.Run(t.Context())
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "in/0@1: task 0_0") {
		t.Errorf("Run returned %v", err)
	}
	if app.State() != stream.Errored {
		t.Errorf("state %s", app.State())
	}
}

func TestAppNamesWhatIsMissing(t *testing.T) {
	c := newCluster(t, 1, "other")
	app, err := stream.New(copying(), c.config("lonely"))
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Run(t.Context()); err == nil || !strings.Contains(err.Error(), `source topic "in" does not exist`) {
		t.Errorf("Run returned %v", err)
	}
}

// A function that blocks for too long is seen, and the application ends once it lets go.
func TestAppSeesAStuckWorker(t *testing.T) {
	c := newCluster(t, 1, "in", "out")
	b := stream.NewBuilder()
	release := make(chan struct{})
	stream.From(b, "in", serde.String, serde.String).ForEach(func(_, _ string) { <-release })
	cfg := c.config("stuck")
	cfg.MaxProcessingTime = 100 * time.Millisecond
	cfg.ShutdownTimeout = 100 * time.Millisecond
	cfg.Listener = func(_, to stream.State) {
		if to == stream.PendingShutdown {
			close(release)
		}
	}
	app, err := stream.New(b, cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.produce("in", "k=v")
	if err := app.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "MaxProcessingTime") {
		t.Errorf("Run returned %v", err)
	}
}
