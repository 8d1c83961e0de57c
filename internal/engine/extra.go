package engine

import (
	"github.com/oxbow-streams/oxbow/dlq"
)

// What a unit was beside a plain one that completes: bits of Task.extra.
const (
	partialSkip   uint8 = 1 << iota // under KeepPartial: a node failed, and was skipped
	partialLetter                   // the same, and a letter was written
	extraEmitted                    // it has made something due
)

// letterNote is a letter that the running unit has written. It counts when the unit has ended well.
type letterNote struct {
	key   LetterKey
	bytes int64
}

// keepPartial is asked by a node that failed while the option KeepPartial is on: the record, or the emission, ends there with the
// effects it had so far.
func (t *Task) keepPartial(f *dlq.Failure) error {
	in, derived := t.inputOf(), t.unit.kind != unitRecord
	if t.nested.due != nil {
		in, derived = t.nested.due.Input(), true
	}
	d := t.policies.of(f, in.Topic).Decide(f, 1<<30, 0, 0)
	if d.Action == dlq.ActionSkip || d.Action == dlq.ActionDeadLetter && t.cfg.DeadLetters != "" {
		t.tallyError(f, d) // the others come to failed
	}
	switch {
	case d.Action == dlq.ActionFail, d.Action == dlq.ActionDeadLetter && t.cfg.DeadLetters == "":
		return dlqFatal(f)
	case d.Action == dlq.ActionDeadLetter:
		if err := t.setAside(f, d.Class, in, derived, 1, t.node.WallTime); err != nil {
			return err
		}
		t.extra |= partialLetter
	default:
		t.extra |= partialSkip
	}
	return nil
}

// dlqFatal makes a failure that no policy softens.
func dlqFatal(f *dlq.Failure) error {
	g := *f
	g.Err = dlq.Fatal(f.Err)
	return &g
}

// endExtra counts a record that went through, if only in parts, and what else its unit did.
func (t *Task) endExtra() {
	switch {
	case t.extra&partialLetter != 0:
		t.Counts.DeadLettered++
	case t.extra&partialSkip != 0:
		t.Counts.Skipped++
	default:
		t.Counts.Completed++
	}
	t.fold()
}

// endEmission counts a row that went on, if only in parts, and what else its unit did.
func (t *Task) endEmission() {
	t.nested.tally.count(t.extra)
	t.fold()
}

// fold counts what the unit that has just ended well has made due, and its letters.
func (t *Task) fold() {
	for _, l := range t.letters {
		t.Counts.Letters++
		t.tally.Letters[l.key]++
		t.tally.LetterBytes += l.bytes
	}
	c := t.nested.tally
	t.Counts.Emissions += c.done
	t.Counts.EmissionsDeadLettered += c.deadLettered
	t.Counts.EmissionsSkipped += c.skipped
	t.letters, t.nested, t.extra = t.letters[:0], emissions{}, 0
}
