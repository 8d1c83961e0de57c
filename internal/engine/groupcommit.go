package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// commit commits offsets of a worker's round to the group.
func (a *App) commit(r *runner, offsets map[record.TopicPartition]Offset) {
	to := make(map[record.TopicPartition]kafka.Offset, len(offsets))
	for tp, o := range offsets {
		to[tp] = kafka.Offset{At: o.At, Metadata: o.Metadata}
	}
	a.spawn(func() {
		err := a.commitThroughRebalance(to)
		if err != nil {
			a.warnCommit("offsets were not committed: they are part of the next commit, or their records are processed again by who "+
				"has the tasks now", "worker", r.id, "err", err)
		}
		r.box.post(OffsetsDone{err})
	})
}

const (
	rebalanceInProgress = kafka.Code(27)
	rebalancePause      = 20 * time.Millisecond
)

// commitThroughRebalance commits offsets. Between JoinGroup and SyncGroup no commit is accepted; what we own then stays ours
// until we give it up, so the commit waits: a member that stops in the middle of a rebalance makes no duplicates.
func (a *App) commitThroughRebalance(offsets map[record.TopicPartition]kafka.Offset) error {
	for {
		err := a.patterns.commit(a.ioCtx, offsets)
		if !errors.Is(err, rebalanceInProgress) {
			return err
		}
		select {
		case <-a.ioCtx.Done():
			return err
		case <-time.After(rebalancePause):
		}
	}
}

// warnCommit warns of a commit that was refused, once in a rebalance: each worker meets it, and the group's handler after them.
func (a *App) warnCommit(msg string, args ...any) {
	if at := a.rebalances.Load() + 1; a.warned.Swap(at) != at {
		a.log.Warn(msg, args...)
		return
	}
	a.log.Debug(msg, args...)
}

// moved tells whether a commit was refused because the group has gone on without this member: its tasks are others' by now. They
// begin at the last commit that was confirmed, so nothing is lost, and what came after it is processed again.
func moved(err error) bool {
	if list, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range list.Unwrap() {
			if !moved(e) {
				return false
			}
		}
		return true
	}
	return kafka.ActionOf(err).Has(kafka.Rejoin)
}

// releaseAll commits and closes all tasks. A last commit that the group refuses, since it has moved on, is no error of the one who
// stops: there is nothing that could be done better.
func (a *App) releaseAll() error {
	timeout := a.cfg.ShutdownTimeout
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	err := a.tasks.releaseAll(ctx)
	switch {
	case err == nil:
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("shutdown: not everything was committed within %s: %w", timeout, err)
	case moved(err):
		a.warnCommit("the last commit was refused: the group has gone on without this instance, whose last records are processed again "+
			"by others", "err", err)
		return nil
	}
	return err
}
