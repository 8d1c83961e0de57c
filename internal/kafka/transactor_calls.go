package kafka

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	apiInit            = int16(kmsg.InitProducerID)
	apiAdd             = int16(kmsg.AddPartitionsToTxn)
	apiAddOffsets      = int16(kmsg.AddOffsetsToTxn)
	apiTxnOffsetCommit = int16(kmsg.TxnOffsetCommit)
	apiEndTxn          = int16(kmsg.EndTxn)
)

// advance makes the calls that are due, and decides when nothing is awaited any more.
func (t *transactor) advance(now time.Time) {
	t.watch(now)
	if t.seq.stopped != nil {
		t.stopped(now)
		return
	}
	t.txnLane.due(now)
	t.groupLane.due(now)
	for t.stage == txnEnding && t.settled() {
		t.decide(now)
	}
	t.offsetCall(now)
	t.coordinatorCall(now)
}

// coordinatorCall sends the coordinator of the transaction what is next.
func (t *transactor) coordinatorCall(now time.Time) {
	if !t.txnLane.free() {
		return
	}
	s := t.seq
	c := txnCall{id: t.id, v2: s.v2}
	switch {
	case t.stage == txnResolving || t.stage == txnRenewing:
		c.kind = callInit
	case t.stage == txnDeciding:
		c.kind, c.commit = callEnd, t.commit
	case !s.known:
		c.kind = callInit
	case len(s.wanted) > 0:
		c.kind, c.parts = callAdd, t.takeWanted()
	case t.offsets == offsetsAdd && !s.v2:
		c.kind, c.who = callAddOffsets, t.end.who
	default:
		return
	}
	t.begun = t.begun || c.kind != callInit
	t.txnLane.call = &c
	s.out.calls = append(s.out.calls, &c)
}

// offsetCall sends the group's coordinator the offsets.
func (t *transactor) offsetCall(now time.Time) {
	if t.offsets == offsetsAdd && t.seq.v2 && t.seq.known {
		t.offsets = offsetsSend
	}
	if t.offsets != offsetsSend || !t.groupLane.free() {
		return
	}
	t.begun = true
	c := &txnCall{kind: callOffsets, id: t.id, v2: t.seq.v2, parts: t.pending, who: t.end.who, offsets: t.end.offsets}
	t.groupLane.call = c
	t.seq.out.calls = append(t.seq.out.calls, c)
}

// takeWanted takes the partitions for one AddPartitionsToTxn: those of one topic that is to be added alone, or all others.
func (t *transactor) takeWanted() (parts []record.TopicPartition) {
	s := t.seq
	alone := ""
	if !slices.ContainsFunc(s.wanted, func(tp record.TopicPartition) bool { return !t.cfg.alone[tp.Topic] }) {
		alone = s.wanted[0].Topic
	}
	s.wanted = slices.DeleteFunc(s.wanted, func(tp record.TopicPartition) bool {
		if t.cfg.alone[tp.Topic] != (alone != "") || alone != "" && tp.Topic != alone {
			return false
		}
		parts = append(parts, tp)
		return true
	})
	slices.SortFunc(parts, compareTP)
	return parts
}

// settled tells whether everything that the transaction has is answered, and may be decided about.
func (t *transactor) settled() bool {
	awaited := t.txnLane.call != nil && t.txnLane.call.kind != callInit || t.groupLane.call != nil
	return t.seq.idle() && len(t.seq.wanted) == 0 && !awaited && t.offsets == offsetsDone
}

// decide ends the transaction.
func (t *transactor) decide(now time.Time) {
	t.commit = t.end.commit && t.cause == nil
	switch {
	case !t.begun: // the coordinator refuses to end what is empty
		outcome := TxnAborted
		if t.commit {
			outcome = TxnCommitted
		}
		t.report(outcome, t.cause)
		if t.seq.known {
			t.next(now, t.id, t.seq.v2)
			return
		}
		// No id yet: what is held goes on waiting for it.
		t.stage, t.end, t.cause, t.quit, t.seq.failed = txnOpen, endEvent{}, nil, false, nil
		t.replay(now)
	case ActionOf(t.cause).Has(Fenced):
		t.stage, t.refusal = txnResolving, t.cause
	default:
		t.stage = txnDeciding
	}
}

// answer takes in the end of a call.
func (t *transactor) answer(now time.Time, ev txnAnswer) {
	l := &t.txnLane
	if ev.call.kind == callOffsets {
		l = &t.groupLane
	}
	l.call = nil
	if ev.unknown && ev.call.kind != callInit {
		t.suspect = true
	}
	if ev.call.kind == callEnd && ev.call.commit && (ev.unknown || ev.err != nil && !certainlyNotEnded(ev.err)) {
		t.maybe = true
	}
	if t.seq.stopped != nil && !(ev.call.kind == callEnd && ev.err == nil) {
		return
	}
	if ev.err == nil {
		if t.answered(now, ev); l.retryAt.IsZero() {
			l.failures = 0
		}
		return
	}
	switch act := ActionOf(ev.err); {
	case act.Has(Retry):
		if ev.call.kind == callAdd && !t.quit {
			t.seq.wanted = append(t.seq.wanted, ev.call.parts...)
		}
		t.backOff(now, l, ev.err)
	case isCode(ev.err, codeTransactionalIDDenied):
		t.fatal(now, ev.err)
	default:
		t.refused(now, ev, act)
	}
}

