package sim

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// read returns a topic, by partition.
func (w *world) read(topic string) map[int32][]*kgo.Record {
	w.t.Helper()
	want := int64(0)
	for _, p := range w.brokers.PartitionInfos(topic) {
		want += p.HighWatermark
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(w.brokers.ListenAddrs()...), kgo.Dialer(w.dial), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	got := map[int32][]*kgo.Record{}
	for n := int64(0); n < want; {
		fs := client.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			w.t.Fatalf("read %s: %d of %d records: %v", topic, n, want, err)
		}
		for _, r := range fs.Records() {
			got[r.Partition] = append(got[r.Partition], r)
			n++
		}
	}
	return got
}

// check: each input is in the echo, first appearances in order; no count is too small; state is what the changelog says.
func (w *world) check() (twice int) {
	w.t.Helper()
	in, echo, want := w.read("in"), w.read("echo"), map[string]int64{}
	for p := range int32(partitions) {
		at := map[string]int{}
		for i, r := range in[p] {
			at[string(r.Value)] = i
			want[string(r.Key)]++
		}
		next := 0
		for _, r := range echo[p] {
			i, ok := at[string(r.Value)]
			switch {
			case !ok:
				w.t.Errorf("echo/%d@%d: %q was never put in", p, r.Offset, r.Value)
			case i == next:
				next++
			case i > next:
				w.t.Errorf("echo/%d@%d: input %d is the first to come after %d", p, r.Offset, i, next-1)
				next = i + 1
			default:
				twice++
			}
		}
		if next != len(in[p]) {
			w.t.Errorf("partition %d: %d inputs, the echo ends behind %d", p, len(in[p]), next)
		}
	}
	log := w.read(application + "-counts-changelog")
	totals, fold := w.last(w.read("totals")), w.last(log)
	if !maps.Equal(totals, fold) {
		w.t.Errorf("the changelog folds to %v, the last totals are %v", fold, totals)
	}
	for k, n := range want {
		if totals[k] < n {
			w.t.Errorf("%s: counted %d of %d", k, totals[k], n)
		}
	}
	for i, instance := range w.instances {
		for p := range int32(partitions) {
			if err := foldEquals(w, instance.engine, record.TaskID{Partition: p}, log[p]); err != nil {
				w.t.Errorf("instance %d: task 0_%d: %v", i, p, err)
			}
		}
	}
	return twice
}

func (w *world) last(byPartition map[int32][]*kgo.Record) map[string]int64 {
	w.t.Helper()
	last := map[string]int64{}
	for _, rs := range byPartition {
		for _, r := range rs {
			n, err := serde.Int64.Decode(r.Value)
			if err != nil {
				w.t.Fatalf("%s/%d@%d: %v", r.Topic, r.Partition, r.Offset, err)
			}
			last[string(r.Key)] = n
		}
	}
	return last
}

// foldEquals compares the store of a task with its changelog up to the stored offset (P4). An instance that never had the task
// has offset 0 and no row.
func foldEquals(w *world, engine state.Engine, id record.TaskID, log []*kgo.Record) error {
	space, err := engine.Space(id)
	if err != nil {
		return err
	}
	defer space.Close()
	o, _, err := space.Offset("counts")
	if err != nil {
		return err
	}
	var below []*kgo.Record
	for _, r := range log {
		if r.Offset < o.Changelog {
			below = append(below, r)
		}
	}
	store, err := space.Store("counts", state.KindKeyValue)
	if err != nil {
		return err
	}
	it, err := store.Iter(nil, nil, false)
	if err != nil {
		return err
	}
	defer it.Close()
	got := map[string]int64{}
	for it.Next() {
		n, err := serde.Int64.Decode(it.Value()[8:]) // behind the timestamp
		if err != nil {
			return err
		}
		got[string(it.Key())] = n
	}
	if want := w.last(map[int32][]*kgo.Record{0: below}); !maps.Equal(got, want) {
		return fmt.Errorf("the changelog up to %d folds to %v, the store has %v", o.Changelog, want, got)
	}
	return it.Err()
}
