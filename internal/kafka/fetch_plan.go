package kafka

import (
	"cmp"
	"slices"
	"time"
)

// plan gives a broker a poll of all that is ready, if it has a slot free for it.
func (m *fetchMachine) plan(now time.Time, n *fetchNode) {
	slot, wait := mainSlot, m.cfg.maxWait
	if main := n.slots[mainSlot]; main != nil {
		if n.slots[sideSlot] != nil {
			return
		}
		// Both end together when nothing comes, and are one again.
		slot = sideSlot
		wait = min(m.cfg.sideWait, main.start.Add(main.wait).Sub(now))
		wait = max(wait, time.Millisecond)
	}
	if now.Before(n.notBefore) {
		m.wakeAt(n.notBefore)
		return
	}
	running := n.running()
	var ready []*fetchPart
	for _, p := range n.parts {
		if m.ready(now, p, running) {
			ready = append(ready, p)
		}
	}
	if len(ready) == 0 {
		return
	}
	// Who had data last comes last, so that each partition is at times the first, which may exceed the limits.
	slices.SortFunc(ready, func(a, b *fetchPart) int {
		return cmp.Or(cmp.Compare(a.served, b.served), cmp.Compare(a.tp.Topic, b.tp.Topic), cmp.Compare(a.tp.Partition, b.tp.Partition))
	})
	m.lastPoll++
	q := &fetchPoll{id: m.lastPoll, node: n.id, slot: slot, start: now, wait: wait, parts: make([]fetchPollPart, len(ready))}
	for i, p := range ready {
		p.polled = true
		q.parts[i] = fetchPollPart{tp: p.tp, gen: p.gen, offset: p.position, epoch: p.epoch, max: p.max}
	}
	n.slots[slot], n.answered[slot] = q, false
	m.out = append(m.out, fetchAsk{q})
}

// ready tells whether a partition can be asked now, and arranges a wake-up if only time is missing.
func (m *fetchMachine) ready(now time.Time, p *fetchPart, running bool) bool {
	if p.paused || p.polled || p.stopped || p.stop != nil || p.looking || !p.lookAt.IsZero() {
		return false
	}
	if p.undelivered > 0 && p.from != p.node { // M4
		return false
	}
	if now.Before(p.notBefore) {
		m.wakeAt(p.notBefore)
		return false
	}
	if running && now.Before(p.heldUntil) {
		m.wakeAt(p.heldUntil)
		return false
	}
	return true
}

// answered takes the answer to a poll. Parts that are void by now are marked skipped; the others are on their way to the
// receiver, and the poll's slot stays taken until they have been handed over.
func (m *fetchMachine) answered(now time.Time, ev fetchAnswered) {
	n := m.nodes[ev.poll.node]
	n.answered[ev.poll.slot] = true
	n.fails, n.malformed = 0, 0
	if ev.answer.throttle > 0 {
		n.notBefore = now.Add(ev.answer.throttle)
	}
	moved := false
	for i := range ev.poll.parts {
		q, a := &ev.poll.parts[i], &ev.answer.parts[i]
		p := m.live(q.tp, q.gen)
		if p == nil || p.stop != nil {
			a.skipped = true
			continue
		}
		if ev.answer.code != 0 && a.code == 0 {
			a.code = ev.answer.code
		}
		if a.code != 0 {
			a.skipped = true
			m.refused(now, n, p, q, Code(a.code))
			continue
		}
		moved = m.accept(now, n, p, a) || moved
	}
	// A broker that answers at once and has nothing must not be asked in a circle.
	n.empties++
	if moved || now.Sub(ev.poll.start) >= ev.poll.wait/2 {
		n.empties = 0
	} else if pause := now.Add(time.Millisecond << min(n.empties-1, 6)); pause.After(n.notBefore) {
		n.notBefore = pause
	}
}

// accept moves a partition on by what its answer holds, and tells whether it did.
func (m *fetchMachine) accept(now time.Time, n *fetchNode, p *fetchPart, a *fetchAnswerPart) bool {
	p.fails, p.unknownSince, p.doubt, p.notBefore = 0, time.Time{}, fetchDoubt{}, time.Time{}
	p.undelivered++
	p.from = n
	if a.next > p.position {
		p.position = a.next
		p.max = m.cfg.partitionBytes
		p.heldUntil = time.Time{}
		m.served++
		p.served = m.served
		return true
	}
	if a.needBytes > 0 {
		p.max = max(p.max, int32(min(a.needBytes, int(m.cfg.responseBytes))))
	}
	p.heldUntil = now.Add(m.cfg.holdWait)
	return false
}

// refused takes the error that a broker gave for one partition.
func (m *fetchMachine) refused(now time.Time, n *fetchNode, p *fetchPart, q *fetchPollPart, code Code) {
	switch fetchCodeClass(code) {
	case fetchCodeRetry:
		m.trouble(now, p)
		if code == codeUnknownTopic {
			m.unknown(now, p)
		}
		m.lookLater(now, p)
	case fetchCodeRange:
		// Who was the leader until a moment ago may not have the offset yet, or have it no longer. Only who is still
		// the leader, in the same epoch, by fresh metadata is believed.
		said := fetchDoubt{true, n.id, q.epoch}
		if p.doubt == said {
			m.stop(p, &OffsetOutOfRangeError{TopicPartition: p.tp, Offset: p.position})
			return
		}
		p.doubt = said
		m.lookLater(now, p)
	default:
		m.stop(p, fetchError(p, brokerErr(fetchKey, n.id, int16(code), nil, "")))
	}
}

// failed takes a poll that got no answer, or one that makes no sense.
func (m *fetchMachine) failed(now time.Time, ev fetchFailed) {
	n := m.nodes[ev.poll.node]
	n.fails++
	n.notBefore = now.Add(m.backoff(n.fails))
	stop := ev.kind == fetchFailedFatal
	if ev.kind == fetchFailedMalformed {
		n.malformed++
		stop = n.malformed >= maxMalformed
	}
	for i := range ev.poll.parts {
		q := &ev.poll.parts[i]
		p := m.live(q.tp, q.gen)
		switch {
		case p == nil:
		case stop:
			m.stop(p, fetchError(p, ev.err))
		default:
			m.trouble(now, p)
			m.lookLater(now, p)
		}
	}
	m.handed(now, ev.poll)
}

// handed frees the slot of a poll whose answer is in the decoder's hands, or that has none.
func (m *fetchMachine) handed(now time.Time, q *fetchPoll) {
	n := m.nodes[q.node]
	n.slots[q.slot], n.answered[q.slot] = nil, false
	for i := range q.parts {
		p := m.parts[q.parts[i].tp]
		if p == nil || p.gen != q.parts[i].gen {
			continue
		}
		p.polled = false
		if p.node != nil && p.node != n { // it moved while its answer waited
			m.plan(now, p.node)
		}
	}
	m.plan(now, n)
}

// delivered notes that parts of an answer have reached the receiver, or were dropped before it.
func (m *fetchMachine) delivered(now time.Time, ev fetchDelivered) {
	for i := range ev.poll.parts {
		q := &ev.poll.parts[i]
		p := m.parts[q.tp]
		if p == nil || p.gen != q.gen || ev.answer.parts[i].skipped {
			continue
		}
		p.undelivered--
		if p.undelivered > 0 {
			continue
		}
		m.tellStop(p)
		if p.node != nil && p.from != p.node { // it waited for this (M4)
			m.plan(now, p.node)
		}
	}
}
