package kafka

import (
	"math"
	"slices"
	"time"
)

// next returns the batch of p that may be sent now, nil if none may (S2, S4).
func (s *sequencer) next(p *partition) *entry {
	switch {
	case p.fresh:
		return nil
	case p.resends > 0:
		if p.flying > 0 {
			return nil
		}
		return p.front()
	case p.hole != nil:
		return nil
	}
	window := s.cfg.window
	if !p.proven {
		window = 1
	}
	if p.open >= window {
		return nil
	}
	i := slices.IndexFunc(p.queue, func(e *entry) bool { return e.state == isQueued })
	if i < 0 {
		return nil
	}
	return p.queue[i]
}

// front returns the oldest batch that is not settled.
func (p *partition) front() *entry {
	i := slices.IndexFunc(p.queue, func(e *entry) bool { return e.state != isSettled })
	if i < 0 {
		return nil
	}
	return p.queue[i]
}

// touch puts p where it belongs after a change: into its node's list, to those who wait, or nowhere.
func (s *sequencer) touch(p *partition, now time.Time) {
	if p.ready > 0 || p.parked || s.stopped != nil {
		return
	}
	e := s.next(p)
	if s.cfg.transactional && !s.admitted(p, e) {
		return
	}
	switch {
	case e == nil:
	case now.Before(p.retryAt):
		p.parked = true
		s.waiting = append(s.waiting, p)
		s.retryAt = earlier(s.retryAt, p.retryAt)
	case !s.known:
		if !s.asking {
			s.asking, s.out.identify = true, true
		}
	case p.node < 0 || p.refresh:
		if !p.looking {
			p.looking = true
			s.out.lookups = append(s.out.lookups, lookup{p.tp, p.refresh})
		}
	default:
		n := s.nodes[p.node]
		if n == nil {
			n = &node{id: p.node}
			s.nodes[p.node] = n
		}
		p.ready = e.batch.Bytes()
		n.bytes += p.ready
		n.ready = append(n.ready, p)
		s.activate(n)
	}
}

// admitted tells whether e may go on its way as far as the transaction is concerned. It asks for what is missing.
func (s *sequencer) admitted(p *partition, e *entry) bool {
	switch {
	case e == nil || !s.known:
		return false
	case s.v2 || p.admitted == s.txn:
		return true
	case p.asked != s.txn:
		p.asked = s.txn
		s.wanted = append(s.wanted, p.tp)
	}
	return p.node < 0 || p.refresh // looking for the leader meanwhile
}

func (s *sequencer) activate(n *node) {
	if !n.active && len(n.ready) > 0 {
		n.active = true
		s.active = append(s.active, n)
	}
}

// collect makes requests of what is ready.
func (s *sequencer) collect(now time.Time) {
	if s.stopped != nil {
		return
	}
	s.mergeAt = time.Time{}
	left := s.active[:0]
	for _, n := range s.active {
		s.fill(n, now)
		// A node whose slots are all taken comes back with its next answer.
		if n.active = len(n.ready) > 0 && n.flying < s.cfg.maxInFlight; n.active {
			left = append(left, n)
		}
	}
	clear(s.active[len(left):])
	s.active = left
	if s.urgent && len(left) == 0 && s.flying == 0 {
		s.urgent = false
	}
}

func (s *sequencer) fill(n *node, now time.Time) {
	for n.flying < s.cfg.maxInFlight && len(n.ready) > 0 {
		if end := n.last.Add(s.cfg.mergeWait); n.flying > 0 && n.bytes < s.cfg.mergeBytes && !s.urgent && now.Before(end) {
			s.mergeAt = earlier(s.mergeAt, end)
			return
		}
		r := s.gather(n, now)
		if len(r.entries) == 0 {
			return
		}
		n.flying++
		s.flying++
		n.last = now
		s.out.requests = append(s.out.requests, r)
		for _, e := range r.entries {
			s.touch(e.part, now)
		}
	}
}

// gather takes one batch each of the partitions that are ready, in turn, up to the size of a request.
func (s *sequencer) gather(n *node, now time.Time) *produceRequest {
	r := &produceRequest{node: n.id, v2: s.v2}
	size := 0
	taken := 0
	var moved []*partition // no longer ready here
	for _, p := range n.ready {
		if len(r.entries) > 0 && size+p.ready > s.cfg.requestBytes {
			break
		}
		taken++
		n.bytes -= p.ready
		p.ready = 0
		e := s.next(p)
		if e == nil || !s.known || p.node != n.id || p.refresh || now.Before(p.retryAt) || s.cfg.transactional && !s.admitted(p, e) {
			moved = append(moved, p)
			continue
		}
		s.launch(p, e, now)
		size += e.batch.Bytes()
		r.entries = append(r.entries, e)
	}
	n.ready = slices.Delete(n.ready, 0, taken)
	for _, p := range moved {
		s.touch(p, now)
	}
	return r
}

// launch gives a batch its sequence, if it has none, and notes that it is on its way.
func (s *sequencer) launch(p *partition, e *entry, now time.Time) {
	if e.state == isResend {
		p.resends--
	} else {
		if p.open == 0 && p.id != s.id {
			p.id, p.sequence, p.proven = s.id, 0, false
		}
		if p.open == 0 && now.Sub(p.provenAt) > s.cfg.delivery {
			p.proven = false // a broker forgets a producer that was silent for long
		}
		e.sequence = p.sequence
		e.batch.identify(p.id, e.sequence)
		p.sequence = addSequence(p.sequence, e.batch.count)
		e.numbered = true
		p.open++
	}
	e.front = p.front() == e
	e.state = isFlying
	p.flying++
}

// addSequence counts on; sequences wrap from the highest to 0.
func addSequence(sequence, n int32) int32 {
	if sequence > math.MaxInt32-n {
		return n - (math.MaxInt32 - sequence) - 1
	}
	return sequence + n
}

// timers does what has become due.
func (s *sequencer) timers(now time.Time) {
	if !s.retryAt.IsZero() && !now.Before(s.retryAt) {
		waiting := s.waiting
		s.waiting, s.retryAt = nil, time.Time{}
		for _, p := range waiting {
			p.parked = false
			s.touch(p, now) // parks it again if it is not due
		}
	}
	if s.checkAt.IsZero() || now.Before(s.checkAt) {
		return
	}
	s.checkAt = time.Time{}
	for _, e := range slices.Clone(s.ages) {
		if now.Before(e.deadline) {
			s.checkAt = e.deadline
			return
		}
		// One that is on its way is looked at when it comes back.
		if e.state == isQueued || e.state == isResend {
			s.failFrom(e.part, slices.Index(e.part.queue, e), s.expired(e))
			s.settle(e.part, now)
		}
	}
}

// Wake returns when Step wants to be called at the latest, zero for never.
func (s *sequencer) Wake() time.Time {
	return earlier(earlier(s.retryAt, s.checkAt), s.mergeAt)
}

// earlier returns the earlier of two times of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
