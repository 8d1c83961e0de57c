package kafka

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// TxnOutcome is what has become of a transaction.
type TxnOutcome uint8

const (
	// TxnCommitted: the coordinator has confirmed it. All of the transaction is visible, or will be without fail.
	TxnCommitted TxnOutcome = iota
	// TxnAborted: nothing of the transaction is visible, or will ever be.
	TxnAborted
	// TxnUnknown: it was committed whole or not at all, and the coordinator no longer says which. If it was committed,
	// its offsets tell: read them until they are stable.
	TxnUnknown
)

func (o TxnOutcome) String() string {
	switch o {
	case TxnCommitted:
		return "committed"
	case TxnAborted:
		return "aborted"
	}
	return "outcome unknown"
}

// TxnEnd is how a transaction ended.
type TxnEnd struct {
	Commit  bool // as asked for
	Outcome TxnOutcome
	// Err says why it did not end as asked for: the first batch that failed, a *[FencedError], a *[TxnTimeoutError], a
	// *[BrokerError] of TxnOffsetCommit (the group has moved on), or what Run ended with.
	Err error
}

// FencedError says that another producer has taken over the transactional id. This one is of no use any more.
type FencedError struct {
	TransactionalID string
	Cause           error
}

func (e *FencedError) Error() string {
	return fmt.Sprintf("transactional id %q: another producer has taken over (does a second process run with the same id?): %v",
		e.TransactionalID, e.Cause)
}

func (e *FencedError) Unwrap() error { return e.Cause }

// TxnTimeoutError says that the coordinator has aborted the transaction for its age.
type TxnTimeoutError struct {
	TransactionalID string
	Timeout         time.Duration
	Cause           error // how that was noticed
}

func (e *TxnTimeoutError) Error() string {
	return fmt.Sprintf("transactional id %q: the coordinator has aborted the transaction, which was open for longer than %v: %v",
		e.TransactionalID, e.Timeout, e.Cause)
}

func (e *TxnTimeoutError) Unwrap() error { return e.Cause }

const (
	defaultTxnTimeout = time.Minute

	// While the coordinator writes the markers of a transaction, which takes a few milliseconds, the next one is told to
	// wait by an error.
	concurrentBackoff    = 4 * time.Millisecond
	maxConcurrentBackoff = 64 * time.Millisecond
)

// End asks to end the open transaction, which are the batches sent since the End before. It is committed when all of them
// and offsets, of the group that who is a member of, are acknowledged, or else aborted: batches that have not left by then
// fail. ProducerConfig.Ended is called exactly once for each End, in order, after the acks of its batches. What is sent
// meanwhile belongs to the next transaction, and waits for it.
//
// Only a producer with a transactional id has transactions.
func (p *Producer) End(commit bool, who GroupIdentity, offsets map[record.TopicPartition]Offset) {
	if p.txn == nil {
		return
	}
	if err := p.post(endEvent{commit: commit, who: who, offsets: maps.Clone(offsets)}); err != nil {
		p.txnEnded(TxnEnd{Commit: commit, Outcome: TxnAborted, Err: err})
	}
}

var (
	errTxnAborting = errors.New("its transaction is being aborted")
	errNoMember    = errors.New("offsets of a transaction need the generation and the id of a member: the broker checks nothing without")
)
