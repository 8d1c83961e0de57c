package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// endTransaction asks the producer to end its transaction. Between JoinGroup and SyncGroup the generation may change under the
// offsets; what is ours then stays ours until we give it up, so that it is worth to wait, but not until the transaction times out.
func (r *runner) endTransaction(e End) {
	a, p := r.app, r.produce.Load()
	r.ending.Store(&e.Offsets)
	if !e.Commit {
		p.End(false, kafka.GroupIdentity{}, nil)
		return
	}
	offsets := make(map[record.TopicPartition]kafka.Offset, len(e.Offsets))
	for tp, o := range e.Offsets {
		offsets[tp] = kafka.Offset{At: o.At, Metadata: o.Metadata}
	}
	if who := a.group.Identity(); who.Committable || who.Generation < 0 {
		p.End(true, who, offsets)
		return
	}
	p.Flush()
	a.spawn(func() { p.End(true, a.settledIdentity(), offsets) })
}

// settledIdentity waits for the end of a rebalance.
func (a *App) settledIdentity() kafka.GroupIdentity {
	patience := time.NewTimer(a.cfg.TransactionTimeout / 3)
	defer patience.Stop()
	for {
		who := a.group.Identity()
		if who.Committable || who.Generation < 0 {
			return who
		}
		select {
		case <-a.ioCtx.Done():
			return who
		case <-patience.C:
			return who
		case <-time.After(rebalancePause):
		}
	}
}

// transactionEnded brings the end of a transaction back to the worker. It runs on the producer's goroutine.
func (r *runner) transactionEnded(e kafka.TxnEnd) {
	if e.Outcome != kafka.TxnUnknown {
		r.box.post(func() { r.handle(r.outcome(e)) })
		return
	}
	offsets := *r.ending.Load()
	r.app.spawn(func() {
		committed, err := r.app.landed(offsets)
		if err != nil && r.app.ioCtx.Err() != nil { // the application ends: state that is behind is restored
			r.box.post(Ended{Outcome: OutcomeAborted, Err: err})
			return
		}
		r.app.log.Warn("the end of a transaction was not confirmed: the group's offsets tell", "worker", r.id, "committed", committed,
			"cause", e.Err, "err", err)
		r.box.post(told(committed, err, e.Err))
	})
}

// told is what the group's offsets say of a transaction. Where they cannot be read nothing is guessed: who takes a committed transaction
// for aborted does its work twice. The worker stops, and the next start goes on from the offsets as they are then.
func told(committed bool, err, cause error) Ended {
	switch {
	case err != nil:
		return Ended{Outcome: OutcomeFatal, Err: fmt.Errorf("what has become of a transaction cannot be found out: %w", err)}
	case committed:
		return Ended{Outcome: OutcomeCommitted}
	}
	return Ended{Outcome: OutcomeAborted, Err: cause}
}

// landed looks for the offsets of a transaction in the group, when nothing is pending any more. It tries until the application ends, or
// until it is told that it will never know.
func (a *App) landed(offsets map[record.TopicPartition]Offset) (bool, error) {
	for {
		found, err := a.group.Committed(a.ioCtx, slices.Collect(maps.Keys(offsets)))
		if err == nil {
			there := make(map[record.TopicPartition]Offset, len(found))
			for tp, o := range found {
				there[tp] = Offset{At: o.At, Metadata: o.Metadata}
			}
			return landed(offsets, there), nil
		}
		if a.ioCtx.Err() != nil || !kafka.Retriable(err) && !errors.Is(err, context.DeadlineExceeded) {
			return false, err
		}
	}
}

// refusals counts transactions that were aborted one after the other, for reasons that are not known to pass.
type refusals int

// refusalsInARow is how many of them make an error final.
const refusalsInARow = 20

// outcome is what the end of a transaction means for the worker. It runs on the worker's goroutine.
func (r *runner) outcome(e kafka.TxnEnd) Ended {
	if e.Outcome == kafka.TxnCommitted {
		r.refusal = 0
		return Ended{Outcome: OutcomeCommitted}
	}
	ev := Ended{Outcome: OutcomeAborted, Err: e.Err}
	if e.Err == nil || r.app.ioCtx.Err() != nil {
		return ev
	}
	var (
		fenced  *kafka.FencedError
		timeout *kafka.TxnTimeoutError
		refused *kafka.RefusedError
		version *kafka.VersionError
	)
	act := kafka.ActionOf(e.Err)
	switch {
	case errors.As(e.Err, &fenced):
		ev.Outcome = OutcomeFenced
	case errors.As(e.Err, &version), act.Has(kafka.Denied), errors.Is(e.Err, metadataTooLarge):
		ev.Outcome, ev.Err = OutcomeFatal, fmt.Errorf("the transaction cannot be committed: %w", tooOld(e.Err))
	case errors.As(e.Err, &refused):
		if len(refused.Records) == 0 { // it would be the same again
			ev.Outcome = OutcomeFatal
		}
	case errors.As(e.Err, &timeout), moved(e.Err):
		r.app.warnCommit("a transaction was aborted: its work is done again, here or by who has the tasks now", "worker", r.id, "err", e.Err)
	case errors.Is(e.Err, context.Canceled):
	default:
		if r.refusal++; r.refusal >= refusalsInARow {
			ev.Outcome, ev.Err = OutcomeFatal, fmt.Errorf("%d transactions in a row were aborted, the last one because: %w", r.refusal, e.Err)
			break
		}
		r.app.log.Warn("a transaction was aborted: its work is done again", "worker", r.id, "err", e.Err)
	}
	return ev
}

const metadataTooLarge = kafka.Code(12)
