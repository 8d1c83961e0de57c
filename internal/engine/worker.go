package engine

import (
	"fmt"
	"math"
	"slices"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// WorkerConfig sets the limits of a worker.
type WorkerConfig struct {
	CommitInterval int64       // ms
	InboxBytes     int         // a partition with that much in its inbox is not fetched
	DirtyBytes     int         // dirty state of the worker's tasks that makes it commit early; 0: no limit
	CommitDue      func() bool // asks for an early commit: a budget shared by all workers is used up; may be nil
	Linger         int64       // ms that output waits for more while there is work
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

	tally                *Tally
	gone                 Counters // of tasks that are closed
	commits, commitFails int64
	commitTime           int64 // ms, of all commits
}

// owned is a task with its place in the life of its worker.
type owned struct {
	*Task
	state      taskState
	generation map[record.TopicPartition]int64
	refused    bool // it begins again at the end of the running commit
}

type taskState uint8

const (
	taskRestoring taskState = iota
	taskRunning
	taskReleasing // no more work: it is committed and closed
)

// NewWorker makes a worker without tasks at wall time now.
func NewWorker(cfg WorkerConfig, now int64) *Worker {
	w := &Worker{cfg: cfg, byTP: map[record.TopicPartition]*owned{}, lastCommit: now, tally: newTally()}
	cfg.Out.Send = func(tp record.TopicPartition, b Sealed, sent *Sent) { w.do(Send{tp, b, sent}) }
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
	case Delivered:
		w.delivered(ev)
	case Acked:
		w.acked(ev)
	case OffsetsDone:
		w.offsetsDone(now, ev.Err)
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
	w.do(Failed{err})
	for _, r := range w.releases {
		w.do(Released{r.Number, err})
	}
	w.releases = nil
}

// Err returns the error that stopped the worker.
func (w *Worker) Err() error { return w.err }

func (w *Worker) add(t *Task) {
	o := &owned{Task: t, generation: map[record.TopicPartition]int64{}}
	t.tally = w.tally
	w.tasks = append(w.tasks, o)
	for _, tp := range t.Inputs() {
		w.byTP[tp] = o
	}
}

func (w *Worker) addInput(ev AddInput) {
	o := w.find(ev.ID)
	if o == nil || w.byTP[ev.TP] != nil {
		return
	}
	if err := o.openInputs([]record.TopicPartition{ev.TP}); err != nil {
		w.fail(err)
		return
	}
	w.byTP[ev.TP] = o
	if o.state == taskRunning {
		w.do(Fetch{ev.TP, 0, w.generation(o, ev.TP)})
	}
}

func (w *Worker) find(id record.TaskID) *owned {
	for _, o := range w.tasks {
		if o.ID == id {
			return o
		}
	}
	return nil
}

func (w *Worker) restored(now int64, ev Restored) {
	o := w.find(ev.ID)
	if o == nil || o.state != taskRestoring {
		return
	}
	for i, end := range ev.Ends {
		if log := o.commit.logs[i]; log != nil {
			log.next = end
		}
	}
	if err := o.Init(now); err != nil {
		w.fail(err)
		return
	}
	o.state = taskRunning
	w.fetch(o)
}

// generation numbers a new Fetch of a partition. No two have the same number, also of tasks that come back: a delivery that
// was on its way to the one must not reach the other.
func (w *Worker) generation(o *owned, tp record.TopicPartition) int64 {
	w.fetches++
	o.generation[tp] = w.fetches
	return w.fetches
}

// fetch begins to read the inputs of a task at their positions.
func (w *Worker) fetch(o *owned) {
	for _, p := range o.inputs {
		p.paused = false
		w.do(Fetch{p.tp, p.position, w.generation(o, p.tp)})
	}
}

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
			next = min(next, max(w.lastCommit+w.cfg.CommitInterval, o.rowWaits()))
		}
	}
	return max(next, now)
}

func (w *Worker) release(ev Release) {
	for _, id := range ev.Tasks {
		o := w.find(id)
		if o == nil {
			continue
		}
		if o.state == taskRestoring {
			w.remove(o)
			continue
		}
		o.state = taskReleasing
		for _, p := range o.inputs {
			w.do(Unfetch{p.tp})
		}
	}
	w.releases = append(w.releases, ev)
}

// lose drops a task without a commit.
func (w *Worker) lose(id record.TaskID) {
	o := w.find(id)
	if o == nil {
		return
	}
	if o.state == taskRunning {
		for _, p := range o.inputs {
			w.do(Unfetch{p.tp})
		}
	}
	o.drop()
	w.leaveRound(o)
	w.remove(o)
}

// remove closes a task.
func (w *Worker) remove(o *owned) {
	w.tasks = slices.DeleteFunc(w.tasks, func(x *owned) bool { return x == o })
	for _, tp := range o.Inputs() {
		if w.byTP[tp] == o {
			delete(w.byTP, tp)
		}
	}
	w.gone.Add(o.Counts)
	w.gone.untake()
	w.tally.closed(o.Task)
	if err := o.Close(); err != nil {
		w.fail(err)
	}
	w.do(Closed{o.ID})
}

// Tasks returns the tasks of the worker.
func (w *Worker) Tasks() []*Task {
	ts := make([]*Task, len(w.tasks))
	for i, o := range w.tasks {
		ts[i] = o.Task
	}
	return ts
}
