package engine

import (
	"sync"

	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// routes know which worker reads a partition. The fetcher delivers by them, the workers change them.
type routes struct {
	mu   sync.Mutex
	byTP map[record.TopicPartition]route

	committed bool // what transactions have not committed is not delivered: a partition ends before it

	failed func(Delivered, *runner) bool // takes over a fetch that has ended with an error
}

type route struct {
	to         *runner
	generation int64
}

func (r *routes) set(tp record.TopicPartition, to route) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byTP[tp] = to
}

func (r *routes) remove(tp record.TopicPartition) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byTP, tp)
}

// deliver hands the answer of a fetch over: one post per worker.
func (r *routes) deliver(answer []kafka.Fetched) {
	byWorker := map[*runner][]any{}
	r.mu.Lock()
	for i := range answer {
		f := &answer[i]
		to, ok := r.byTP[f.TP]
		if !ok {
			releaseAll(f.Batches)
			continue
		}
		ev := Delivered{TP: f.TP, Generation: to.generation, Next: f.Next, End: f.HighWatermark, Err: f.Err}
		if r.committed { // else a task would wait for an open transaction, as for records that lag
			ev.End = f.LastStable
		}
		if f.Err != nil && r.failed != nil && r.failed(ev, to.to) {
			continue
		}
		if len(f.Batches) > 0 {
			ev.Batches = make([]Batch, len(f.Batches))
			for j, b := range f.Batches {
				ev.Batches[j] = newFetched(b)
			}
		}
		byWorker[to.to] = append(byWorker[to.to], ev)
	}
	r.mu.Unlock()
	for w, events := range byWorker {
		if !w.box.post(events...) {
			for _, ev := range events {
				for _, b := range ev.(Delivered).Batches {
					b.Release()
				}
			}
		}
	}
}

func releaseAll(batches []*kafka.Batch) {
	for _, b := range batches {
		b.Release()
	}
}
