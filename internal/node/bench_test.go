package node_test

import (
	"encoding/binary"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/memstore"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// benchStore opens a store of a task over an engine in memory; commit freezes and applies it.
func benchStore(b *testing.B, task *node.Task, spec state.Spec) (store state.Store, commit func()) {
	engine := memstore.New()
	space, err := engine.Space(record.TaskID{})
	if err != nil {
		b.Fatal(err)
	}
	es, err := space.Store(spec.Name, spec.Kind)
	if err != nil {
		b.Fatal(err)
	}
	if store, err = spec.Open(&state.Env{Units: &task.Units, Engine: es}); err != nil {
		b.Fatal(err)
	}
	return store, func() {
		batch := space.Batch()
		if err := store.Freeze(batch, nil); err != nil {
			b.Fatal(err)
		}
		if err := batch.Commit(); err != nil {
			b.Fatal(err)
		}
		store.Applied()
	}
}

// BenchmarkForeignFanOut is an update of a right row that a hundred left rows wait for: ns and allocations per answer are a hundredth.
func BenchmarkForeignFanOut(b *testing.B) {
	task, at := &node.Task{}, &node.Info{Name: "n", Stats: new(node.Stats)}
	store, commit := benchStore(b, task, state.SubscriptionSpec("subscriptions"))
	subs := store.(*state.Subscriptions)
	const products, each = 1000, 100
	serial := node.SubscriptionSerde(serde.BytesView)
	key := func(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)) }
	for i := range products {
		for n := range each {
			pk := key(i*each + n)
			v, _ := serial.Append(nil, node.Subscription[[]byte]{PrimaryKey: pk, Hash: record.Some(node.Murmur3(pk)), Instruction: 3})
			if err := subs.Put(key(i), pk, v, 1); err != nil {
				b.Fatal(err)
			}
		}
		task.Units.Commit()
	}
	commit()
	answers := 0
	send := node.SendForeign(task, at, subs, serde.BytesView, serde.BytesView, func(*node.Rec[[]byte, node.Response[[]byte]]) error {
		answers++
		return nil
	})
	r := &node.Rec[[]byte, node.Change[[]byte]]{Key: make([]byte, 8), Value: node.Change[[]byte]{New: record.Some([]byte("value"))}}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		binary.BigEndian.PutUint64(r.Key, uint64(n*7919%products))
		if err := send(r); err != nil {
			b.Fatal(err)
		}
		task.Units.Commit()
		n++
	}
	if answers != n*each {
		b.Fatalf("%d answers to %d updates", answers, n)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(answers), "ns/answer")
}

// BenchmarkSuppress is a change that meets a buffer of a thousand rows, every fourth of which sends a row on.
func BenchmarkSuppress(b *testing.B) {
	task, at := &node.Task{}, &node.Info{Name: "n", Stats: new(node.Stats)}
	task.Input.Coordinates = record.Coordinates{TopicPartition: record.TopicPartition{Topic: "in"}}
	store, commit := benchStore(b, task, state.SuppressSpec("buffer", serde.BytesView, serde.Int64))
	sent := 0
	suppress := node.Suppress(task, at, node.Suppression{Wait: 4000, MaxRecords: node.NoLimit, MaxBytes: node.NoLimit},
		store.(*state.ChangeBuffer[[]byte, int64]), node.RecordTime[[]byte], func(*node.Rec[[]byte, node.Change[int64]]) error {
			sent++
			return nil
		})
	r := &node.Rec[[]byte, node.Change[int64]]{Key: make([]byte, 8)}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		binary.BigEndian.PutUint64(r.Key, uint64(n/4000*1000+n%1000))
		r.Time, r.Value = int64(n), node.Change[int64]{New: record.Some(int64(n)), Old: record.Some(int64(n - 1))}
		if err := suppress(r); err != nil {
			b.Fatal(err)
		}
		task.Units.Commit()
		if n++; n%10_000 == 0 {
			commit()
		}
	}
	if n > 10_000 && (sent < n/4-2000 || sent > n/4) {
		b.Fatalf("%d rows sent of %d changes", sent, n)
	}
}
