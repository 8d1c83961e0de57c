package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// restorer brings the stores of new tasks up to the end of their changelogs. It has a fetcher of its own, so that running
// tasks never wait for restoring ones; tasks are restored beside one another, the stores of one in turn.
type restorer struct {
	app     *App
	fetcher *kafka.Fetcher
	records atomic.Int64

	mu   sync.Mutex
	jobs map[record.TopicPartition]*restoreJob
	done map[string]int64 // records by store
}

// restoreJob is one changelog partition that is read.
type restoreJob struct {
	store string
	left  atomic.Int64 // offsets

	mu    sync.Mutex
	queue []kafka.Fetched
	bytes int
	held  bool
	wake  chan struct{}
}

// What waits to be loaded of one changelog partition.
const (
	restoreQueueBytes = 4 << 20
)

func newRestorer(a *App) *restorer {
	r := &restorer{app: a, jobs: map[record.TopicPartition]*restoreJob{}, done: map[string]int64{}}
	r.fetcher = a.client.NewFetcher(a.cfg.Fetch, r.deliver)
	return r
}

func (r *restorer) run(ctx context.Context) error { return r.fetcher.Run(ctx) }

func (r *restorer) deliver(answer []kafka.Fetched) {
	for _, f := range answer {
		r.mu.Lock()
		j := r.jobs[f.TP]
		r.mu.Unlock()
		if j == nil {
			releaseAll(f.Batches)
			continue
		}
		j.mu.Lock()
		j.queue = append(j.queue, f)
		for _, b := range f.Batches {
			j.bytes += b.Size()
		}
		hold := !j.held && j.bytes > restoreQueueBytes
		j.held = j.held || hold
		j.mu.Unlock()
		if hold {
			r.fetcher.Pause(f.TP)
		}
		select {
		case j.wake <- struct{}{}:
		default:
		}
	}
}

func (r *restorer) take(tp record.TopicPartition, j *restoreJob) []kafka.Fetched {
	j.mu.Lock()
	defer j.mu.Unlock()
	q := j.queue
	j.queue, j.bytes = nil, 0
	if j.held {
		j.held = false
		r.fetcher.Resume(tp)
	}
	return q
}

// restore returns the offsets that the stores' changelogs were restored up to, in the order of the stores.
func (r *restorer) restore(ctx context.Context, id record.TaskID, stores []TaskStore) ([]int64, error) {
	ends := make([]int64, len(stores))
	ask := map[record.TopicPartition]int64{}
	for i, s := range stores {
		ends[i] = s.Next
		if s.Changelog != "" {
			ask[record.TopicPartition{Topic: s.Changelog, Partition: id.Partition}] = kafka.LatestOffset
		}
	}
	if len(ask) == 0 {
		return ends, nil
	}
	latest, err := r.app.client.ListOffsets(ctx, ask, kafka.ReadUncommitted)
	if err != nil {
		return nil, fmt.Errorf("task %s: ends of changelogs: %w", id, err)
	}
	for i, s := range stores {
		if s.Changelog == "" {
			continue
		}
		tp := record.TopicPartition{Topic: s.Changelog, Partition: id.Partition}
		end := latest[tp].Offset
		err := r.load(ctx, tp, s, s.Next, end)
		if out := (*kafka.OffsetOutOfRangeError)(nil); errors.As(err, &out) || errors.Is(err, errAhead) {
			r.app.log.Warn("state does not fit its changelog: it is dropped and restored from the beginning",
				"task", id.String(), "changelog", tp.String(), "from", s.Next, "err", err)
			if err = r.reload(ctx, tp, s, end); err != nil {
				return nil, fmt.Errorf("task %s: store %s: %w", id, s.Store.Name(), err)
			}
		} else if err != nil {
			return nil, fmt.Errorf("task %s: store %s: %w", id, s.Store.Name(), err)
		}
		ends[i] = end
	}
	return ends, nil
}

// reload empties a store and restores it from the start of its changelog.
func (r *restorer) reload(ctx context.Context, tp record.TopicPartition, s TaskStore, end int64) error {
	start, err := r.app.client.ListOffsets(ctx, map[record.TopicPartition]int64{tp: kafka.EarliestOffset}, kafka.ReadUncommitted)
	if err != nil {
		return err
	}
	b := s.Space.Batch()
	if err := errors.Join(b.DeleteRange(s.Engine, nil, nil), b.SetOffset(s.Store.Name(), state.StoredOffset{}), b.Commit()); err != nil {
		return err
	}
	return r.load(ctx, tp, s, start[tp].Offset, end)
}

var errAhead = errors.New("the state is ahead of its changelog: the topic was made anew, or has lost records")

// load reads a changelog partition from one offset to another into a store.
func (r *restorer) load(ctx context.Context, tp record.TopicPartition, s TaskStore, from, end int64) error {
	if from > end {
		return errAhead
	}
	if from == end {
		return nil
	}
	j := &restoreJob{store: s.Store.Name(), wake: make(chan struct{}, 1)}
	j.left.Store(end - from)
	r.mu.Lock()
	r.jobs[tp] = j
	r.mu.Unlock()
	defer func() {
		r.fetcher.Remove(tp)
		r.mu.Lock()
		delete(r.jobs, tp)
		r.mu.Unlock()
		for _, f := range r.take(tp, j) {
			releaseAll(f.Batches)
		}
	}()
	r.fetcher.Add(tp, from)
	l := state.NewRestorer(s.Engine, &s.Spec, state.StoredOffset{Changelog: from}, r.app.cfg.RestoreBytes)
	for pos := from; pos < end; {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-j.wake:
		}
		for _, f := range r.take(tp, j) {
			n, err := addAll(l, f)
			r.records.Add(n)
			r.mu.Lock()
			r.done[j.store] += n
			r.mu.Unlock()
			if err = errors.Join(err, f.Err); err != nil {
				return err
			}
			pos = f.Next
			j.left.Store(max(end-pos, 0))
		}
	}
	return l.Finish(state.StoredOffset{Changelog: end, BrokerTime: r.app.nowMs()})
}

// snapshot tells what was restored and what is left, by store.
func (r *restorer) snapshot() (list []RestoreSnapshot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	left := map[string]map[int32]int64{}
	for tp, j := range r.jobs {
		if left[j.store] == nil {
			left[j.store] = map[int32]int64{}
		}
		left[j.store][tp.Partition] += j.left.Load()
		if _, ok := r.done[j.store]; !ok {
			r.done[j.store] = 0
		}
	}
	for store, n := range r.done {
		list = append(list, RestoreSnapshot{store, n, left[store]})
	}
	return list
}

// addAll takes the batches of an answer, and releases them. It returns how many records they held.
func addAll(l *state.Restorer, f kafka.Fetched) (n int64, err error) {
	var rec record.Raw
	for _, b := range f.Batches {
		brokerTime := int64(0)
		if b.LogAppendTime() {
			brokerTime = b.MaxTime()
		}
		for cur := b.Cursor(f.Position); err == nil; n++ {
			var ok bool
			if ok, err = cur.Next(&rec); err != nil || !ok {
				break
			}
			err = l.Add(rec, brokerTime)
		}
		b.Release()
	}
	return n, err
}
