package kafka

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// answer takes in the end of a request.
func (s *sequencer) answer(now time.Time, ev answerEvent) {
	n := s.nodes[ev.request.node]
	n.flying--
	s.flying--
	for i, e := range ev.request.entries {
		p := e.part
		p.flying--
		e.unknown = e.unknown || ev.unknown
		if ev.err != nil {
			s.noAnswer(p, e, now, ev)
		} else {
			s.result(p, e, now, &ev.results[i])
		}
		s.settle(p, now)
	}
	s.activate(n)
}

// noAnswer handles a batch whose request came to nothing.
func (s *sequencer) noAnswer(p *partition, e *entry, now time.Time, ev answerEvent) {
	e.err = ev.err
	if act := ActionOf(ev.err); act.Has(Retry) {
		p.refresh = p.refresh || act.Has(Refresh)
		s.again(p, e, now, true)
		return
	}
	s.fail(p, e, ev.err)
}

// result handles the broker's answer about one batch.
func (s *sequencer) result(p *partition, e *entry, now time.Time, r *produceResult) {
	if !r.answered {
		e.unknown, e.err = true, errNoAnswer
		s.again(p, e, now, true)
		return
	}
	e.code = r.code
	if r.code != 0 {
		e.err = &BrokerError{API: int16(kmsg.Produce), Node: p.node, Code: Code(r.code), Message: r.message, What: p.tp.String()}
	}
	switch r.code {
	case 0:
		s.appended(p, e, r.base)
	case codeDuplicateSequence: // appended by an earlier attempt, too long ago for the broker to know where
		s.appended(p, e, -1)
	case codeOutOfOrderSequence:
		if !e.front { // it overtook the one before it, or that one failed
			s.again(p, e, now, false)
			return
		}
		s.fail(p, e, e.err) // the broker has lost what it acknowledged
		p.bump = true
	case codeUnknownProducerID, codeInvalidProducerEpoch:
		s.renew(p, e, now)
	case codeMessageTooLarge, codeRecordListTooLarge, codeInvalidTimestamp, codeInvalidRecord:
		s.refused(p, e, now, r)
	default:
		act := actionFor(int16(kmsg.Produce), Code(r.code))
		if r.code != codeUnknownServerError && !act.Has(Retry) {
			s.fail(p, e, e.err)
			return
		}
		e.unknown = e.unknown || !certainlyNotAppended[Code(r.code)]
		p.refresh = p.refresh || act.Has(Refresh)
		s.again(p, e, now, true)
	}
}

// certainlyNotAppended are the retriable answers that a broker gives before it writes. After any other the batch may be
// in the log.
var certainlyNotAppended = map[Code]bool{
	codeCorruptMessage: true, codeUnknownTopicOrPartition: true, codeLeaderNotAvailable: true, codeNotLeader: true,
	codeNotEnoughReplicas: true, codeListenerNotFound: true, codeFencedLeaderEpoch: true, codeUnknownLeaderEpoch: true,
	codeThrottlingQuotaExceeded: true, codeUnknownTopicID: true, codeConcurrentTransactions: true,
}

func (s *sequencer) appended(p *partition, e *entry, base int64) {
	p.proven, p.failures = true, 0
	p.provenAt = e.deadline.Add(-s.cfg.delivery) // it cannot have been appended before
	if e.doomed != nil {
		p.bump = true // the log goes on behind the hole: its sequences are used up
	}
	e.state, e.base, e.err = isSettled, base, nil
}

// again puts a batch up for another attempt with the same sequence, unless it is too late for that (S6).
func (s *sequencer) again(p *partition, e *entry, now time.Time, pause bool) {
	e.state = isResend
	p.resends++
	switch {
	case s.stopped != nil:
		s.failFrom(p, slices.Index(p.queue, e), s.stopped)
	case e.doomed != nil:
		p.bump = p.bump || e.unknown
		s.settleFailed(p, e, e.doomed)
	case !now.Before(e.deadline):
		s.failFrom(p, slices.Index(p.queue, e), s.expired(e))
	case pause:
		s.backOff(p, now)
	}
}

