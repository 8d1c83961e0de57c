package stream_test

import (
	goctx "context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/state/pebblestore"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// A loop over rows that is still running when its application ends gets an error with its next row. It neither crashes, nor does the
// application wait for it for longer than ShutdownTimeout.
func TestQueryOutlivesItsApplication(t *testing.T) {
	c := newCluster(t, 1, "users")
	c.produce("users", "a=1", "b=2", "c=3")
	b := stream.NewBuilder()
	users := stream.TableFrom(b, "users", serde.String, serde.String, stream.As("users"))
	cfg := c.config("outlived")
	e, err := pebblestore.Open(pebblestore.Options{Dir: t.TempDir(), Name: "outlived"})
	if err != nil {
		t.Fatal(err)
	}
	cfg.StateEngine, cfg.ShutdownTimeout = e, 2*time.Second
	app, stop := start(t, b, cfg)
	view, err := stream.Query(app, users)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := goctx.WithTimeout(goctx.Background(), time.Minute)
	defer cancel()
	if err := app.Await(ctx, stream.Running); err != nil {
		t.Fatal(err)
	}
	if err := view.Await(ctx, stream.Position{}.With("users", 0, 2)); err != nil {
		t.Fatal(err)
	}
	var keys []string
	var last error
	for row, err := range view.All(ctx) {
		if last = err; err != nil {
			continue
		}
		keys = append(keys, row.Key)
		if err := stop(); err == nil || !strings.Contains(err.Error(), "1 queries have not ended") {
			t.Errorf("the application ended with %v", err)
		}
	}
	if over := (*stream.NotRunningError)(nil); len(keys) != 1 || !errors.As(last, &over) || !over.Ended {
		t.Errorf("rows %v, then %v", keys, last)
	}
	if _, _, err := view.Get(ctx, "a"); !errors.As(err, new(*stream.NotRunningError)) {
		t.Errorf("a query after the end: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Errorf("the state cannot be closed after the loop: %v", err)
	}
}
