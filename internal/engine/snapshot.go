package engine

import (
	"time"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// Snapshot is what an application has counted so far and what it holds at the moment.
type Snapshot struct {
	State         State
	Workers       []WorkerSnapshot
	Restored      int64 // records read back from changelogs
	Restores      []RestoreSnapshot
	Engine        *state.EngineStats // nil: the engine does not tell
	Rebalances    int64
	BufferedBytes int // of output that is not acknowledged
}

// WorkerSnapshot is one worker's part. The last one may be that of the global stores. Stale says that the worker did not answer in time: the figures are older.
type WorkerSnapshot struct {
	ID         int
	Tasks      []TaskSnapshot
	Tally      Tally
	Phases     map[string]time.Duration // where the worker's time went
	Gone       Counters                 // of tasks that were closed
	Commits    int64
	CommitFail int64
	CommitTime time.Duration // of all commits, from draining to the group's confirmation
	Step       string        // of the commit under way
	Stale      bool
}

// TaskSnapshot is one task's part.
type TaskSnapshot struct {
	ID     record.TaskID
	State  string // restoring, running, releasing
	Counts Counters
	Inputs []InputSnapshot
	Nodes  []NodeSnapshot
	Stores []StoreSnapshot
}

// InputSnapshot is one partition that a task reads.
type InputSnapshot struct {
	TP                       record.TopicPartition
	Position, End, Committed int64 // End −1: unknown
	Time                     int64 // partition time, −1: none
	Bytes                    int   // in the inbox
	Held                     bool  // not fetched: the inbox is full
}

// NodeSnapshot is one node of a task.
type NodeSnapshot struct {
	Name  string
	Stats node.Stats
}

// RestoreSnapshot is what was restored of a store, and what is left, by partition of its changelog.
type RestoreSnapshot struct {
	Store     string
	Records   int64
	Remaining map[int32]int64 // of restores under way
}

// StoreSnapshot is one store of a task.
type StoreSnapshot struct {
	Name       string
	DirtyBytes int
	state.StoreStats
}

// roundNames are the steps of a commit, by roundStage.
var roundNames = [...]string{roundIdle: "none", roundAcks: "outputs", roundLogs: "changelog", roundOffsets: "offsets",
	roundTxn: "transaction", roundAbort: "abort"}

var taskStates = [...]string{"restoring", "running", "releasing"}

// Snapshot describes the worker. It is called on the goroutine that drives it.
func (w *Worker) Snapshot() WorkerSnapshot {
	s := WorkerSnapshot{Tally: w.tally.clone(), Step: roundNames[w.round.stage], Gone: w.gone, Commits: w.commits, CommitFail: w.commitFails,
		CommitTime: time.Duration(w.commitTime) * time.Millisecond}
	for _, o := range w.tasks {
		t := TaskSnapshot{ID: o.ID, State: taskStates[o.state], Counts: o.Counts}
		for _, p := range o.inputs {
			t.Inputs = append(t.Inputs, InputSnapshot{TP: p.tp, Position: p.position, End: p.end, Committed: p.committed,
				Time: p.time, Bytes: p.bytes, Held: p.paused})
		}
		for _, info := range o.prog.Infos {
			if info != nil && info.Stats != nil {
				t.Nodes = append(t.Nodes, NodeSnapshot{info.Name, *info.Stats})
			}
		}
		for _, st := range o.prog.Stores {
			t.Stores = append(t.Stores, StoreSnapshot{st.Store.Name(), st.Store.DirtyBytes(), storeStats(st.Store)})
		}
		s.Tasks = append(s.Tasks, t)
	}
	return s
}

// snapshotWait is how long a scrape waits for a worker that is busy.
const snapshotWait = time.Second

// Snapshot asks every worker. One that does not answer in time is shown as it was, one that has ended as it ended.
func (a *App) Snapshot() Snapshot {
	now, _, _ := a.states.get()
	s := Snapshot{State: now, Rebalances: a.rebalances.Load()}
	runners := a.allRunners()
	if len(runners) == 0 {
		return s
	}
	if m, ok := a.cfg.Engine.(state.Measured); ok {
		stats := m.Stats()
		s.Engine = &stats
	}
	for _, p := range a.restores.ByStore() {
		s.Restores = append(s.Restores, RestoreSnapshot(p))
	}
	s.Restored, s.BufferedBytes = a.restores.Progress().Records, a.buffered()
	deadline := time.NewTimer(snapshotWait)
	defer deadline.Stop()
	answers := make([]chan WorkerSnapshot, len(runners))
	for i, r := range runners {
		answers[i] = make(chan WorkerSnapshot, 1)
		r.box.post(func() {
			answers[i] <- *r.snapshot()
		})
	}
	late := false
	for i, r := range runners {
		select {
		case shot := <-answers[i]:
			s.Workers = append(s.Workers, shot)
			continue
		default:
		}
		if !late {
			select {
			case shot := <-answers[i]:
				s.Workers = append(s.Workers, shot)
				continue
			case <-r.done:
			case <-deadline.C:
				late = true
			}
		}
		if shot := r.last.Load(); shot != nil {
			old := *shot
			old.Stale = !r.ended()
			s.Workers = append(s.Workers, old)
		}
	}
	return s
}

// Sum adds up what became of all records.
func (s Snapshot) Sum() (sum Counters) {
	for _, w := range s.Workers {
		sum.Add(w.Gone)
		for _, t := range w.Tasks {
			sum.Add(t.Counts)
		}
	}
	return sum
}
