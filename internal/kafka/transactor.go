package kafka

import (
	"fmt"
	"slices"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// The transactor is the decisions of a transactional producer: a pure machine, as the sequencer is, which it drives. It
// says when a producer id is asked for, what becomes part of a transaction, and when and how the transaction ends.
//
//	T1  One transaction is open at a time. Nothing of the next is sent before the one before has ended at the coordinator,
//	    and before its identity is known.
//	T2  A transaction is committed only if every batch and every offset of it is acknowledged. When something of it has
//	    failed, it is aborted.
//	T3  Once a commit may have been carried out, nothing but the same commit, by the same id and epoch, is asked for. When
//	    the coordinator refuses it then, the outcome is unknown; when it refuses the first one, nothing has happened.
//	T4  Whatever is refused as from an old epoch is held against InitProducerId with the own id and epoch: success means
//	    that the transaction timed out, a refusal that another producer has taken over. That ends the producer.
//	T5  The next transaction has another epoch than one that was aborted, and than one of which a request may still turn up
//	    somewhere. Protocol 2 changes it every time.
//	T6  Every End is answered once, in order, after the acks of its batches.
//	T7  The coordinator of the transaction gets one request at a time: it refuses a second one while it writes.
type transactor struct {
	cfg transactorConfig
	seq *sequencer

	stage   txnStage
	id      identity // of the transaction; known when the sequencer knows it
	begun   bool     // the coordinator may have it open
	cause   error    // it has failed: it can only be aborted
	quit    bool     // its batches have been abandoned
	suspect bool     // a request of it may still be on its way (T5)
	end     endEvent // the one under way, from ending on
	offsets offsetStage
	pending []record.TopicPartition // offsets without an ack
	commit  bool                    // decided, from deciding on
	maybe   bool                    // a commit may have been carried out (T3)
	refusal error                   // why the coordinator did not end it

	txnLane   lane  // to the transaction coordinator
	groupLane lane  // to the group's
	held      []any // came after the end under way: of the next transactions
}

type transactorConfig struct {
	id        string
	timeout   time.Duration
	protocol1 bool
	alone     map[string]bool // topics to add alone
}

// txnStage is how far a transaction is.
type txnStage uint8

const (
	txnOpen      txnStage = iota // takes batches
	txnEnding                    // what it has is awaited, offsets are sent
	txnDeciding                  // EndTxn is under way
	txnResolving                 // it was refused: InitProducerId says what that meant
	txnRenewing                  // it has ended; InitProducerId gives the next its epoch
)

type offsetStage uint8

const (
	offsetsDone offsetStage = iota
	offsetsAdd              // the group becomes part of the transaction
	offsetsSend
)

// lane is a way on which one request at a time goes.
type lane struct {
	call     *txnCall
	retryAt  time.Time
	failures int
}

func (l *lane) free() bool { return l.call == nil && l.retryAt.IsZero() }

// due ends the pause if it is over.
func (l *lane) due(now time.Time) {
	if !now.Before(l.retryAt) {
		l.retryAt = time.Time{}
	}
}

// wake returns when the lane can be used again if it waits for that.
func (l *lane) wake() time.Time {
	if l.call != nil {
		return time.Time{}
	}
	return l.retryAt
}

type callKind uint8

const (
	callInit callKind = iota
	callAdd
	callAddOffsets
	callOffsets
	callEnd
)

// txnCall is a request to a coordinator.
type txnCall struct {
	kind    callKind
	id      identity // −1, −1: any
	v2      bool
	parts   []record.TopicPartition // of callAdd and callOffsets
	who     GroupIdentity
	offsets map[record.TopicPartition]Offset
	commit  bool
}

// Events of the transactor, beside those of the sequencer.
type (
	endEvent struct {
		commit  bool
		who     GroupIdentity
		offsets map[record.TopicPartition]Offset
	}
	// txnAnswer ends a call. unknown: the coordinator may have acted on it although there is no answer, or once before
	// it answered.
	txnAnswer struct {
		call    *txnCall
		err     error
		unknown bool
		parts   []error  // of call.parts, if err is nil
		id      identity // of callInit, and of callEnd under protocol 2
		v2      bool     // of callInit: what the cluster offers
	}
)

// txnEnded is a TxnEnd that belongs behind the first acks of a Step.
type txnEnded struct {
	TxnEnd
	acks int
}

func newTransactor(cfg transactorConfig, seq *sequencer) *transactor {
	return &transactor{cfg: cfg, seq: seq, id: identity{id: -1, epoch: -1, transactional: true}}
}

// Step is the sequencer's Step.
func (t *transactor) Step(now time.Time, events ...any) *actions {
	s := t.seq
	s.clear()
	for _, ev := range events {
		t.take(now, ev)
	}
	s.timers(now)
	t.advance(now)
	s.collect(now)
	// Under protocol 2 the first batch begins the transaction.
	t.begun = t.begun || len(s.out.requests) > 0
	return &s.out
}

// Wake returns when Step wants to be called at the latest, zero for never.
func (t *transactor) Wake() time.Time {
	at := t.seq.Wake()
	if t.seq.stopped == nil {
		at = earlier(earlier(at, t.txnLane.wake()), t.groupLane.wake())
	}
	return at
}

// idle tells whether nothing is awaited.
func (t *transactor) idle() bool {
	return t.seq.idle() && t.txnLane.call == nil && t.groupLane.call == nil && t.stage == txnOpen && len(t.held) == 0
}

func (t *transactor) take(now time.Time, ev any) {
	switch ev := ev.(type) {
	case sendEvent:
		t.send(now, ev)
	case endEvent:
		if t.stage != txnOpen {
			t.held = append(t.held, ev)
			return
		}
		t.ending(now, ev)
	case flushEvent:
		if t.stage != txnOpen {
			t.held = append(t.held, ev)
			return
		}
		t.seq.take(now, ev)
	case txnAnswer:
		t.answer(now, ev)
	default:
		t.seq.take(now, ev)
	}
	t.watch(now)
}

// watch gives a transaction up of which a batch has failed.
func (t *transactor) watch(now time.Time) {
	if t.cause == nil && t.seq.failed != nil && !t.quit {
		t.cause = t.seq.failed
	}
	if t.cause != nil {
		t.abandon(now)
	}
}

func (t *transactor) send(now time.Time, ev sendEvent) {
	switch {
	case t.stage != txnOpen:
		t.held = append(t.held, ev)
	case t.quit && t.seq.stopped == nil:
		t.seq.out.acks = append(t.seq.out.acks, Ack{Batch: ev.batch, TP: ev.tp, BaseOffset: -1,
			Err: &ProduceError{TP: ev.tp, Cause: t.aborting()}})
	default:
		t.seq.send(now, ev)
	}
}

// aborting is the error of what has not been sent yet. It is not the error that began it: that is another batch's.
func (t *transactor) aborting() error {
	if t.cause == nil {
		return errTxnAborting
	}
	return fmt.Errorf("%w: %v", errTxnAborting, t.cause)
}

// abandon fails what is not on its way.
func (t *transactor) abandon(now time.Time) {
	if t.quit {
		return
	}
	t.quit = true
	t.offsets, t.pending, t.seq.wanted = offsetsDone, nil, nil
	t.seq.abandon(now, t.aborting())
}

// ending begins to end the transaction.
func (t *transactor) ending(now time.Time, ev endEvent) {
	t.stage, t.end = txnEnding, ev
	t.seq.urgent = true
	switch {
	case t.seq.stopped != nil || t.quit:
	case !ev.commit:
		t.abandon(now)
	case len(ev.offsets) > 0 && (ev.who.Generation < 0 || ev.who.MemberID == ""):
		t.cause = &BrokerError{API: apiTxnOffsetCommit, Node: anyBroker, Code: codeUnknownMember, Message: errNoMember.Error(),
			What: fmt.Sprintf("group %q", ev.who.Group)}
	case len(ev.offsets) > 0:
		t.offsets = offsetsAdd
		for p := range sortedKeys(ev.offsets) {
			t.pending = append(t.pending, p)
		}
	}
}

// next opens the next transaction, under id, with what is held.
func (t *transactor) next(now time.Time, id identity, v2 bool) {
	t.id, t.stage = id, txnOpen
	t.begun, t.cause, t.quit, t.suspect, t.maybe, t.refusal = false, nil, false, false, false, nil
	t.end, t.offsets, t.pending = endEvent{}, offsetsDone, nil
	t.txnLane.failures, t.groupLane = 0, lane{}
	t.seq.begin(now, id, v2)
	t.replay(now)
}

// replay takes in what is held, up to the next end.
func (t *transactor) replay(now time.Time) {
	held := t.held
	t.held = nil
	for i, ev := range held {
		if t.stage != txnOpen {
			t.held = append(t.held, held[i:]...)
			return
		}
		t.take(now, ev)
	}
}

// report tells how the transaction ended.
func (t *transactor) report(outcome TxnOutcome, err error) {
	t.seq.out.ends = append(t.seq.out.ends, txnEnded{TxnEnd{Commit: t.end.commit, Outcome: outcome, Err: err}, len(t.seq.out.acks)})
}

// fatal ends the producer.
func (t *transactor) fatal(now time.Time, err error) {
	t.seq.stop(err)
	if t.cause == nil {
		t.cause = err
	}
}

// stopped answers what is still to be answered, once nothing is on its way any more.
func (t *transactor) stopped(now time.Time) {
	if !t.seq.idle() || t.txnLane.call != nil || t.groupLane.call != nil {
		return
	}
	for {
		switch t.stage {
		case txnOpen:
			return
		case txnRenewing: // reported
		default:
			outcome := TxnAborted
			if t.maybe {
				outcome = TxnUnknown
			}
			err := t.seq.stopped
			if t.cause != nil {
				err = t.cause
			}
			t.report(outcome, err)
		}
		t.stage, t.end, t.maybe, t.cause, t.quit = txnOpen, endEvent{}, false, nil, false
		t.replay(now)
	}
}

func (t *transactor) String() string {
	return fmt.Sprintf("stage %d, begun %v, cause %v, offsets %d, held %d", t.stage, t.begun, t.cause, t.offsets, len(t.held))
}

func sortedKeys(offsets map[record.TopicPartition]Offset) func(func(record.TopicPartition) bool) {
	tps := make([]record.TopicPartition, 0, len(offsets))
	for tp := range offsets {
		tps = append(tps, tp)
	}
	slices.SortFunc(tps, compareTP)
	return slices.Values(tps)
}
