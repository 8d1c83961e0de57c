package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/topology"
)

// How often, and how far apart, the group is asked again for an offset that state says was committed.
const (
	lostOffsetTries = 5
	lostOffsetPause = 200 * time.Millisecond
)

// LostOffsetError says that the group has no committed offset of a partition although a task's state holds what was read
// from it. To begin by the reset policy would count records twice, or leave some out.
type LostOffsetError struct {
	Group string
	Task  record.TaskID
	Store string
	TP    record.TopicPartition
	Next  int64 // the state holds what lies before; −1: unknown
	// Logged is how many offsets the changelog of the store has, if the state is only there: the disk is new.
	Logged int64
}

func (e *LostOffsetError) Error() string {
	to := "OFFSET"
	holds := "holds records already"
	if e.Next >= 0 {
		to = fmt.Sprint(e.Next)
		holds = fmt.Sprintf("holds what lies before offset %d", e.Next)
	}
	if e.Logged > 0 {
		holds = fmt.Sprintf("was written before, up to offset %d of its changelog", e.Logged)
	}
	return fmt.Sprintf("%s: task %s: the group %s has no committed offset, but the state of store %s %s: the offsets have expired "+
		"(offsets.retention.minutes) or were deleted; stop all instances and commit where to go on: kafka-consumer-groups.sh --group %s "+
		"--topic %s:%d --reset-offsets --to-offset %s --execute; or delete the application's state directories, internal topics and "+
		"offsets to begin anew", e.TP, e.Task, e.Group, e.Store, holds, e.Group, e.TP.Topic, e.TP.Partition, to)
}

// startOffsets returns where to begin in each partition: the committed offset, or what the reset policy says. What the policy
// says is committed before anything is read, so that an offset that is missing later has been lost.
func (a *App) startOffsets(ctx context.Context, given map[record.TaskID][]record.TopicPartition) (map[record.TopicPartition]kafka.Offset, error) {
	offsets, missing, err := a.committed(ctx, given)
	if err != nil || len(missing) == 0 {
		return offsets, err
	}
	found, err := a.resetOffsets(ctx, missing)
	if err != nil {
		return nil, err
	}
	begin := map[record.TopicPartition]kafka.Offset{}
	for tp, r := range found {
		offsets[tp] = kafka.Offset{At: r.Offset}
		begin[tp] = kafka.Offset{At: r.Offset, Metadata: OffsetMetadata{Time: -1}.Encode()}
	}
	return offsets, a.commitBegin(ctx, begin)
}

// commitBegin commits where tasks begin. It tries until ctx ends, which it does when the membership is gone: without these
// offsets, what the tasks are going to write to their changelogs would look like state whose offsets are lost.
func (a *App) commitBegin(ctx context.Context, begin map[record.TopicPartition]kafka.Offset) error {
	for {
		err := a.group.Commit(ctx, begin)
		if err == nil || ctx.Err() != nil || !kafka.Retriable(err) && !errors.Is(err, rebalanceInProgress) {
			return err
		}
		a.log.Debug("the offsets to begin at are not committed yet", "err", err)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(lostOffsetPause):
		}
	}
}

// committed returns the offsets that the group has of the partitions of tasks, and the partitions that it has none of. It
// asks again if there is state that says otherwise, and in the end that is an error.
func (a *App) committed(ctx context.Context, given map[record.TaskID][]record.TopicPartition) (
	offsets map[record.TopicPartition]kafka.Offset, missing []record.TopicPartition, err error) {
	var tps []record.TopicPartition
	for _, of := range given {
		tps = append(tps, of...)
	}
	for try := 1; ; try++ {
		if offsets, err = a.stableOffsets(ctx, tps); err != nil {
			return nil, nil, fmt.Errorf("committed offsets: %w", err)
		}
		if offsets == nil {
			offsets = map[record.TopicPartition]kafka.Offset{}
		}
		missing = slices.DeleteFunc(slices.Clone(tps), func(tp record.TopicPartition) bool {
			o, ok := offsets[tp]
			return ok && o.At >= 0
		})
		if len(missing) == 0 {
			return offsets, nil, nil
		}
		lost, err := a.lostOffsets(given, missing)
		if err == nil && len(lost) == 0 {
			lost, err = a.lostLogged(ctx, given, missing)
		}
		if err != nil || len(lost) == 0 {
			return offsets, missing, err
		}
		if try == lostOffsetTries {
			return nil, nil, errors.Join(lost...)
		}
		select {
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		case <-time.After(lostOffsetPause):
		}
	}
}

const unstableOffset = kafka.Code(88)

// stableOffsets returns the committed offsets when no transaction is pending that holds some. One that was left behind by an instance
// that is gone is aborted by the broker for its age: it is waited for.
func (a *App) stableOffsets(ctx context.Context, tps []record.TopicPartition) (map[record.TopicPartition]kafka.Offset, error) {
	for {
		offsets, err := a.group.Committed(ctx, tps)
		if !errors.Is(err, unstableOffset) || ctx.Err() != nil {
			return offsets, err
		}
		a.log.Warn("a transaction of another instance is pending: its end is waited for", "err", err)
	}
}