func (s *sequencer) expired(e *entry) error {
	if e.err != nil {
		return fmt.Errorf("%w of %v, last: %w", errDelivery, s.cfg.delivery, e.err)
	}
	return fmt.Errorf("%w of %v, never sent", errDelivery, s.cfg.delivery)
}

func (s *sequencer) backOff(p *partition, now time.Time) {
	d := backoff{first: s.cfg.backoff, max: s.cfg.maxBackoff, rand: s.cfg.rand, n: p.failures}
	p.failures++
	p.retryAt = now.Add(d.next())
}

// fail gives a batch up that has just come back, and what is behind it.
func (s *sequencer) fail(p *partition, e *entry, cause error) {
	e.state = isResend
	p.resends++
	s.failFrom(p, slices.Index(p.queue, e), cause)
}

// renew handles a broker that does not know the producer, or its epoch, any more: the batch was not appended now, and
// if it cannot have been before, it may have a new sequence.
func (s *sequencer) renew(p *partition, e *entry, now time.Time) {
	if s.cfg.transactional { // fenced, or timed out: nothing of the transaction can be saved
		s.fail(p, e, e.err)
		return
	}
	if e.unknown {
		s.fail(p, e, e.err)
		p.bump = true
		return
	}
	if e.front {
		p.fresh, p.bump = true, true
		s.backOff(p, now)
	}
	s.again(p, e, now, false)
}

// refused handles an answer about the records themselves. An attempt before it, of which nothing was heard, met the same
// checks: it was refused as well.
func (s *sequencer) refused(p *partition, e *entry, now time.Time, r *produceResult) {
	tooLarge := r.code == codeMessageTooLarge || r.code == codeRecordListTooLarge
	switch {
	case tooLarge && e.batch.count > 1 && s.stopped != nil:
		s.fail(p, e, s.stopped)
	case tooLarge && e.batch.count > 1 && e.doomed != nil:
		s.fail(p, e, e.doomed)
	case tooLarge && e.batch.count > 1:
		if err := s.split(p, e); err != nil {
			s.fail(p, e, err)
		}
	default:
		err := &RefusedError{TP: p.tp, Code: r.code, Message: r.message, Records: r.refused}
		if len(err.Records) == 0 && e.batch.count == 1 {
			err.Records = []RefusedRecord{{Index: 0, Message: r.message}}
		}
		s.fail(p, e, err)
	}
}

// split replaces a batch by two with its sequences: the broker took none of them, so they are still to be used.
func (s *sequencer) split(p *partition, e *entry) error {
	first, second, err := e.batch.split(p.tp, s.cfg.codec)
	if err != nil {
		return err
	}
	w := e.whole
	if w == nil {
		w = &split{batch: e.batch, left: 1}
	} else {
		e.batch.Release()
	}
	w.left++
	a := &entry{part: p, batch: first, state: isResend, numbered: true, sequence: e.sequence, deadline: e.deadline, whole: w}
	b := &entry{part: p, batch: second, state: isResend, numbered: true, sequence: addSequence(e.sequence, first.count), deadline: e.deadline, whole: w}
	first.identify(p.id, a.sequence)
	second.identify(p.id, b.sequence)
	e.state = isSettled
	i := slices.Index(p.queue, e)
	p.queue = slices.Replace(p.queue, i, i+1, a, b)
	s.live++
	p.open++
	p.resends += 2
	i = slices.Index(s.ages, e)
	s.ages = slices.Replace(s.ages, i, i+1, a, b)
	return nil
}

// failFrom fails the batch at i of p's queue with cause, and those behind it for its sake (S5). What is on its way is
// only marked.
func (s *sequencer) failFrom(p *partition, i int, cause error) {
	first := true
	for k, e := range p.queue[i:] {
		if e.state == isSettled {
			p.bump = p.bump || e.err == nil // as in appended
			continue
		}
		if e.numbered {
			if p.hole == nil || slices.Index(p.queue, p.hole) > i+k {
				p.hole = e
			}
			p.bump = p.bump || e.unknown
		}
		err := cause
		if !first {
			err = fmt.Errorf("%w: %w", errBehind, cause)
		}
		first = false
		if e.state == isFlying {
			e.doomed = err
		} else {
			s.settleFailed(p, e, err)
		}
	}
}

