package engine

import (
	"fmt"
	"math/rand/v2"

	"github.com/oxbow-streams/oxbow/internal/engine/assign"
	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// chance is where the jitter of retries comes from.
func chance() float64 { return rand.Float64() }

// sticky is package assign as an Assignor.
type sticky struct{ *assign.Assignor }

func newAssignor(a *App) (Assignor, error) {
	s, err := assign.New(assign.Config{
		Process: a.cfg.Process,
		Workers: func() int { return a.cfg.Workers },
		Topics:  a.topics.sources,
		Subs:    func() ([]assign.Sub, error) { return a.topics.subs(a), nil },
		State:   func() []assign.TaskState { return stateOnDisk(a.cfg.Engine, a) },
	})
	return sticky{s}, err
}

// Given implements Assignor.
func (s sticky) Given(as kafka.Assignment, generation int32) (map[record.TaskID][]record.TopicPartition, error) {
	given, err := s.Tasks(as, generation)
	if err != nil {
		return nil, err
	}
	if given.Refused != 0 {
		return nil, fmt.Errorf("assignment of generation %d: %s", generation, given.Refused)
	}
	tasks := make(map[record.TaskID][]record.TopicPartition, len(given.Tasks))
	for _, t := range given.Tasks {
		tasks[t.ID] = t.Partitions
	}
	return tasks, nil
}

// sources lists what the application subscribes to.
func (b *topicBook) sources() (names []string) {
	for _, in := range b.inputs {
		for name := range in {
			names = append(names, name)
		}
	}
	return names
}

func (b *topicBook) subs(a *App) []assign.Sub {
	subs := make([]assign.Sub, len(b.inputs))
	for i, in := range b.inputs {
		subs[i] = assign.Sub{ID: int32(i), Stateful: len(a.cfg.Topology.Subs[i].Stores) > 0}
		for name, n := range in {
			subs[i].Topics = append(subs[i].Topics, assign.Topic{Name: name, Partitions: n})
		}
	}
	return subs
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
