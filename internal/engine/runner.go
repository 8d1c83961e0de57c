package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// runner is the goroutine of one worker: it feeds the Worker with what comes and does what the Worker asks for. It decides
// nothing.
type runner struct {
	app  *App
	id   int
	box  *mailbox
	w    *Worker
	done chan struct{}

	spent [numPhases]time.Duration
	since time.Time // when the current phase began

	limit   int // records of a task in one go
	answers map[int64]chan error
	tasks   atomic.Int32 // for the choice of a worker
	busy    atomic.Int64 // wall time (ns) since which a round of work runs, 0: none
	closing atomic.Bool
	global  *globals // whose stores it fills; nil of the others
	produce atomic.Pointer[kafka.Producer]
	ending  atomic.Pointer[map[record.TopicPartition]Offset] // of the transaction that is asked to end
	refusal refusals
	last    atomic.Pointer[WorkerSnapshot]
}

// Records of a task in one go: as many as take about a slice of time, so that what comes in the mailbox waits no longer.
const (
	minLimit = 1
	maxLimit = 8192
	slice    = 4 * time.Millisecond
)

func newRunner(a *App, id int, transactional bool) *runner {
	r := &runner{app: a, id: id, box: newMailbox(), done: make(chan struct{}), limit: 256, answers: map[int64]chan error{}}
	fits, reframe := whole(a.cfg.Codec, a.cfg.BatchBytes/8, a.cfg.BatchBytes*2)
	r.w = NewWorker(WorkerConfig{CommitInterval: a.cfg.CommitInterval.Milliseconds(), InboxBytes: a.cfg.InboxBytes,
		Linger: a.cfg.Linger.Milliseconds(), CommitDue: a.commitDue, Transactional: transactional,
		Out: OutConfig{BatchBytes: a.cfg.BatchBytes, UnitBytes: a.cfg.UnitBytes, Topic: a.topics.Load().lookup,
			Builder:   func(record.TopicPartition) Builder { return &kafkaBuilder{codec: a.cfg.Codec} },
			Partition: kafka.Partition, Whole: fits, Reframe: reframe}}, a.nowMs())
	return r
}

// run works until the app tells it to end and it has no tasks left.
func (r *runner) run() {
	defer close(r.done)
	defer r.end()
	defer func() {
		if p := recover(); p != nil { // a fault of ours: every user's function runs under a recover of its own
			r.app.fail(fmt.Errorf("worker %d: panic: %v\n%s", r.id, p, debug.Stack()))
		}
	}()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var items []any
	r.since = time.Now()
	for {
		items = r.box.take(items)
		for i, item := range items {
			r.handle(item)
			items[i] = nil
		}
		if r.closing.Load() {
			return
		}
		r.spend(phaseEvents)
		more := r.work()
		r.spend(phaseProcess)
		if more || len(items) > 0 {
			continue
		}
		now := r.app.nowMs()
		wait := time.Duration(min(max(r.w.Next(now)-now, 0), time.Hour.Milliseconds())) * time.Millisecond
		if r.full() {
			wait = max(wait, fullWait)
		}
		timer.Reset(wait)
		select {
		case <-r.box.wake:
		case <-timer.C:
		}
		r.spend(phaseIdle)
	}
}

// phase is what a worker does with its time.
type phase int

const (
	phaseProcess phase = iota // tasks run, output is handed over
	phaseEvents               // deliveries, acknowledgements, commits
	phaseIdle
	numPhases
)

var phaseNames = [numPhases]string{"process", "events", "idle"}

// spend ends a phase; the next one begins.
func (r *runner) spend(p phase) {
	now := time.Now()
	r.spent[p] += now.Sub(r.since)
	r.since = now
}

func (r *runner) phases() map[string]time.Duration {
	m := map[string]time.Duration{}
	for p, d := range r.spent {
		m[phaseNames[p]] = d
	}
	return m
}

func (r *runner) handle(item any) {
	switch item := item.(type) {
	case Event:
		r.w.Step(r.app.nowMs(), item)
	case func():
		item()
	}
	r.obey()
}

