package engine

import (
	"slices"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// round is a commit of the tasks of a worker. Its stages follow one another (E2); processing goes on meanwhile.
type round struct {
	stage   roundStage
	tasks   []*owned
	number  int64
	began   int64   // wall time
	epoch   int64   // of its outputs
	logs    int     // changelog batches that were not acknowledged yet
	numbers []int64 // of Requests that it answers
	spoiled error   // what was done since it began must be done again
}

type roundStage uint8

const (
	roundIdle    roundStage = iota
	roundAcks               // outputs are on their way
	roundLogs               // the changelog is
	roundOffsets            // the group is asked

	roundTxn   // exactly once, in place of these: the transaction is to be committed
	roundAbort // it is to be aborted
)

// advance brings the running commit as far as it can go, and begins one that is due.
func (w *Worker) advance(now int64) {
	for w.err == nil {
		before := w.round.stage
		switch before {
		case roundIdle:
			w.finishReleases()
			if w.due(now) {
				w.begin(now)
			}
		case roundAcks:
			if w.Out.settled(w.round.epoch) {
				w.sendLogs()
			}
		case roundLogs:
			if w.round.logs == 0 {
				w.apply(now)
			}
		}
		if w.round.stage == before {
			return
		}
	}
}

// due tells whether a commit should begin.
func (w *Worker) due(now int64) bool {
	if w.cfg.Transactional && w.rowWaits() > now {
		return false
	}
	if len(w.wanted) > 0 {
		return true
	}
	needed, dirty := false, 0
	for _, o := range w.tasks {
		if o.rowWaits() > now || o.state == taskRestoring {
			continue
		}
		if o.state == taskReleasing {
			return true
		}
		needed = needed || o.needsCommit()
		if w.cfg.DirtyBytes > 0 {
			dirty += o.dirtyBytes()
		}
	}
	if !needed {
		return false
	}
	return now-w.lastCommit >= w.cfg.CommitInterval || w.cfg.DirtyBytes > 0 && dirty >= w.cfg.DirtyBytes ||
		w.cfg.CommitDue != nil && w.cfg.CommitDue()
}

// rowWaits returns when the last of the rows that wait for their next attempt is tried, −1 if there is none.
func (w *Worker) rowWaits() int64 {
	at := int64(-1)
	for _, o := range w.tasks {
		at = max(at, o.rowWaits())
	}
	return at
}

// begin drains and freezes the tasks that have something to commit. One with a row that waits for its next attempt is left
// to a later commit. In a transaction there is no leaving it out: what it has sent is part of it, so the commit waits.
func (w *Worker) begin(now int64) {
	var ready []*owned
	for _, o := range w.tasks {
		if o.state == taskRestoring || !o.needsCommit() && o.state == taskRunning {
			continue
		}
		done, err := o.drain(now)
		if err != nil {
			w.fail(err)
			return
		}
		if done {
			ready = append(ready, o)
		} else if w.cfg.Transactional {
			return
		}
	}
	r := &w.round
	w.rounds++
	*r = round{stage: roundAcks, tasks: ready, number: w.rounds, began: now, numbers: w.wanted}
	w.wanted, w.lastCommit = nil, now
	for _, o := range r.tasks {
		if err := o.freeze(); err != nil {
			w.fail(err)
			return
		}
	}
	if err := w.Out.FlushAll(); err != nil {
		w.fail(err)
		return
	}
	if w.cfg.Transactional {
		w.commitTransaction(now)
		return
	}
	r.epoch = w.Out.closeEpoch()
	w.do(Flush{})
}

// sendLogs sends the changelogs: every output of the round is acknowledged. They go last because a task whose output is
// refused goes back to before the round, and its changelog must not be ahead of it then.
func (w *Worker) sendLogs() {
	r := &w.round
	r.stage = roundLogs
	for _, o := range r.tasks {
		r.logs += o.sendLogs(r.number)
	}
	if r.logs > 0 {
		w.do(Flush{})
	}
}

// apply commits the state and asks for the offsets to be committed: all that the round has sent is acknowledged.
func (w *Worker) apply(now int64) {
	r := &w.round
	if !w.applyState(now) {
		return
	}
	offsets := w.offsets()
	for _, o := range slices.Clone(r.tasks) {
		if o.refused {
			w.restart(o)
		}
	}
	r.stage = roundOffsets
	if len(offsets) == 0 {
		w.end(now, nil)
		return
	}
	w.do(CommitOffsets{offsets})
}

// applyState commits the state of the tasks of the round.
func (w *Worker) applyState(now int64) bool {
	for _, o := range w.round.tasks {
		if err := o.apply(now); err != nil {
			w.fail(err)
			return false
		}
	}
	w.do(Applied{})
	return true
}

// offsets are what the round commits.
func (w *Worker) offsets() map[record.TopicPartition]Offset {
	offsets := map[record.TopicPartition]Offset{}
	for _, o := range w.round.tasks {
		o.frozenOffsets(offsets)
	}
	return offsets
}

func (w *Worker) offsetsDone(now int64, err error) {
	if w.round.stage == roundOffsets {
		w.end(now, err)
	}
}

// end ends the round. If the group did not take the offsets, they are part of the next round.
func (w *Worker) end(now int64, err error) {
	r := w.round
	w.round = round{}
	w.commits++
	w.tally.Commit.Observe(float64(now-r.began) / 1000)
	if w.commitTime += now - r.began; err != nil {
		w.commitFails++
	}
	for _, o := range r.tasks {
		if err != nil {
			o.unconfirmed()
		} else {
			o.confirmed()
		}
	}
	for _, n := range r.numbers {
		w.do(Committed{n, err})
	}
	for _, o := range r.tasks {
		if o.state == taskReleasing && (err != nil || !o.needsCommit()) {
			w.releaseErr = cmpErr(w.releaseErr, err)
			w.remove(o)
		}
	}
}

// finishReleases answers the releases whose tasks are gone.
func (w *Worker) finishReleases() {
	w.releases = slices.DeleteFunc(w.releases, func(r Release) bool {
		for _, id := range r.Tasks {
			if o := w.find(id); o != nil && o.state == taskReleasing {
				return false
			}
		}
		w.do(Released{r.Number, w.releaseErr})
		return true
	})
	if len(w.releases) == 0 {
		w.releaseErr = nil
	}
}

// leaveRound takes a task out of the running commit.
func (w *Worker) leaveRound(o *owned) {
	w.round.tasks = slices.DeleteFunc(w.round.tasks, func(x *owned) bool { return x == o })
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
