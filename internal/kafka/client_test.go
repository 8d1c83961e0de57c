package kafka

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestConfigReportsEveryFault(t *testing.T) {
	c := Config{Brokers: []string{"kafka", "a:0", "kafka://b:1"}, RequestTimeout: -1, RetryBackoff: 2 * time.Second, MaxRetryBackoff: time.Second, MaxResponseBytes: 5}
	err := c.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`Brokers[0] = "kafka"`, `Brokers[1] = "a:0"`, `Brokers[2] = "kafka://b:1"`, "RequestTimeout = -1ns", "RetryBackoff = 2s", "MaxResponseBytes = 5"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
	if _, err := Open(Config{}); err == nil || !strings.Contains(err.Error(), "Brokers is empty") {
		t.Errorf("Open with nothing: %v", err)
	}
}

func TestExchangeReachesEveryBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, 3, kfake.SeedTopics(6, "in"))
		c := f.client
		for p := int32(0); p < 6; p++ {
			l, err := c.leader(t.Context(), record.TopicPartition{Topic: "in", Partition: p})
			if err != nil || l.Node != f.LeaderFor("in", p) {
				t.Fatalf("in/%d: leader %v, %v, want node %d", p, l, err, f.LeaderFor("in", p))
			}
			v, err := c.version(t.Context(), l.Node, int16(kmsg.Fetch), 12)
			if err != nil || v != 12 {
				t.Fatalf("node %d: fetch version %d, %v", l.Node, v, err)
			}
		}
	})
}

func TestSilentBrokerRunsIntoTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, 1, kfake.SeedTopics(1, "in"))
		if err := f.client.Refresh(t.Context(), "in"); err != nil {
			t.Fatal(err)
		}
		f.net.Silence(f.ListenAddrs()[0], true)
		start := time.Now()
		err := f.client.Refresh(t.Context(), "in")
		if took := time.Since(start); !Retriable(err) || took < 30*time.Second || took > 2*time.Minute {
			t.Fatalf("after %v: %v", took, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := f.client.exchange(ctx, 0, kmsg.NewPtrMetadataRequest()); !errors.Is(err, context.DeadlineExceeded) || Retriable(err) {
			t.Fatalf("the caller's deadline: %v", err)
		}
		f.net.Silence(f.ListenAddrs()[0], false)
		f.net.Cut("")
		if err := f.client.Refresh(t.Context(), "in"); err != nil {
			t.Fatalf("after the silence: %v", err)
		}
	})
}
