package engine

import (
	"errors"
	"fmt"
	"slices"
)

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
		// Of tasks that are gone. What was open with their work in it has been aborted.
	case ev.Err == nil && s.log != nil:
		s.log.next = max(s.log.next, ev.Base+int64(s.Count))
	case ev.Err == nil:
	case len(ev.Refused) > 0 && s.log == nil:
		w.refused(s, ev)
	case w.cfg.Transactional:
		w.spoil(ev.Err) // whether it can be done again is known when the transaction has ended
	default:
		w.fail(ev.Err)
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

// refused marks what is at fault, so that its unit fails when it comes again, and takes every task that has records in the batch
// back to its last commit; all of them, if the batch was part of a transaction.
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
	if w.cfg.Transactional {
		w.spoil(ev.Err)
		return
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
