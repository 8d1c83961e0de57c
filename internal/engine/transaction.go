package engine

import (
	"slices"

	"github.com/oxbow-streams/oxbow/internal/invariant"
)

// Exactly once, all that the tasks of a worker do between two commits is one transaction: what they send, their changelogs and the
// offsets that they have come to. It ends well or as if nothing of it had been.
//
//	X1  The state in an engine is committed when the transaction is known to be, never before (E12).
//	X2  While a transaction ends nothing is handed over: what the tasks do meanwhile belongs to the next one, and is forgotten if
//	    this one is aborted.
//	X3  After an abort every task that had a part in it stands where the last commit left it. No task's work is committed without
//	    its offsets, so a task that is taken away in the middle of its work takes the transaction with it.
//	X4  A transaction in which nothing has happened is not ended.

// commitTransaction asks for the open transaction to be committed, with the offsets of the round.
func (w *Worker) commitTransaction(now int64) {
	r := &w.round
	for _, o := range r.tasks {
		o.sendLogs(r.number)
	}
	offsets := w.offsets()
	if invariant.Enabled {
		invariant.Check(!w.open || len(offsets) > 0, "output without an offset: its task has no part in the commit")
	}
	r.stage = roundTxn
	if len(offsets) == 0 && !w.open { // X4
		w.transactionCommitted(now)
		return
	}
	w.endTransaction(End{Commit: true, Offsets: offsets})
}

func (w *Worker) endTransaction(end End) {
	w.open = false
	w.Out.hold()
	w.do(end)
}

// ended takes the outcome of a transaction.
func (w *Worker) ended(now int64, ev Ended) {
	switch {
	case ev.Outcome == OutcomeFatal:
		w.fail(ev.Err)
	case w.round.stage == roundTxn && ev.Outcome == OutcomeCommitted:
		w.transactionCommitted(now)
	case w.round.stage == roundTxn || w.round.stage == roundAbort:
		w.transactionAborted(now, ev)
	}
}

func (w *Worker) transactionCommitted(now int64) {
	if !w.applyState(now) { // X1
		return
	}
	spoiled := w.round.spoiled
	w.end(now, nil)
	if spoiled != nil {
		w.takeBack(spoiled)
	}
	w.Out.unhold()
}

func (w *Worker) transactionAborted(now int64, ev Ended) {
	r := w.round
	err := cmpErr(ev.Err, r.spoiled)
	if err == nil {
		err = errAborted
	}
	w.round = round{}
	w.commits++
	w.commitFails++
	w.lastCommit = now
	if r.stage == roundTxn {
		w.takeBack(err, r.tasks...)
	}
	for _, n := range r.numbers {
		w.do(Committed{n, err})
	}
	if ev.Outcome == OutcomeFenced {
		w.loseAll()
	}
	w.Out.unhold()
}

// spoil takes note that what is open, or what is being committed, cannot be: a batch of it is lost.
func (w *Worker) spoil(err error) {
	switch w.round.stage {
	case roundTxn, roundAbort: // the outcome comes, and it is an abort
	default:
		w.abort(err)
	}
}

// abort takes everything back that was done since the last commit, and ends the open transaction.
func (w *Worker) abort(err error) {
	w.takeBack(err)
	if !w.open {
		return
	}
	w.round = round{stage: roundAbort, began: w.lastCommit}
	w.endTransaction(End{})
}

// takeBack takes every task that has done anything since the last commit back to it, and these ones (X3).
func (w *Worker) takeBack(err error, frozen ...*owned) {
	for _, o := range slices.Clone(w.tasks) {
		if o.state == taskRestoring || !o.needsCommit() && !slices.Contains(frozen, o) {
			continue
		}
		if o.state == taskReleasing {
			w.releaseErr = cmpErr(w.releaseErr, err)
		}
		w.restart(o)
	}
	w.Out.drop()
}

// taken follows on a task that was taken away: what it did is part of what is open.
func (w *Worker) taken(err error) {
	switch w.round.stage {
	case roundTxn:
		w.round.spoiled = cmpErr(w.round.spoiled, err)
	case roundAbort:
		w.takeBack(err)
	default:
		w.abort(err)
	}
}

// loseAll gives up the tasks: another one may have them.
func (w *Worker) loseAll() {
	for _, o := range slices.Clone(w.tasks) {
		if o.state != taskRestoring {
			w.lose(o.ID)
		}
	}
	w.do(Rejoin{})
}
