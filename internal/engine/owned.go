package engine

import (
	"errors"
	"slices"

	"github.com/oxbow-streams/oxbow/internal/record"
)

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

func (w *Worker) add(t *Task) {
	o := &owned{Task: t, generation: map[record.TopicPartition]int64{}}
	t.tally = w.tally
	w.tasks = append(w.tasks, o)
	for _, tp := range t.Inputs() {
		w.byTP[tp] = o
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
	worked := o.needsCommit()
	o.drop()
	w.leaveRound(o)
	w.remove(o)
	if worked && w.cfg.Transactional {
		w.taken(errTaken)
	}
}

var (
	errTaken   = errors.New("a task was taken away: the transaction that its work is part of is aborted")
	errAborted = errors.New("the transaction was aborted")
)

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
