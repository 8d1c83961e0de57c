package engine

import (
	"errors"
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// sender is the output of one task: a worker's Out with the units of that task.
type sender struct {
	task *Task
	out  *Out
	sent int // bytes of the running unit, reset when a unit begins
}

// Sender returns the output that the nodes of a task write to. It is bound to the task by [NewTask].
func (o *Out) Sender() node.Output { return &sender{out: o} }

func (s *sender) Dest(topic string) (node.Dest, error) { return s.out.Dest(topic) }

func (s *sender) Partitions(d node.Dest) int32 { return s.out.dests[d].info.Partitions }

var errUnitTooLarge = errors.New("a unit sends too much")

func (s *sender) Send(d node.Dest, partition int32, time int64, key, value []byte, h record.Headers) error {
	to := s.out.dests[d]
	n := to.info.Partitions
	switch part, byKey := node.PartOfKey(partition, key); {
	case byKey && part == nil:
		partition = to.sticky % n
	case byKey:
		partition = s.out.cfg.Partition(part, n)
	case partition < 0 || partition >= n:
		return refused(fmt.Errorf("partition %d of %s, which has %d", partition, to.topic, n))
	}
	if err := to.check(time, key, value, h); err != nil {
		return err
	}
	t := s.task
	switch s.sent += len(key) + len(value) + len(h.Raw()); {
	case s.sent > s.out.cfg.UnitBytes:
		return refused(fmt.Errorf("%w: more than %d bytes", errUnitTooLarge, s.out.cfg.UnitBytes))
	case t.nested.bytes > 0 && t.nested.now == 0: // the record itself, after what it has made due
		if err := t.roomFor(); err != nil {
			return err
		}
	}
	if t.twice != nil {
		t.twice.note(d, partition, time, key, value, h)
	}
	return s.out.part(to, partition).append(t, time, key, value, h)
}
