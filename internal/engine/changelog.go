package engine

import (
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// changelog writes to the changelog partition of one store. It implements Changelog.
type changelog struct {
	out  *Out
	part *outPart
	task *Task
	next int64 // offset after the last acknowledged record

	sealed []Sealed // batches of the commit under way that were not sent yet
	sizes  []int    // of the batches in sealed
}

// Append implements Changelog.
func (c *changelog) Append(time int64, key, value []byte, h record.Headers) error {
	if err := c.part.b.Append(max(time, 0), key, value, h); err != nil {
		return fmt.Errorf("%s: %w", c.part.tp, err)
	}
	if c.part.b.Len() >= c.out.cfg.BatchBytes {
		return c.flush()
	}
	return nil
}

func (c *changelog) flush() error {
	if c.part.b.Count() == 0 {
		return nil
	}
	size := c.part.b.Len()
	s, err := c.part.b.Seal()
	if err != nil {
		return fmt.Errorf("%s: %w", c.part.tp, err)
	}
	c.sealed, c.sizes = append(c.sealed, s), append(c.sizes, size)
	return nil
}

// send hands the sealed batches over. It returns how many there were.
func (c *changelog) send(round int64) int {
	n := len(c.sealed)
	for i, s := range c.sealed {
		c.out.send(c.part.tp, s, &Sent{TP: c.part.tp, Count: s.Count(), Bytes: c.sizes[i], log: c, round: round})
		c.sealed[i] = nil
	}
	c.sealed, c.sizes = c.sealed[:0], c.sizes[:0]
	return n
}

// drop forgets what was not sent.
func (c *changelog) drop() {
	c.part.b.Reset()
	c.sealed, c.sizes = nil, nil
}

func (t *Task) openStores() error {
	t.commit.logs = make([]*changelog, len(t.prog.Stores))
	for i, s := range t.prog.Stores {
		if s.Changelog == "" || s.Source {
			continue
		}
		d, err := t.cfg.Out.Dest(s.Changelog)
		if err != nil {
			return fmt.Errorf("task %s: changelog of store %s: %w", t.ID, s.Store.Name(), err)
		}
		to := t.cfg.Out.dests[d]
		if t.ID.Partition >= to.info.Partitions {
			return fmt.Errorf("task %s: changelog %s has %d partitions, want at least %d", t.ID, s.Changelog,
				to.info.Partitions, t.ID.Partition+1)
		}
		tp := record.TopicPartition{Topic: s.Changelog, Partition: t.ID.Partition}
		t.commit.logs[i] = &changelog{out: t.cfg.Out, task: t, next: s.Next,
			part: &outPart{out: t.cfg.Out, tp: tp, b: t.cfg.Out.builder(tp)}}
	}
	return nil
}

// sendLogs sends the changelog records of the commit under way. It returns how many batches there are.
func (t *Task) sendLogs(round int64) (n int) {
	for _, log := range t.commit.logs {
		if log != nil {
			n += log.send(round)
		}
	}
	return n
}