// fullWait is how long a worker waits that may not send more. The acknowledgement of a batch of its own wakes it; that another
// worker's batch has made room it finds out by itself.
const fullWait = 5 * time.Millisecond

// work lets the tasks run once. It returns whether there is more to do at once.
func (r *runner) work() bool {
	if r.full() {
		return false
	}
	start := time.Now()
	r.busy.Store(start.UnixNano())
	_, more := r.w.Work(start.UnixMilli(), r.limit)
	r.busy.Store(0)
	r.obey()
	switch took := time.Since(start); {
	case took > slice:
		r.limit = max(r.limit/2, minLimit)
	case took < slice/4 && more:
		r.limit = min(r.limit*2, maxLimit)
	}
	return more
}

// obey carries out what the worker asks for.
func (r *runner) obey() {
	a := r.app
	for acts := r.w.Actions(); len(acts) > 0; acts = r.w.Actions() {
		for _, act := range acts {
			switch act := act.(type) {
			case Send:
				b := act.Batch.(*kafka.OutBatch)
				b.Tag = sentBy{r, act.Sent}
				r.produce.Load().Send(act.TP, b)
			case Fetch:
				a.fetcher.Remove(act.TP) // nothing asked for before comes under the new generation
				a.routes.set(act.TP, route{r, act.Generation})
				a.fetcher.Add(act.TP, act.From)
			case Unfetch:
				a.fetcher.Remove(act.TP)
				a.routes.remove(act.TP)
			case Hold:
				a.fetcher.Pause(act.TP)
			case Unhold:
				a.fetcher.Resume(act.TP)
			case Applied:
				a.queries.Changed()
				if r.global != nil {
					r.global.reached(r.w.Tasks())
				}
			case CommitOffsets:
				if r.global != nil { // they are in the state
					r.box.post(OffsetsDone{})
					continue
				}
				r.flush()
				a.commit(r, act.Offsets)
			case Flush:
				r.flush()
			case End:
				r.endTransaction(act)
			case Rejoin:
				a.group.Rejoin()
			case Committed:
				r.answer(act.Number, act.Err)
			case Released:
				r.answer(act.Number, act.Err)
			case Closed:
				r.tasks.Add(-1)
				a.tasks.closed(act.ID, r)
			case Failed:
				a.fail(r.explain(act.Err))
			}
		}
	}
}

// explain says what to do about an error of a global store.
func (r *runner) explain(err error) error {
	if out := (*kafka.OffsetOutOfRangeError)(nil); r.global != nil && errors.As(err, &out) {
		return fmt.Errorf("the topic of a global table has lost records that were not read yet: start the application again, and the "+
			"table is read anew: %w", err)
	}
	return err
}

func (r *runner) answer(n int64, err error) {
	if c := r.answers[n]; c != nil {
		delete(r.answers, n)
		c <- err
	}
}

var errWorkerEnded = errors.New("the worker has ended")

// ask posts an event that is answered by number, and waits.
func (r *runner) ask(ctx context.Context, make func(number int64) Event) error {
	c := chan1()
	n := r.app.numbers.Add(1)
	if !r.box.post(func() {
		r.answers[n] = c
		r.w.Step(r.app.nowMs(), make(n))
	}) {
		return errWorkerEnded
	}
	select {
	case err := <-c:
		return err
	case <-r.done:
		return errWorkerEnded
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func chan1() chan error { return make(chan error, 1) }

// end gives back what the worker holds.
func (r *runner) end() {
	for _, item := range r.box.end() {
		if d, ok := item.(Delivered); ok {
			for _, b := range d.Batches {
				b.Release()
			}
		}
	}
	var ids []record.TaskID
	for _, t := range r.w.Tasks() {
		ids = append(ids, t.ID)
	}
	r.w.Step(r.app.nowMs(), Lose{ids})
	r.obey()
	r.snapshot() // stays readable
}

func (r *runner) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// snapshot describes the worker, on its own goroutine.
func (r *runner) snapshot() *WorkerSnapshot {
	shot := r.w.Snapshot()
	shot.ID, shot.Phases = r.id, r.phases()
	r.last.Store(&shot)
	return &shot
}