// certainlyNotEnded tells whether the coordinator has not carried a commit out, and will not: it was not asked, or it has
// looked and refused. It answers 15, 16 and the like also when its log has taken the decision but not confirmed it.
func certainlyNotEnded(err error) bool {
	var conn *ConnError
	var version *VersionError
	var broker *BrokerError
	switch {
	case errors.As(err, &conn):
		return !conn.Sent || conn.API != apiEndTxn
	case errors.As(err, &version):
		return true
	case errors.As(err, &broker) && broker.API == apiEndTxn:
		switch broker.Code {
		case codeCoordinatorLoading, codeInvalidProducerEpoch, codeInvalidTxnState, codeInvalidProducerIDMapping,
			codeConcurrentTransactions, codeTransactionalIDDenied, codeProducerFenced, codeTransactionAbortable:
			return true
		}
		return false
	}
	return errors.As(err, &broker) // of the search for the coordinator
}

func isCode(err error, code Code) bool { return errors.Is(err, code) }

// backOff makes the lane wait before the next attempt.
func (t *transactor) backOff(now time.Time, l *lane, err error) {
	b := backoff{first: t.seq.cfg.backoff, max: t.seq.cfg.maxBackoff, rand: t.seq.cfg.rand, n: l.failures}
	if isCode(err, codeConcurrentTransactions) {
		b.first, b.max = concurrentBackoff, maxConcurrentBackoff
	}
	l.failures++
	l.retryAt = now.Add(b.next())
}

// answered handles a call that was answered without an error as a whole.
func (t *transactor) answered(now time.Time, ev txnAnswer) {
	switch ev.call.kind {
	case callInit:
		ev.id.transactional = true
		t.identified(now, ev.id, ev.v2 && !t.cfg.protocol1)
	case callAdd:
		t.added(now, ev)
	case callAddOffsets:
		if t.offsets == offsetsAdd {
			t.offsets = offsetsSend
		}
	case callOffsets:
		t.offsetsAnswered(now, ev)
	case callEnd:
		t.ended(now, ev)
	}
}

// identified handles an answer of InitProducerId.
func (t *transactor) identified(now time.Time, id identity, v2 bool) {
	switch t.stage {
	case txnResolving:
		// Nobody else has the id: the coordinator itself has ended the transaction, or has it forgotten.
		outcome, err := TxnAborted, t.cause
		switch {
		case t.maybe:
			outcome, err = TxnUnknown, t.refusal
		case t.end.commit && err == nil || ActionOf(err).Has(Fenced):
			err = &TxnTimeoutError{TransactionalID: t.cfg.id, Timeout: t.cfg.timeout, Cause: cmp.Or(err, t.refusal)}
		}
		t.report(outcome, err)
		t.next(now, id, v2)
	case txnRenewing:
		t.next(now, id, v2)
	default:
		t.id = id
		t.seq.begin(now, id, v2)
	}
}

// added handles what the coordinator says about partitions.
func (t *transactor) added(now time.Time, ev txnAnswer) {
	var again error
	for i, tp := range ev.call.parts {
		err := ev.parts[i]
		switch {
		case err == nil:
			t.seq.admit(tp, now)
		case t.quit:
		case isCode(err, codeTransactionalIDDenied):
			t.fatal(now, err)
			return
		case ActionOf(err).Has(Retry):
			t.seq.wanted = append(t.seq.wanted, tp)
			again = worse(again, err)
		default:
			t.seq.refuse(tp, now, err)
			if t.cause == nil { // nothing was waiting for it any more
				t.cause = err
			}
		}
	}
	if again != nil && !t.quit {
		t.backOff(now, &t.txnLane, again)
	}
}

// worse returns the one of two errors that asks for the longer pause.
func worse(a, b error) error {
	if a == nil || isCode(a, codeConcurrentTransactions) {
		return b
	}
	return a
}

// offsetsAnswered handles what the group's coordinator says about offsets.
func (t *transactor) offsetsAnswered(now time.Time, ev txnAnswer) {
	if t.offsets != offsetsSend {
		return // abandoned meanwhile
	}
	t.pending = nil
	var again error
	for i, tp := range ev.call.parts {
		err := ev.parts[i]
		switch {
		case err == nil:
		case isCode(err, codeTransactionalIDDenied):
			t.fatal(now, err)
			return
		case ActionOf(err).Has(Retry):
			t.pending = append(t.pending, tp)
			again = worse(again, err)
		default:
			t.cause = err
			t.abandon(now)
			return
		}
	}
	if len(t.pending) == 0 {
		t.offsets = offsetsDone
		return
	}
	t.backOff(now, &t.groupLane, again)
}

// ended handles the success of EndTxn.
func (t *transactor) ended(now time.Time, ev txnAnswer) {
	if ev.call.commit {
		t.report(TxnCommitted, nil)
	} else {
		t.report(TxnAborted, t.cause)
	}
	switch {
	case t.seq.stopped != nil:
		t.stage = txnRenewing // reported
	case t.seq.v2 && ev.id.id >= 0:
		ev.id.transactional = true
		t.next(now, ev.id, true)
	case t.seq.v2 || t.suspect || !ev.call.commit:
		t.stage = txnRenewing
	default:
		t.next(now, t.id, false)
	}
}

// refused handles an answer that no repetition changes.
func (t *transactor) refused(now time.Time, ev txnAnswer, act Action) {
	switch ev.call.kind {
	case callInit:
		err := ev.err
		if act.Has(Fenced) {
			err = &FencedError{TransactionalID: t.cfg.id, Cause: ev.err}
			t.cause = err
		}
		t.fatal(now, err)
	case callEnd:
		switch {
		case isCode(ev.err, codeTransactionAbortable) && ev.call.commit && !t.maybe:
			t.cause, t.commit = ev.err, false
		default:
			t.refusal, t.stage = ev.err, txnResolving
		}
	default:
		if !t.quit {
			t.cause = ev.err
			t.abandon(now)
		}
	}
}
