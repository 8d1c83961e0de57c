package engine

import (
	"log/slog"
	"math/rand/v2"

	"github.com/oxbow-streams/oxbow/internal/engine/assign"
	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// chance is where the jitter of retries comes from.
func chance() float64 { return rand.Float64() }

// salt is where the numbers of transactions differ.
func salt() uint32 { return rand.Uint32() }

// sticky is package assign as an Assignor.
type sticky struct {
	*assign.Assignor
	log      *slog.Logger
	patterns *patterns
}

func newAssignor(a *App) (Assignor, error) {
	s, err := assign.New(assign.Config{
		Process:  a.cfg.Process,
		Topology: assign.Fingerprint(a.cfg.Topology.Describe()),
		Workers:  func() int { return a.cfg.Workers },
		Topics:   a.topics.Load().sources,
		Subs:     func() ([]assign.Sub, error) { return a.topics.Load().reads(), nil },
		State:    func() []assign.TaskState { return stateOnDisk(a.cfg.Engine, a) },
	})
	return sticky{s, a.log, a.patterns}, err
}

// Assign implements Assignor. A member that joins may know of a topic that has come or gone since the leader has looked.
func (s sticky) Assign(members []kafka.Member) (map[string]kafka.Assignment, error) {
	if err := s.patterns.look(s.patterns.app.ioCtx); err != nil {
		return nil, err
	}
	return s.Assignor.Assign(members)
}

// Given implements Assignor. A member that is refused has no tasks: it stays, and is asked again with the next generation,
// as when the last instance of the other program has left.
func (s sticky) Given(as kafka.Assignment, generation int32) (map[record.TaskID][]record.TopicPartition, error) {
	known, err := s.patterns.known(as.Partitions)
	if err != nil {
		return nil, err
	}
	as.Partitions = known
	given, err := s.Tasks(as, generation)
	if err != nil {
		return nil, err
	}
	if given.Refused != assign.Accepted {
		s.log.Error("the group's leader gives this instance no tasks", "generation", generation, "because", given.Refused.String())
		return nil, nil
	}
	tasks := make(map[record.TaskID][]record.TopicPartition, len(given.Tasks))
	for _, t := range given.Tasks {
		tasks[t.ID] = t.Partitions
	}
	return tasks, nil
}

// stateOnDisk lists the tasks that the engine holds state of.
func stateOnDisk(e state.Engine, a *App) []assign.TaskState {
	ids, err := e.Tasks()
	if err != nil {
		a.log.Warn("tasks on disk cannot be listed", "err", err)
		return nil
	}
	states := make([]assign.TaskState, len(ids))
	for i, id := range ids {
		states[i] = assign.TaskState{Task: id, Lag: -1}
	}
	return states
}
