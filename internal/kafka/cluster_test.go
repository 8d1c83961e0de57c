package kafka

import (
	"log/slog"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/internal/kafka/kafkatest"
	"github.com/twmb/franz-go/pkg/kfake"
)

// fakeCluster is a kfake behind a network in memory, and a client of it.
type fakeCluster struct {
	*kfake.Cluster
	net    *kafkatest.Network
	client *Client
}

// startFake starts n brokers. Everything ends with the test.
func startFake(t testing.TB, n int, opts ...kfake.Opt) *fakeCluster {
	t.Helper()
	f := &fakeCluster{net: &kafkatest.Network{}}
	opts = append([]kfake.Opt{
		kfake.NumBrokers(n), kfake.ListenFn(f.net.Listen), kfake.GroupMinSessionTimeout(100 * time.Millisecond),
	}, opts...)
	var err error
	if f.Cluster, err = kfake.NewCluster(opts...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Cluster.Close)
	f.client = f.open(t, nil)
	return f
}

// open makes a client of the cluster.
func (f *fakeCluster) open(t testing.TB, change func(*Config)) *Client {
	t.Helper()
	cfg := Config{Brokers: f.ListenAddrs(), Dial: f.net.Dial, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	c, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
