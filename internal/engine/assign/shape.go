package assign

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// Topic is a source topic with its number of partitions.
type Topic struct {
	Name       string
	Partitions int32
}

// Sub is a sub-topology: what its sources read. A topic is read by one sub-topology only.
type Sub struct {
	ID       int32
	Topics   []Topic
	Stateful bool
}

// Tasks returns the number of tasks: as many as its largest topic has partitions.
func (s *Sub) Tasks() int32 {
	n := int32(0)
	for _, t := range s.Topics {
		n = max(n, t.Partitions)
	}
	return n
}

// Partitions appends the partitions that a task reads.
func (s *Sub) Partitions(dst []record.TopicPartition, partition int32) []record.TopicPartition {
	for _, t := range s.Topics {
		if partition < t.Partitions {
			dst = append(dst, record.TopicPartition{Topic: t.Name, Partition: partition})
		}
	}
	return dst
}

// Task is a task and the partitions it reads.
type Task struct {
	ID         record.TaskID
	Partitions []record.TopicPartition
}

// shape is the sub-topologies, indexed.
type shape struct {
	subs  []Sub          // by ID
	index map[int32]int  // of a sub by its ID
	topic map[string]int // index of the sub that reads it
	tasks []int32        // of each sub
}

func newShape(subs []Sub) (*shape, error) {
	s := &shape{subs: slices.Clone(subs), index: map[int32]int{}, topic: map[string]int{}}
	slices.SortFunc(s.subs, func(a, b Sub) int { return cmp.Compare(a.ID, b.ID) })
	for i := range s.subs {
		sub := &s.subs[i]
		if _, twice := s.index[sub.ID]; twice || sub.ID < 0 {
			return nil, fmt.Errorf("sub-topology %d: ids must be unique and not negative", sub.ID)
		}
		s.index[sub.ID] = i
		for _, t := range sub.Topics {
			if j, twice := s.topic[t.Name]; twice {
				return nil, fmt.Errorf("topic %q: read by sub-topologies %d and %d; one of them must read it for both", t.Name, s.subs[j].ID, sub.ID)
			}
			s.topic[t.Name] = i
		}
		s.tasks = append(s.tasks, sub.Tasks())
	}
	return s, nil
}

// task returns the task that reads a partition.
func (s *shape) task(tp record.TopicPartition) (record.TaskID, bool) {
	i, ok := s.topic[tp.Topic]
	if !ok {
		return record.TaskID{}, false
	}
	return record.TaskID{Sub: s.subs[i].ID, Partition: tp.Partition}, true
}

// has tells whether a task exists, and the index of its sub-topology.
func (s *shape) has(id record.TaskID) (sub int, ok bool) {
	sub, ok = s.index[id.Sub]
	return sub, ok && id.Partition >= 0 && id.Partition < s.tasks[sub]
}

// Group turns assigned partitions into tasks, in order. A partition that no sub-topology reads is an error.
func Group(subs []Sub, partitions []record.TopicPartition) ([]Task, error) {
	s, err := newShape(subs)
	if err != nil {
		return nil, err
	}
	byID := map[record.TaskID]*Task{}
	for _, tp := range partitions {
		id, ok := s.task(tp)
		if !ok {
			return nil, fmt.Errorf("%v: assigned, but no sub-topology of this program reads %q: the group's leader runs another program", tp, tp.Topic)
		}
		if byID[id] == nil {
			byID[id] = &Task{ID: id}
		}
		byID[id].Partitions = append(byID[id].Partitions, tp)
	}
	tasks := make([]Task, 0, len(byID))
	for _, t := range byID {
		slices.SortFunc(t.Partitions, func(a, b record.TopicPartition) int { return cmp.Compare(a.Topic, b.Topic) })
		tasks = append(tasks, *t)
	}
	slices.SortFunc(tasks, func(a, b Task) int { return a.ID.Compare(b.ID) })
	return tasks, nil
}

// Fingerprint condenses the description of a topology into what members compare.
func Fingerprint(description string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(description))
	return h.Sum64()
}
