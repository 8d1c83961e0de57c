package kafka

import (
	"errors"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// The sequencer is the decisions of an idempotent producer as a pure machine: Step takes an event and the time, and
// returns what is to be done. It holds no lock, starts no goroutine and reads no clock.
//
// Per partition, batches wait in the order they came. A batch gets a sequence when it is first sent, and keeps its
// identity, sequence and bytes over every resend, so the broker recognises what it has already appended.
//
//	S1  Acks of a partition come in the order of its batches. A batch is acknowledged as appended only if a broker
//	    said so for it.
//	S2  While an attempt's outcome is open, or an older batch of the partition is to be resent, nothing younger is sent
//	    except what was within the window when all went well. Resends go one at a time, oldest first.
//	S3  A batch moves to a new sequence or epoch only if no attempt of it can have been appended, and only when nothing
//	    of its partition is on its way. The epoch moves on if an attempt may still turn up somewhere.
//	S4  Under a new identity a partition sends one batch and waits: brokers append the first batch they see of a
//	    producer whatever its sequence is, so a second one could overtake it.
//	S5  A batch that fails takes with it what waits behind it in its partition: nothing overtakes a hole. What is sent
//	    after that begins anew.
//	S6  No batch is resent after DeliveryTimeout.
//
// Of a transactional producer it knows little: identities come from outside, a partition has to be admitted to the
// transaction before it is sent to (where gated), and the first batch that fails is remembered (failed).
type sequencer struct {
	cfg     sequencerConfig
	id      identity // of new sequences
	known   bool     // id is set
	asking  bool     // an identity is on its way
	stopped error    // everything fails with it

	parts   map[record.TopicPartition]*partition
	nodes   map[int32]*node
	active  []*node      // with ready partitions
	waiting []*partition // for retryAt
	retryAt time.Time    // the earliest of waiting
	ages    []*entry     // in the order they came, for deadlines; settled ones leave when they are first
	checkAt time.Time    // look for expired ones
	mergeAt time.Time    // a small request has waited long enough
	urgent  bool         // send small requests too
	live    int          // batches not acknowledged
	flying  int          // requests

	txn    uint64                  // number of the transaction
	v2     bool                    // protocol 2: brokers admit partitions by themselves
	wanted []record.TopicPartition // to be admitted
	failed error                   // the first batch of the transaction that failed

	out actions
}

type sequencerConfig struct {
	window       int           // batches of a partition on their way, at most 5: brokers remember so many
	maxInFlight  int           // requests on their way to a broker
	requestBytes int           // of a request
	mergeBytes   int           // a smaller request waits for company while another is on its way,
	mergeWait    time.Duration // this long
	delivery     time.Duration
	backoff      time.Duration
	maxBackoff   time.Duration
	rand         func() float64
	codec        Codec // of the halves of a batch that was too large

	transactional bool
}

// actions are what a Step wants done.
type actions struct {
	requests []*produceRequest
	acks     []Ack
	lookups  []lookup
	identify bool // get a producer id; answer by identityEvent

	calls []*txnCall // of the transactor; answer by txnAnswer
	ends  []txnEnded
}

// lookup asks for a partition's leader; answer by leaderEvent. refresh: what is cached has proved wrong.
type lookup struct {
	tp      record.TopicPartition
	refresh bool
}

// Events of the sequencer.
type (
	sendEvent struct {
		tp    record.TopicPartition
		batch *OutBatch
	}
	leaderEvent struct {
		tp   record.TopicPartition
		node int32
		err  error
	}
	// answerEvent ends a request. With err there are no results; unknown tells that the broker may have acted on it, or
	// with results, that it may have done so once before.
	answerEvent struct {
		request *produceRequest
		results []produceResult
		err     error
		unknown bool
	}
	identityEvent struct {
		id  identity
		err error
	}
	flushEvent struct{}
	stopEvent  struct{ err error }
)

type entryState uint8

const (
	isQueued entryState = iota // has no sequence
	isFlying
	isResend // has a sequence, is not on its way
	isSettled
)

// entry is a batch in its partition's queue.
type entry struct {
	part     *partition
	batch    *OutBatch
	state    entryState
	front    bool // was the oldest unsettled one when it was last sent
	unknown  bool // an attempt may have been appended
	numbered bool // has a sequence
	sequence int32
	deadline time.Time
	base     int64
	err      error // settled: outcome; else the last failure
	code     int16 // the broker's last answer
	doomed   error // one before it failed while it was flying
	whole    *split
}

// split is a batch that goes out in pieces. Its entries are neighbours in the queue.
type split struct {
	batch *OutBatch
	left  int   // pieces not settled yet
	first int   // record of the next piece to settle
	base  int64 // of the first piece
	err   error
}

// partition is the sequence of batches to one partition.
type partition struct {
	tp       record.TopicPartition
	node     int32 // leader; -1 unknown
	looking  bool
	id       identity
	sequence int32     // the next one
	proven   bool      // a broker has acknowledged a batch under id,
	provenAt time.Time // the last time then
	fresh    bool      // when nothing is flying, everything unsettled gets new sequences
	hole     *entry    // the first batch with a sequence that failed: mended when what is before it has settled,
	bump     bool      // by a new epoch, or else by using its sequence again
	parked   bool      // in waiting
	ready    int       // in its node's list, with that many bytes; 0: not
	asked    uint64    // the transaction that it is to be admitted to
	admitted uint64    // the one that it has been admitted to
	refresh  bool      // look the leader up before the next send
	retryAt  time.Time
	failures int      // since the last success, for the backoff
	queue    []*entry // unacknowledged
	open     int      // with a sequence
	flying   int      // of those
	resends  int      // of those
}

type node struct {
	id     int32
	ready  []*partition
	bytes  int // of the next batches of ready
	flying int
	last   time.Time // when the youngest request was sent
	active bool
}

func newSequencer(cfg sequencerConfig) *sequencer {
	return &sequencer{cfg: cfg, parts: map[record.TopicPartition]*partition{}, nodes: map[int32]*node{}}
}

// Step takes in what has happened, in order; nothing but the time is an event too. Requests are made once at the end, so
// that what came together goes out together. What it returns is valid until the next Step.
func (s *sequencer) Step(now time.Time, events ...any) *actions {
	s.clear()
	for _, ev := range events {
		s.take(now, ev)
	}
	s.timers(now)
	s.collect(now)
	return &s.out
}

func (s *sequencer) clear() {
	s.out.requests, s.out.acks, s.out.lookups = s.out.requests[:0], s.out.acks[:0], s.out.lookups[:0]
	s.out.calls, s.out.ends = s.out.calls[:0], s.out.ends[:0]
	s.out.identify = false
}

func (s *sequencer) take(now time.Time, ev any) {
	switch ev := ev.(type) {
	case sendEvent:
		s.send(now, ev)
	case leaderEvent:
		s.leader(now, ev)
	case answerEvent:
		s.answer(now, ev)
	case identityEvent:
		s.identified(now, ev)
	case stopEvent:
		s.stop(ev.err)
	case flushEvent:
		s.urgent = true
	}
}

// idle tells whether nothing waits for an ack.
func (s *sequencer) idle() bool { return s.live == 0 && s.flying == 0 }

func (s *sequencer) send(now time.Time, ev sendEvent) {
	p := s.parts[ev.tp]
	if p == nil {
		p = &partition{tp: ev.tp, node: -1}
		s.parts[ev.tp] = p
	}
	e := &entry{part: p, batch: ev.batch, deadline: now.Add(s.cfg.delivery)}
	if s.stopped != nil {
		s.out.acks = append(s.out.acks, Ack{Batch: ev.batch, TP: ev.tp, BaseOffset: -1,
			Err: &ProduceError{TP: ev.tp, Cause: s.stopped}})
		return
	}
	p.queue = append(p.queue, e)
	s.live++
	if s.ages = append(s.ages, e); s.checkAt.IsZero() {
		s.checkAt = e.deadline
	}
	s.touch(p, now)
}

func (s *sequencer) leader(now time.Time, ev leaderEvent) {
	p := s.parts[ev.tp]
	if p == nil || !p.looking {
		return
	}
	p.looking = false
	switch {
	case ev.err == nil:
		p.node, p.refresh = ev.node, false
	case Retriable(ev.err):
		s.backOff(p, now)
	default:
		s.failFrom(p, 0, ev.err)
	}
	s.settle(p, now)
}

func (s *sequencer) identified(now time.Time, ev identityEvent) {
	s.asking = false
	if ev.err != nil {
		s.stop(ev.err)
		return
	}
	s.id, s.known = ev.id, true
	for _, p := range s.parts {
		s.touch(p, now)
	}
}

// stop fails everything that is not on its way, and what is on its way when it has come back.
func (s *sequencer) stop(err error) {
	if s.stopped != nil {
		return
	}
	s.stopped = err
	s.abandon(time.Time{}, err)
}

// abandon fails everything that is not on its way, and what is on its way when it comes back without an ack.
func (s *sequencer) abandon(now time.Time, err error) {
	for _, p := range s.parts {
		s.failFrom(p, 0, err)
		s.settle(p, now)
	}
}

// begin opens the next transaction, under an identity that may be another one.
func (s *sequencer) begin(now time.Time, id identity, v2 bool) {
	s.id, s.known, s.v2 = id, true, v2
	s.txn++
	s.wanted, s.failed = nil, nil
	for _, p := range s.parts {
		s.touch(p, now)
	}
}

// admit lets batches to a partition go on their way.
func (s *sequencer) admit(tp record.TopicPartition, now time.Time) {
	if p := s.parts[tp]; p != nil {
		p.admitted = s.txn
		s.touch(p, now)
	}
}

// refuse fails what waits for a partition that cannot be part of the transaction.
func (s *sequencer) refuse(tp record.TopicPartition, now time.Time, err error) {
	if p := s.parts[tp]; p != nil {
		s.failFrom(p, 0, err)
		s.settle(p, now)
	}
}

var (
	errBehind   = errors.New("a batch before it failed")
	errDelivery = errors.New("delivery timeout")
	errNoAnswer = errors.New("the broker left the partition out of its answer")
)
