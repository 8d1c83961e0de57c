package oracle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/oxbow-streams/oxbow/internal/seeds"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/memstore"
	"github.com/oxbow-streams/oxbow/state/pebblestore"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

// branches is a program with three branches, two of them with state, the last of which fails for some records.
func branches() *stream.Builder {
	b := stream.NewBuilder()
	in := stream.From(b, "in", serde.String, serde.String)
	in.GroupByKey().Count(stream.As("counts")).ToStream().To("counted")
	in.GroupByKey().Reduce(func(sum, v string) string { return sum[max(len(sum)-20, 0):] + v }, stream.As("sums")).ToStream().To("summed")
	stream.TryMapValues(in, func(_ context.Context, _, v string) (string, error) {
		if strings.HasSuffix(v, "3") {
			return "", errors.New("three")
		}
		return v, nil
	}).To("out")
	return b
}

// Every unit is run, undone, held against the stores as they were, and run again: with emission buffers, in memory and on Pebble.
func TestThreeBranchesRunTwice(t *testing.T) {
	seed := seeds.Single(t)
	run := func(e state.Engine, opts ...streamtest.Option) (got string) {
		rng := rand.New(rand.NewPCG(seed, 0))
		d := streamtest.New(t, branches(), append(opts, streamtest.Engine(e))...)
		for range 30 {
			var batch []streamtest.RawRecord
			for range 1 + rng.IntN(4) {
				batch = append(batch, streamtest.RawRecord{Key: fmt.Append(nil, "k", rng.IntN(5)), Value: fmt.Append(nil, rng.IntN(40)), Time: d.Now()})
			}
			if err := d.PipeBatch("in", batch); err != nil {
				t.Fatal(err)
			}
		}
		for _, topic := range []string{"counted", "summed", "out", streamtest.DeadLetterTopic} {
			for _, r := range d.Drain(topic) {
				got += fmt.Sprintf("%s %s=%s\n", topic, r.Key, r.Value)
			}
		}
		return got
	}
	want := run(memstore.New())
	disk, err := pebblestore.Open(pebblestore.Options{Dir: "state", Name: "test", FS: vfs.NewMem(), CacheBytes: 1 << 20,
		MemtableBytes: 1 << 20, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { disk.Close() })
	for name, e := range map[string]state.Engine{"memstore": memstore.New(), "Pebble": disk} {
		if got := run(e, streamtest.Twice()); got != want {
			t.Errorf("%s gives\n%swant\n%s", name, got, want)
		}
	}
}
