package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// round is a commit of the tasks of a worker. Its stages follow one another (E2); processing goes on during the last two.
type round struct {
	stage   roundStage
	tasks   []*owned
	number  int64
	began   int64   // wall time
	epoch   int64   // of its outputs
	logs    int     // changelog batches that were not acknowledged yet
	numbers []int64 // of Requests that it answers
}

type roundStage uint8

const (
	roundIdle    roundStage = iota
	roundAcks               // outputs are on their way
	roundLogs               // the changelog is
	roundOffsets            // the group is asked
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

// begin drains and freezes the tasks that have something to commit. One with a row that waits for its next attempt is left
// to a later commit.
func (w *Worker) begin(now int64) {
	r := &w.round
	w.rounds++
	*r = round{stage: roundAcks, number: w.rounds, began: now, numbers: w.wanted}
	w.wanted, w.lastCommit = nil, now
	for _, o := range w.tasks {
		if o.state == taskRestoring || !o.needsCommit() && o.state == taskRunning {
			continue
		}
		done, err := o.drain(now)
		if err == nil && done {
			err = o.freeze()
			r.tasks = append(r.tasks, o)
		}
		if err != nil {
			w.fail(err)
			return
		}
	}
	if err := w.Out.FlushAll(); err != nil {
		w.fail(err)
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
	offsets := map[record.TopicPartition]Offset{}
	for _, o := range r.tasks {
		if err := o.apply(now); err != nil {
			w.fail(err)
			return
		}
		o.frozenOffsets(offsets)
	}
	for _, o := range slices.Clone(r.tasks) {
		if o.refused {
			w.restart(o)
		}
	}
	r.stage = roundOffsets
	w.do(Applied{})
	if len(offsets) == 0 {
		w.end(now, nil)
		return
	}
	w.do(CommitOffsets{offsets})
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

// refusalsMost is how many records of a task a broker may refuse between two commits. What a record makes due, or a punctuation
// sends, is known again by its bytes; if these are others each time, it is refused for ever.
const refusalsMost = 10_000

var errUnknownOrigin = errors.New("the broker refuses what cannot be traced back to an input record")

// acked takes the outcome of a batch.
func (w *Worker) acked(ev Acked) {
	s := ev.Sent
	if ev.Err == nil {
		a := w.tally.Outputs[s.TP.Topic]
		w.tally.Outputs[s.TP.Topic] = Amount{a.Records + int64(s.Count), a.Bytes + int64(s.Bytes)}
	}
	if s.log != nil {
		if w.round.stage == roundLogs && w.round.number == s.round {
			w.round.logs--
		}
	} else {
		w.Out.acked(s)
	}
	switch {
	case ev.Err != nil && !w.ownsAny(s.writers()):
		// Of tasks that are gone.
	case ev.Err == nil && s.log != nil:
		s.log.next = max(s.log.next, ev.Base+int64(s.Count))
	case ev.Err == nil:
	case len(ev.Refused) == 0 || s.log != nil:
		w.fail(ev.Err)
	default:
		w.refused(s, ev)
	}
}

func (w *Worker) ownsAny(tasks []*Task) bool {
	for _, t := range tasks {
		if o := w.find(t.ID); o != nil && o.Task == t {
			return true
		}
	}
	return false
}

// refused takes every task that has records in the batch back to its last commit, and marks what is at fault: when it comes
// again, its unit fails.
func (w *Worker) refused(s *Sent, ev Acked) {
	for _, r := range ev.Refused {
		t, at, ok := s.origin(r.Index)
		if !ok || t.refusals > refusalsMost {
			w.fail(fmt.Errorf("%w: %w", errUnknownOrigin, ev.Err))
			return
		}
		if o := w.find(t.ID); o == nil || o.Task != t {
			continue
		}
		if t.marked == nil {
			t.marked = map[culprit]error{}
		}
		t.marked[at] = cmpErr(r.Err, ev.Err)
		t.refusals++
	}
	for _, t := range s.writers() {
		o := w.find(t.ID)
		if o == nil || o.Task != t {
			continue
		}
		switch {
		case w.round.stage == roundLogs && slices.Contains(w.round.tasks, o):
			o.refused = true // it goes back to where this round ends, once it has
		default:
			if w.round.stage == roundAcks {
				w.leaveRound(o)
			}
			w.restart(o)
		}
	}
}

// restart takes a task back to its last commit and begins again there.
func (w *Worker) restart(o *owned) {
	o.refused = false
	o.rewind()
	if o.state == taskReleasing {
		// What is not committed is left to the next owner, who meets the refusal again.
		if w.round.stage != roundOffsets {
			w.leaveRound(o)
			w.remove(o)
		}
		return
	}
	w.fetch(o)
}

func cmpErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
