package engine

import (
	"fmt"
	"slices"

	"github.com/oxbow-streams/oxbow/internal/node"
)

// metadataMost is the broker's default for offset.metadata.max.bytes: what is longer is refused, and with it the commit.
const metadataMost = 4096

// clocks are the times that the operators of a task keep (E9). They are committed with the offsets of its inputs, under their
// names, where Kafka Streams keeps such times.
type clocks struct {
	list                    []*node.Clock
	frozen, applied, stored []int64 // in the commit under way, in the state of the engine, in the group's offsets
}

func (t *Task) openClocks() error {
	c := &t.clocks
	c.list = t.node.Clocks
	m := OffsetMetadata{Named: map[string]int64{commitName: 0}}
	for _, k := range c.list {
		if _, ok := m.Named[k.Name()]; ok {
			return fmt.Errorf("task %s: two clocks have the name %s", t.ID, k.Name())
		}
		m.Named[k.Name()] = 0
	}
	if n := len(m.Encode()); n > metadataMost {
		return fmt.Errorf("task %s: the times of its %d operators take %d bytes of offset metadata, a broker takes %d: "+
			"split the sub-topology with Repartition, or give its operators shorter names", t.ID, len(c.list), n, metadataMost)
	}
	c.frozen = slices.Repeat([]int64{-1}, len(c.list))
	c.applied, c.stored = slices.Clone(c.frozen), slices.Clone(c.frozen)
	return nil
}

// restore takes over what was committed with an input's offset. The inputs may differ: a commit writes those that it passes.
func (c *clocks) restore(named map[string]int64) {
	for i, k := range c.list {
		if at, ok := named[k.Name()]; ok && at > k.Now() {
			k.Restore(at)
			c.frozen[i], c.applied[i], c.stored[i] = at, at, at
		}
	}
}

func (c *clocks) freeze() {
	for i, k := range c.list {
		c.frozen[i] = k.Now()
	}
}

func (c *clocks) apply()   { copy(c.applied, c.frozen) }
func (c *clocks) confirm() { copy(c.stored, c.frozen) }

// rewind goes back to where the state is.
func (c *clocks) rewind() {
	for i, k := range c.list {
		k.Restore(c.applied[i])
	}
}

// moved tells whether the commit under way has to tell the group about a clock.
func (c *clocks) moved() bool { return !slices.Equal(c.frozen, c.stored) }

// named are the times of the commit under way, nil for none.
func (c *clocks) named() (m map[string]int64) {
	for i, k := range c.list {
		if c.frozen[i] >= 0 {
			if m == nil {
				m = make(map[string]int64, len(c.list))
			}
			m[k.Name()] = c.frozen[i]
		}
	}
	return m
}