func (s *sequencer) settleFailed(p *partition, e *entry, cause error) {
	if e.state == isResend {
		p.resends--
	}
	e.state = isSettled
	if r, ok := cause.(*RefusedError); ok {
		e.err = r
	} else {
		e.err = &ProduceError{TP: p.tp, Code: e.code, Unknown: e.unknown, Cause: cause}
	}
	if s.failed == nil && s.cfg.transactional {
		s.failed = e.err
	}
}

// settle acknowledges what has settled at the front of p's queue, mends its sequences if need be, and lets it go on.
func (s *sequencer) settle(p *partition, now time.Time) {
	s.acknowledge(p)
	if p.flying == 0 && (p.fresh || p.hole != nil && p.resends == 0) {
		s.mend(p)
		s.acknowledge(p)
	}
	s.touch(p, now)
}

// mend gives p sequences to go on with, now that nothing of it is on its way (S3).
func (s *sequencer) mend(p *partition) {
	if p.fresh {
		// By now every attempt has an answer. One that is open all the same, or an appended batch behind one that was
		// not, would be in the log twice or out of order under new sequences.
		for _, e := range p.queue {
			if e.numbered && (e.state == isSettled && e.err == nil || e.state == isResend && e.unknown) {
				s.failFrom(p, 0, fmt.Errorf("the broker has forgotten producer %d at sequence %d", p.id.id, e.sequence))
				break
			}
		}
		for _, e := range p.queue {
			if e.state == isResend {
				e.state = isQueued
			}
			e.numbered = false
		}
		p.resends = 0
	}
	if p.bump {
		s.advanceEpoch(p)
	} else {
		p.sequence = p.hole.sequence
	}
	p.open = 0
	p.fresh, p.hole, p.bump = false, nil, false
}

// advanceEpoch sees to it that p's next batch has another identity than its last. A producer without a transaction
// moves its epoch by itself. In a transaction a batch has failed then: there is none before the next identity.
func (s *sequencer) advanceEpoch(p *partition) {
	switch {
	case p.id != s.id || s.cfg.transactional:
	case s.id.epoch == math.MaxInt16:
		s.known = false
	default:
		s.id.epoch++
	}
	p.id, p.proven = identity{id: -1}, false
}

func (s *sequencer) acknowledge(p *partition) {
	n := 0
	for n < len(p.queue) && p.queue[n].state == isSettled {
		if p.queue[n].numbered {
			p.open--
		}
		s.acknowledgeOne(p.queue[n])
		n++
	}
	if n == 0 {
		return
	}
	p.queue = slices.Delete(p.queue, 0, n)
	if s.live == 0 {
		s.ages, s.checkAt = nil, time.Time{}
	} else if len(s.ages) > 2*s.live+64 {
		s.ages = slices.DeleteFunc(s.ages, func(e *entry) bool { return e.state == isSettled })
	}
}

func (s *sequencer) acknowledgeOne(e *entry) {
	s.live--
	a := Ack{Batch: e.batch, TP: e.part.tp, BaseOffset: e.base, Err: e.err}
	if w := e.whole; w != nil {
		if w.first == 0 {
			w.base = e.base
		}
		if w.err == nil {
			w.err = shiftRefused(e.err, w.first)
		}
		w.first += e.batch.Count()
		e.batch.Release()
		if w.left--; w.left > 0 {
			return
		}
		a.Batch, a.BaseOffset, a.Err = w.batch, w.base, w.err
	}
	if a.Err != nil {
		a.BaseOffset = -1
	}
	if r, ok := a.Err.(*RefusedError); ok {
		a.Refused = r.Records
	}
	s.out.acks = append(s.out.acks, a)
}

// shiftRefused makes indices of records in a piece those of the whole batch.
func shiftRefused(err error, by int) error {
	r, ok := err.(*RefusedError)
	if !ok || by == 0 {
		return err
	}
	shifted := *r
	shifted.Records = slices.Clone(r.Records)
	for i := range shifted.Records {
		shifted.Records[i].Index += by
	}
	return &shifted
}
