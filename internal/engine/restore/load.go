package restore

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// load carries out the journey of one store, on the goroutine that called run.
type load struct {
	*Store
	journey
	m    *Manager
	task record.TaskID

	restorer *state.Restorer
	// For others to see.
	position, goal atomic.Int64

	mu      sync.Mutex
	reading bool
	queue   []kafka.Fetched
	waiting int64 // bytes in queue
	held    bool
	wake    chan struct{} // capacity 1
}

// run goes the way to its end.
func (l *load) run(ctx context.Context) (state.StoredOffset, error) {
	defer l.stop()
	act, err := l.step(l.m.cfg.Now(), begun{})
	for {
		l.position.Store(l.journey.position)
		l.goal.Store(l.end)
		var ev event
		switch act {
		case ask:
			ev = l.bounds(ctx)
		case wipe:
			ev = l.wipe()
		case fetch:
			l.begin()
			ev = l.next(ctx)
		case goOn:
			ev = l.next(ctx)
		case finish:
			return l.finish()
		case leave:
			return l.stored, nil
		case fail:
			return state.StoredOffset{}, err
		}
		act, err = l.step(l.m.cfg.Now(), ev)
	}
}

// bounds asks where the log begins and ends. The end is the high watermark, also where only committed records are read: the
// end of those may lie before records that are committed, until their markers are written.
func (l *load) bounds(ctx context.Context) event {
	if l.phase == asking {
		l.stop()
	}
	var b bounded
	for _, q := range []struct {
		at   int64
		into *int64
	}{{kafka.LatestOffset, &b.end}, {kafka.EarliestOffset, &b.start}} {
		res, err := l.m.client.ListOffsets(ctx, map[record.TopicPartition]int64{l.Changelog: q.at}, kafka.ReadUncommitted)
		if err != nil {
			return failed{err}
		}
		*q.into = res[l.Changelog].Offset
	}
	return b
}

// wipe empties the store and says from where it is to be filled, in one commit.
func (l *load) wipe() event {
	l.stop()
	l.m.wipes.Add(1)
	l.m.cfg.Logger.Warn("state is dropped and restored from the beginning of its changelog", "task", l.task.String(),
		"store", l.Name, "changelog", l.Changelog.String(), "because", l.why)
	b := l.Space.Batch()
	o := state.StoredOffset{Changelog: l.start, BrokerTime: l.asOf}
	if err := errors.Join(b.DeleteRange(l.Engine, nil, nil), b.SetOffset(l.Name, o)); err != nil {
		b.Discard()
		return failed{err}
	}
	if err := b.Commit(); err != nil {
		return failed{err}
	}
	return wiped{}
}

// begin reads from the position.
func (l *load) begin() {
	l.restorer = l.newRestorer()
	l.mu.Lock()
	l.reading = true
	l.mu.Unlock()
	l.m.fetcher.Add(l.Changelog, l.journey.position)
}

func (l *load) newRestorer() *state.Restorer {
	from := state.StoredOffset{Changelog: l.journey.position, BrokerTime: l.complete, Position: l.stored.Position}
	r := state.NewRestorer(l.Engine, l.Spec, from, l.m.room())
	if l.Source {
		r.FromSource()
	}
	return r
}

// stop reads no more. Nothing is delivered after it.
func (l *load) stop() {
	l.mu.Lock()
	was := l.reading
	l.reading = false
	l.mu.Unlock()
	if was {
		l.m.fetcher.Remove(l.Changelog)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.queue {
		release(f.Batches)
	}
	l.queue, l.waiting, l.held = nil, 0, false
}

// put queues what was fetched, and pauses the fetcher when that is enough for now. Pausing and resuming happen under the lock,
// so that they cannot overtake one another.
func (l *load) put(f kafka.Fetched) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.reading {
		release(f.Batches)
		return
	}
	l.queue = append(l.queue, f)
	l.waiting += size(f)
	select {
	case l.wake <- struct{}{}:
	default:
	}
	if !l.held && l.waiting >= l.m.waits() {
		l.held = true
		l.m.fetcher.Pause(l.Changelog)
	}
}

// take takes one answer out of the queue.
func (l *load) take() (f kafka.Fetched, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		return f, false
	}
	f = l.queue[0]
	l.queue = l.queue[1:]
	l.waiting -= size(f)
	if l.held && l.waiting < l.m.waits()/2 {
		l.held = false
		l.m.fetcher.Resume(l.Changelog)
	}
	return f, true
}

func size(f kafka.Fetched) (n int64) {
	for _, b := range f.Batches {
		n += int64(b.Size())
	}
	return n
}

// next loads one answer, and waits for it if there is none.
func (l *load) next(ctx context.Context) event {
	for {
		if err := context.Cause(ctx); err != nil {
			return failed{err}
		}
		if f, ok := l.take(); ok {
			if err := errors.Join(l.add(ctx, f), f.Err); err != nil {
				return failed{err}
			}
			return read{f.Next, f.HighWatermark}
		}
		select {
		case <-l.wake:
		case <-ctx.Done():
			return failed{context.Cause(ctx)}
		case <-l.m.stopped:
			return failed{ErrStopped}
		}
	}
}

// add gives the records of an answer to the restorer, and releases it.
func (l *load) add(ctx context.Context, f kafka.Fetched) (err error) {
	before := l.restorer.Stats()
	var rec record.Raw
	for _, b := range f.Batches {
		if err == nil {
			err = context.Cause(ctx)
		}
		cur := b.Cursor(f.Position)
		for err == nil {
			var ok bool
			if ok, err = cur.Next(&rec); !ok {
				break
			}
			err = l.restorer.Add(rec, l.complete)
		}
		b.Release()
	}
	after := l.restorer.Stats()
	l.m.count(l.Name, after.Records-before.Records, after.Bytes-before.Bytes)
	return err
}

// finish brings the last of it into the engine.
func (l *load) finish() (state.StoredOffset, error) {
	l.stop()
	if l.restorer == nil {
		l.restorer = l.newRestorer()
	}
	o := state.StoredOffset{Changelog: l.journey.position, BrokerTime: l.asOf, Position: l.stored.Position}
	return o, l.restorer.Finish(o)
}