// resetOffsets asks where the reset policies say to begin.
func (a *App) resetOffsets(ctx context.Context, tps []record.TopicPartition) (map[record.TopicPartition]kafka.OffsetResult, error) {
	ask := map[record.TopicPartition]int64{}
	for _, tp := range tps {
		reset := a.cfg.Topology.Offset(tp.Topic)
		if reset == topology.OffsetDefault {
			reset = a.cfg.OffsetReset
		}
		switch reset {
		case topology.OffsetEarliest:
			ask[tp] = kafka.EarliestOffset
		case topology.OffsetLatest:
			ask[tp] = kafka.LatestOffset
		default:
			return nil, fmt.Errorf("%s: the group %s has no committed offset, and the reset policy of the topic is none: "+
				"commit one, or choose earliest or latest", tp, a.cfg.App)
		}
	}
	found, err := a.client.ListOffsets(ctx, ask, kafka.ReadUncommitted)
	if err != nil {
		return nil, fmt.Errorf("start offsets: %w", err)
	}
	return found, nil
}

// lostOffsets returns a *LostOffsetError for each of the missing partitions that state on disk was made from.
func (a *App) lostOffsets(given map[record.TaskID][]record.TopicPartition, missing []record.TopicPartition) (lost []error, err error) {
	ids, err := a.cfg.Engine.Tasks()
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		var gone []record.TopicPartition
		for _, tp := range given[id] {
			if slices.Contains(missing, tp) {
				gone = append(gone, tp)
			}
		}
		if len(gone) == 0 || int(id.Sub) >= len(a.cfg.Topology.Subs) {
			continue
		}
		e, err := a.lostOf(id, gone, len(gone) == len(given[id]))
		if err != nil {
			return nil, fmt.Errorf("task %s: %w", id, err)
		}
		lost = append(lost, e...)
	}
	return lost, nil
}

// lostLogged looks at the changelogs of tasks that have no offset at all: one that was written to belongs to a task that has
// begun before, here or elsewhere.
func (a *App) lostLogged(ctx context.Context, given map[record.TaskID][]record.TopicPartition,
	missing []record.TopicPartition) (lost []error, err error) {
	ask := map[record.TopicPartition]int64{}
	of := map[record.TopicPartition]LostOffsetError{}
	for id, inputs := range given {
		if slices.ContainsFunc(inputs, func(tp record.TopicPartition) bool { return !slices.Contains(missing, tp) }) ||
			a.comeAndGo(inputs) {
			continue
		}
		for _, st := range a.cfg.Topology.Subs[id.Sub].Stores {
			if tp := (record.TopicPartition{Topic: st.Changelog, Partition: id.Partition}); st.Changelog != "" && len(inputs) > 0 &&
				a.cfg.Topology.Source(st.Changelog) == nil { // a source's records are not the application's
				ask[tp] = kafka.LatestOffset
				of[tp] = LostOffsetError{Group: a.cfg.App, Task: id, Store: st.Name, TP: inputs[0], Next: -1}
			}
		}
	}
	if len(ask) == 0 {
		return nil, nil
	}
	ends, err := a.client.ListOffsets(ctx, ask, kafka.ReadUncommitted)
	if err != nil {
		return nil, fmt.Errorf("ends of changelogs: %w", err)
	}
	for tp, end := range ends {
		if e := of[tp]; end.Offset > 0 {
			e.Logged = end.Offset
			lost = append(lost, &e)
		}
	}
	return lost, nil
}

// comeAndGo tells whether all partitions are of topics that a pattern matches. When such topics are replaced by others, a task
// that has begun before has no offset, and none is lost.
func (a *App) comeAndGo(tps []record.TopicPartition) bool {
	return !slices.ContainsFunc(tps, func(tp record.TopicPartition) bool { return len(a.cfg.Topology.Matching(tp.Topic)) == 0 })
}

// lostOf looks at the stores of one task. A store that was committed here knows the inputs it was made from: one that it does
// not know is new to the program. One that was only restored does not; if the task has no offset at all, they are lost.
func (a *App) lostOf(id record.TaskID, gone []record.TopicPartition, all bool) (lost []error, err error) {
	space, err := a.cfg.Engine.Space(id)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, space.Close()) }()
	told := map[record.TopicPartition]bool{}
	add := func(store string, tp record.TopicPartition, next int64) {
		if !told[tp] {
			told[tp] = true
			lost = append(lost, &LostOffsetError{Group: a.cfg.App, Task: id, Store: store, TP: tp, Next: next})
		}
	}
	for _, st := range a.cfg.Topology.Subs[id.Sub].Stores {
		if st.Spec.InMemory {
			continue
		}
		o, ok, err := space.Offset(st.Name)
		if err != nil {
			return nil, fmt.Errorf("store %s: %w", st.Name, err)
		}
		if !ok {
			continue
		}
		position, err := decodePosition(o.Position)
		if err != nil {
			return nil, fmt.Errorf("store %s: %w", st.Name, err)
		}
		holds := false
		if all && len(position) == 0 && !a.comeAndGo(gone) {
			if holds, err = holdsRows(space, st); err != nil {
				return nil, fmt.Errorf("store %s: %w", st.Name, err)
			}
		}
		for _, tp := range gone {
			if next, ok := position[tp]; ok {
				add(st.Name, tp, next)
			} else if holds {
				add(st.Name, tp, -1)
			}
		}
	}
	return lost, nil
}

// holdsRows tells whether a store on disk holds anything.
func holdsRows(space state.Space, st *topology.Store) (bool, error) {
	es, err := space.Store(st.Name, st.Spec.Kind)
	if err != nil {
		return false, err
	}
	it, err := es.Iter(nil, nil, false)
	if err != nil {
		return false, err
	}
	holds := it.Next()
	return holds, errors.Join(it.Err(), it.Close())
}
