package engine

import (
	"fmt"
	"math"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// WorkerConfig sets the limits of a worker.
type WorkerConfig struct {
	CommitInterval int64       // ms
	InboxBytes     int         // a partition with that much in its inbox is not fetched
	DirtyBytes     int         // dirty state of the worker's tasks that makes it commit early; 0: no limit
	CommitDue      func() bool // asks for an early commit: a budget shared by all workers is used up; may be nil
	Linger         int64       // ms that output waits for more while there is work
	Transactional  bool        // exactly once: everything between two commits is a transaction
	Out            OutConfig
}

// Worker owns tasks, runs them, and commits them. It is a plain machine: [Worker.Step] takes an event, [Worker.Work] lets
// the tasks run, and [Worker.Actions] says what is to be done outside.
//
// The life of a task: restoring → running → (releasing →) closed. Commits of all its tasks go together, one at a time:
// drained and frozen → acknowledged → applied → offsets committed. Tasks that are released are committed first.
type Worker struct {
	Out *Out

	cfg     WorkerConfig
	tasks   []*owned
	byTP    map[record.TopicPartition]*owned
	turn    int // where the next round of work begins
	actions []Action
	err     error
	paused  bool

	round      round
	rounds     int64
	fetches    int64
	lastCommit int64
	wanted     []int64 // numbers of Requests that the next commit answers
	releases   []Release
	releaseErr error
	open       bool // something was handed over since the last transaction was asked to end

	tally                *Tally
	gone                 Counters // of tasks that are closed
	commits, commitFails int64
	commitTime           int64 // ms, of all commits
}

// NewWorker makes a worker without tasks at wall time now.
func NewWorker(cfg WorkerConfig, now int64) *Worker {
	w := &Worker{cfg: cfg, byTP: map[record.TopicPartition]*owned{}, lastCommit: now, tally: newTally()}
	cfg.Out.Send = func(tp record.TopicPartition, b Sealed, sent *Sent) {
		w.open = true
		w.do(Send{tp, b, sent})
	}
	w.Out = NewOut(cfg.Out)
	return w
}

func (w *Worker) do(a Action) { w.actions = append(w.actions, a) }

// Actions returns what is to be done, in order, and forgets it.
func (w *Worker) Actions() []Action {
	a := w.actions
	w.actions = nil
	return a
}

// Step takes an event at wall time now.
func (w *Worker) Step(now int64, ev Event) {
	if w.err != nil {
		w.stepFailed(ev)
		return
	}
	switch ev := ev.(type) {
	case AddTask:
		w.add(ev.Task)
	case Restored:
		w.restored(now, ev)
	case AddInput:
		w.addInput(ev)
	case DropInput:
		w.dropInput(ev)
	case Delivered:
		w.delivered(ev)
	case Acked:
		w.acked(ev)
	case OffsetsDone:
		w.offsetsDone(now, ev.Err)
	case Ended:
		w.ended(now, ev)
	case Request:
		w.wanted = append(w.wanted, ev.Number)
	case Release:
		w.release(ev)
	case Lose:
		for _, id := range ev.Tasks {
			w.lose(id)
		}
	case Pause:
		w.paused = true
	case Resume:
		w.paused = false
	}
	w.advance(now)
}

// stepFailed answers what somebody waits for, after the worker has failed. Nothing is committed any more.
func (w *Worker) stepFailed(ev Event) {
	switch ev := ev.(type) {
	case AddTask:
		w.do(Closed{ev.Task.ID})
	case Delivered:
		for _, b := range ev.Batches {
			b.Release()
		}
	case Request:
		w.do(Failed{w.err})
	case Release:
		w.do(Released{ev.Number, w.err})
	case Lose:
		for _, id := range ev.Tasks {
			w.lose(id)
		}
	}
}

func (w *Worker) fail(err error) {
	if w.err != nil {
		return
	}
	w.err = err
	if w.cfg.Transactional && w.open && w.round.stage == roundIdle {
		w.endTransaction(End{}) // so that readers of committed records do not wait for its timeout
	}
	w.do(Failed{err})
	for _, r := range w.releases {
		w.do(Released{r.Number, err})
	}
	w.releases = nil
}

// Err returns the error that stopped the worker.
func (w *Worker) Err() error { return w.err }

func (w *Worker) delivered(ev Delivered) {
	o := w.byTP[ev.TP]
	if o == nil || o.state != taskRunning || o.generation[ev.TP] != ev.Generation {
		for _, b := range ev.Batches {
			b.Release()
		}
		return
	}
	if ev.Err != nil {
		w.fail(fmt.Errorf("task %s: %w", o.ID, ev.Err))
		return
	}
	o.Deliver(ev.TP, ev.Batches, ev.Next, ev.End)
	if p := o.input(ev.TP); !p.paused && p.bytes >= w.cfg.InboxBytes {
		p.paused = true
		w.do(Hold{ev.TP})
	}
}

// Work lets every task that is ready run for at most limit records, at wall time now. It returns how many records were
// done; more tells whether some task could go on at once.
func (w *Worker) Work(now int64, limit int) (done int, more bool) {
	if w.err != nil || w.paused {
		return 0, false
	}
	for i := range w.tasks {
		o := w.tasks[(w.turn+i)%len(w.tasks)]
		if o.state != taskRunning || o.refused {
			continue
		}
		if ready, _ := o.Ready(now); !ready {
			continue
		}
		n, err := o.Run(now, limit)
		done += n
		if err != nil {
			w.fail(err)
			return done, false
		}
		w.unhold(o)
		ready, _ := o.Ready(now)
		more = more || ready && n > 0
		if o.node.CommitRequested {
			o.node.CommitRequested = false
			w.lastCommit = math.MinInt64 / 2
		}
	}
	w.turn++
	than := now - w.cfg.Linger
	if !more {
		than = math.MaxInt64
	}
	if err := w.Out.FlushOlder(than); err != nil {
		w.fail(err)
		return done, false
	}
	w.advance(now)
	return done, more
}

func (w *Worker) unhold(o *owned) {
	for _, p := range o.inputs {
		if p.paused && p.bytes <= w.cfg.InboxBytes/2 {
			p.paused = false
			w.do(Unhold{p.tp})
		}
	}
}

// Next returns the wall time at which Work should be called again although no event came.
func (w *Worker) Next(now int64) int64 {
	if w.err != nil {
		return math.MaxInt64
	}
	next := int64(math.MaxInt64)
	for _, o := range w.tasks {
		if o.state == taskReleasing && o.rowWaits() >= 0 {
			next = min(next, o.rowWaits())
		}
		if o.state != taskRunning || w.paused {
			continue
		}
		ready, at := o.Ready(now)
		if ready {
			return now
		}
		next = min(next, at)
		if o.needsCommit() && w.round.stage == roundIdle {
			waits := o.rowWaits()
			if w.cfg.Transactional {
				waits = w.rowWaits()
			}
			next = min(next, max(w.lastCommit+w.cfg.CommitInterval, waits))
		}
	}
	return max(next, now)
}

// Tasks returns the tasks of the worker.
func (w *Worker) Tasks() []*Task {
	ts := make([]*Task, len(w.tasks))
	for i, o := range w.tasks {
		ts[i] = o.Task
	}
	return ts
}
