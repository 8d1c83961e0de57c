package integration

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/integration/brokers"
	"github.com/oxbow-streams/oxbow/internal/engine"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// poisons are inputs that fail, by the stage in which they do.
var poisons = []struct {
	key, value string
	stage      dlq.Stage
}{
	{"short", "good", dlq.StageDeserializeKey},
	{"8 bytes.", "error", dlq.StageProcess},
	{"8 bytes.", "panic", dlq.StageProcess},
	{"8 bytes.", "unwritable", dlq.StageSerializeValue},
	{"8 bytes.", strings.Repeat("large ", 2000), dlq.StageProduce},
}

// picky is a serde that cannot write everything.
type picky struct{}

func (picky) Append(dst []byte, v string) ([]byte, error) {
	if v == "unwritable" {
		return dst, errors.New("cannot be written")
	}
	return append(dst, v...), nil
}
func (picky) Decode(b []byte) (string, error) { return string(b), nil }

// TestPoison mixes good records with some that fail in each stage: each of these becomes one dead letter with its coordinates and
// leaves nothing else behind (P5); the good ones are all there; nothing is unaccounted for.
func TestPoison(t *testing.T) {
	brokers.Run(t, brokers.Options{Shared: true}, func(t *testing.T, c *brokers.Cluster) {
		app := fmt.Sprintf("poison-%s-%d", c.Lane, time.Now().UnixNano())
		c.CreateTopic(t, app+"-in", 2)
		c.CreateTopic(t, app+"-totals", 2)
		c.CreateTopic(t, app+"-out", 2, "max.message.bytes=4000")
		want, good := map[string]string{}, 0
		var inputs []*kgo.Record
		for i := range 200 {
			p := poisons[i/4%len(poisons)]
			r := &kgo.Record{Topic: app + "-in", Partition: int32(i % 2), Key: []byte("8 bytes."), Value: fmt.Append(nil, "good-", i)}
			if i/2%2 == 0 {
				r.Key, r.Value = []byte(p.key), []byte(p.value)
				want[fmt.Sprintf("%s-in/%d/%d", app, i%2, i/2)] = string(p.stage)
			} else {
				good++
			}
			inputs = append(inputs, r)
		}
		c.ProduceTo(t, inputs...)
		s := runPoisoned(t, c, app, len(want), good)
		if s.Consumed != s.Completed+s.DeadLettered+s.Skipped+s.Retrying || s.DeadLettered != int64(len(want)) {
			t.Errorf("%d poison records: %+v", len(want), s)
		}
		got := map[string]string{}
		letters := c.Read(t, app+"-dlq")
		for _, r := range letters {
			h := map[string]string{}
			for _, x := range r.Headers {
				h[x.Key] = string(x.Value)
			}
			at := h[dlq.HeaderTopic] + "/" + h[dlq.HeaderPartition] + "/" + h[dlq.HeaderOffset]
			if h[dlq.HeaderOrigin] != at {
				t.Errorf("%s: origin %q", at, h[dlq.HeaderOrigin])
			}
			got[at] = h[dlq.HeaderStage]
		}
		if !maps.Equal(got, want) || len(letters) != len(want) {
			t.Errorf("%d letters: %v, want %v", len(letters), got, want)
		}
		for _, r := range c.Read(t, app+"-out") {
			if !strings.HasPrefix(string(r.Value), "good-") {
				t.Errorf("out/%d@%d: %.20q is poison", r.Partition, r.Offset, r.Value)
			}
		}
		totals := brokers.Last(c.Read(t, app+"-totals"))
		n, err := serde.Int64.Decode([]byte(totals["all"]))
		if err != nil || n != int64(good) || len(totals) != 1 {
			t.Errorf("counted %d (%v), want %d good ones alone: %q", n, err, good, totals)
		}
	})
}

func runPoisoned(t *testing.T, c *brokers.Cluster, app string, bad, good int) engine.Counters {
	t.Helper()
	b := stream.NewBuilder()
	in := stream.TryMapValues(stream.From(b, app+"-in", serde.Int64, serde.String), func(_ context.Context, _ int64, v string) (string, error) {
		switch v {
		case "error":
			return "", stream.Permanent(errors.New("refused by the function"))
		case "panic":
			panic("by the function")
		}
		return v, nil
	})
	stream.SelectKey(in, func(int64, string) string { return "all" }).GroupByKey(stream.WithKey(serde.String), stream.WithValue(serde.String)).
		Count(stream.As("counts")).ToStream().To(app+"-totals", stream.WithValue(serde.Int64))
	in.To(app+"-out", stream.WithKey(serde.Int64), stream.WithValue[string](picky{}))
	running, err := stream.New(b, stream.Config{ApplicationID: app, Brokers: c.Addrs, StateDir: t.TempDir(), CommitInterval: 50 * time.Millisecond,
		FetchWait: 50 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- running.Run(ctx); close(ended) }()
	defer func() { cancel(); <-ended }()
	if err := running.Await(t.Context(), stream.Running); err != nil {
		t.Fatal(err)
	}
	c.Await(t, app+"-dlq", brokers.Count(bad))
	c.Await(t, app+"-totals", func(rs []*kgo.Record) bool {
		n, _ := serde.Int64.Decode([]byte(brokers.Last(rs)["all"]))
		return n >= int64(good)
	})
	sum := running.Stats().Sum()
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	return sum
}
