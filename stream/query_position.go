package stream

import (
	"context"
	"fmt"
	"maps"

	"github.com/oxbow-streams/oxbow/internal/engine"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// Position is a point in the inputs of a store: for each topic and partition the offset of the last record that is included. The
// position of what was written is known to its producer; passed on to a query, it makes sure that the query sees it.
type Position map[string]map[int32]int64

// With returns a position that includes a record as well.
func (p Position) With(topic string, partition int32, offset int64) Position {
	r := p.clone()
	if r[topic] == nil {
		r[topic] = map[int32]int64{}
	}
	if was, ok := r[topic][partition]; !ok || was < offset {
		r[topic][partition] = offset
	}
	return r
}

// Merge returns a position that includes what either does.
func (p Position) Merge(other Position) Position {
	r := p.clone()
	for topic, partitions := range other {
		for partition, offset := range partitions {
			r = r.With(topic, partition, offset)
		}
	}
	return r
}

func (p Position) clone() Position {
	r := Position{}
	for topic, partitions := range p {
		r[topic] = maps.Clone(partitions)
	}
	return r
}

// NotMaterializedError says that a table has no store in the application's program.
type NotMaterializedError struct {
	Table string
	Site  string // file:line of the call that made it
}

func (e *NotMaterializedError) Error() string {
	return fmt.Sprintf("query: %s, made at %s, has no store in this application: name it with As, and query the application that was "+
		"made from the same Builder", e.Table, e.Site)
}

// PositionError says that the rows of a partition do not include what was asked for.
type PositionError struct {
	Store       string
	Partition   int32
	Topic       string // of the input that lags
	Want, Found int64  // offsets of the last record; Found is −1 if it includes none
}

func (e *PositionError) Error() string {
	return fmt.Sprintf("store %s: partition %d includes %s/%d up to offset %d, not up to %d: wait for it with Await", e.Store, e.Partition,
		e.Topic, e.Partition, e.Found, e.Want)
}

// What a query meets.
type (
	// NotRunningError says that the application has not begun to run, or has ended.
	NotRunningError = engine.NotRunningError
	// StoreNotHereError says that a partition of a store is in another instance, or in none, and which are here.
	StoreNotHereError = engine.StoreNotHereError
	// RestoringError says that a partition of a store is here, but not restored yet.
	RestoringError = engine.RestoringError
)

// includes returns a *PositionError if a part does not include a position, as far as that is about its partition.
func (v *view) includes(part engine.Part, p Position) error {
	var at map[record.TopicPartition]int64
	for topic, partitions := range p {
		if !v.reads(topic) {
			continue
		}
		for partition, want := range partitions {
			if v.taskOf(partition) != part.ID.Partition {
				continue
			}
			if at == nil {
				var err error
				if at, err = part.Position(); err != nil {
					return err
				}
			}
			if next := at[record.TopicPartition{Topic: topic, Partition: partition}]; next <= want {
				return &PositionError{v.store.Name, partition, topic, want, next - 1}
			}
		}
	}
	return nil
}

// taskOf is the number of the task that reads a partition of an input: that of a global store reads all of them.
func (v *view) taskOf(partition int32) int32 {
	if v.of.Topology().Subs[v.store.Sub].Global != nil {
		return 0
	}
	return partition
}

// reads tells whether the tasks of the store read a topic.
func (v *view) reads(topic string) bool {
	n := v.of.Topology().Source(topic)
	return n != nil && n.Sub == v.store.Sub
}

// bounded holds a part to what [View.AtLeast] has asked for.
func (v *view) bounded(part engine.Part) error {
	if v.bound == nil {
		return nil
	}
	return v.includes(part, v.bound)
}

func (v *view) atLeast(p Position) *view {
	c := *v
	c.bound = v.bound.Merge(p)
	return &c
}

func (v *view) position(ctx context.Context) (Position, error) {
	q, x, err := v.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer x.End()
	parts, err := v.parts(q)
	if err != nil {
		return nil, err
	}
	p := Position{}
	for _, part := range parts {
		at, err := part.Position()
		if err != nil {
			return nil, err
		}
		for tp, next := range at {
			if next > 0 {
				p = p.With(tp.Topic, tp.Partition, next-1)
			}
		}
	}
	return p, nil
}

// await waits until all partitions that a position is about include it.
func (v *view) await(ctx context.Context, p Position) error {
	wanted := map[int32]bool{}
	for topic, partitions := range p {
		for partition := range partitions {
			if v.reads(topic) && (v.set.partition == nil || *v.set.partition == partition) {
				wanted[v.taskOf(partition)] = true
			}
		}
	}
	for {
		change, err := v.behind(ctx, p, wanted)
		if change == nil {
			return err
		}
		select {
		case <-change:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

// behind says what a position lacks. The channel is closed when that may have changed; it is nil when there is nothing to wait for.
func (v *view) behind(ctx context.Context, p Position, wanted map[int32]bool) (<-chan struct{}, error) {
	q, x, err := v.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer x.End()
	change := q.Change()
	for partition := range wanted {
		part, err := q.Part(v.store, partition, v.set.stale)
		if err == nil {
			err = v.includes(part, p)
		}
		switch err.(type) {
		case nil:
		case *RestoringError, *PositionError:
			return change, err
		default:
			return nil, err
		}
	}
	return nil, nil
}
