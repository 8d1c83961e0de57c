package integration

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/oxbow-streams/oxbow/integration/brokers"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// TestWindowsOverANewDisk lets each run begin with an empty state directory: windows and sessions go on where the changelog says.
func TestWindowsOverANewDisk(t *testing.T) {
	brokers.Run(t, brokers.Options{Shared: true}, func(t *testing.T, c *brokers.Cluster) {
		app := fmt.Sprintf("windows-%s-%d", c.Lane, time.Now().UnixNano())
		c.CreateTopic(t, app+"-in", 1)
		c.CreateTopic(t, app+"-out", 1)
		at := time.Now().Truncate(time.Minute) // a broker deletes what is older than the changelog's retention
		for run := range 3 {
			b := stream.NewBuilder()
			grouped := stream.From(b, app+"-in", serde.String, serde.String).GroupByKey()
			number := func(_ stream.Windowed[string], n int64) string { return fmt.Sprint(n) }
			key := stream.WithKey(serde.TimeWindowed(serde.String, time.Minute))
			for _, counts := range []stream.Table[stream.Windowed[string], int64]{
				stream.WindowBy(grouped, stream.Tumbling(time.Minute)).Count(stream.As("per-minute")),
				stream.SessionBy(grouped, stream.Session(time.Minute)).Count(stream.As("sessions")),
			} {
				stream.MapTable(counts, number).ToStream().To(app+"-out", key, stream.WithValue(serde.String))
			}
			a, err := stream.New(b, stream.Config{ApplicationID: app, Brokers: c.Addrs, StateDir: t.TempDir(), Workers: 1,
				CommitInterval: 20 * time.Millisecond, FetchWait: 20 * time.Millisecond, Logger: quiet(t)})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- a.Run(ctx) }()
			c.Produce(t, &kgo.Record{Topic: app + "-in", Key: []byte("k"), Value: []byte("v"), Timestamp: at})
			want := fmt.Sprint(run + 1)
			c.Await(t, app+"-out", func(records []*kgo.Record) bool {
				n := 0
				for _, r := range records {
					if string(r.Value) == want {
						n++
					}
				}
				return n >= 2
			})
			cancel()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
	})
}
