package kafka

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// fetchMachine decides what is asked of which broker and what an answer means. It has no goroutine, socket or clock:
// step takes an event and the time and returns what is to be done.
//
//	M1  A partition is in at most one poll at a time.
//	M2  A partition that is paused, stopped or removed is in no new poll.
//	M3  The position only grows, by what an answer's headers say.
//	M4  A partition that moves to another broker is not asked there before all it got from the former has been
//	    delivered, so its data comes in order.
//	M5  An error that stops a partition is told after all its data.
//	M6  A partition that becomes ready while a long poll runs on its broker is asked at once, by a second, short poll.
type fetchMachine struct {
	cfg   fetchLimits
	parts map[record.TopicPartition]*fetchPart
	nodes map[int32]*fetchNode
	rng   *rand.Rand

	lastGen, lastPoll, served uint64

	wake time.Time // no later than the first deadline; zero: none
	out  []fetchAction
}

// fetchLimits are the bounds and waits of a fetch machine.
type fetchLimits struct {
	maxWait        time.Duration // of a poll without data
	sideWait       time.Duration // of the short poll beside it
	holdWait       time.Duration // how long an empty-handed partition waits to join the other poll
	backoff        time.Duration // first, doubled up to backoffMax
	backoffMax     time.Duration
	unknownAfter   time.Duration // how long a topic may be unknown before that is an error
	partitionBytes int32
	responseBytes  int32 // largest answer, bounds what an oversized batch may ask for
}

// Slots of a broker: its long poll, and the short one beside it (M6).
const (
	mainSlot = iota
	sideSlot
	fetchSlots
)

type fetchNode struct {
	id        int32
	slots     [fetchSlots]*fetchPoll
	answered  [fetchSlots]bool // the poll in the slot waits to be handed over
	notBefore time.Time        // throttled, or failing
	fails     int
	malformed int // answers that made no sense, in a row
	empties   int // answers that came too early and moved nothing, in a row
	parts     []*fetchPart
}

// running tells whether a poll other than the one in slot is at the broker.
func (n *fetchNode) running() bool {
	for i, q := range n.slots {
		if q != nil && !n.answered[i] {
			return true
		}
	}
	return false
}

type fetchPart struct {
	tp       record.TopicPartition
	gen      uint64
	position int64
	node     *fetchNode // nil: unknown
	epoch    int32
	max      int32
	served   uint64 // when it last had data: who waits longest goes first

	paused, polled, stopped bool

	looking, refresh bool      // a look-up runs; it must not come from the cache
	lookAt           time.Time // when to look the leader up; zero: no need
	notBefore        time.Time
	heldUntil        time.Time // waits to join the running poll
	fails            int
	unknownSince     time.Time
	doubt            fetchDoubt

	undelivered int // answers on their way to the receiver
	from        *fetchNode
	stop        error // told when undelivered is 0 (M5)
}

// fetchDoubt remembers who called the position out of range; the zero value: nobody.
type fetchDoubt struct {
	is          bool
	node, epoch int32
}

func newFetchMachine(cfg fetchLimits, rng *rand.Rand) *fetchMachine {
	return &fetchMachine{
		cfg: cfg, rng: rng,
		parts: map[record.TopicPartition]*fetchPart{},
		nodes: map[int32]*fetchNode{},
	}
}

// step takes an event and returns what it leads to. The actions are valid until the next call.
func (m *fetchMachine) step(now time.Time, ev fetchEvent) []fetchAction {
	clear(m.out)
	m.out = m.out[:0]
	switch ev := ev.(type) {
	case fetchAdd:
		m.add(now, ev)
	case fetchRemove:
		m.remove(ev.tp)
	case fetchPause:
		if p := m.parts[ev.tp]; p != nil {
			p.paused = true
		}
	case fetchResume:
		m.resume(now, ev.tp)
	case fetchLeader:
		m.leader(now, ev)
	case fetchAnswered:
		m.answered(now, ev)
	case fetchFailed:
		m.failed(now, ev)
	case fetchHanded:
		m.handed(now, ev.poll)
	case fetchDelivered:
		m.delivered(now, ev)
	case fetchCorrupt:
		if p := m.live(ev.tp, ev.gen); p != nil {
			p.stopped = true
		}
	case fetchTick:
		m.tick(now)
	}
	return m.out
}

// live returns the partition if that subscription still stands.
func (m *fetchMachine) live(tp record.TopicPartition, gen uint64) *fetchPart {
	if p := m.parts[tp]; p != nil && p.gen == gen && !p.stopped {
		return p
	}
	return nil
}

func (m *fetchMachine) add(now time.Time, ev fetchAdd) {
	m.remove(ev.tp)
	m.lastGen++
	p := &fetchPart{tp: ev.tp, gen: m.lastGen, position: ev.offset, epoch: -1, max: m.cfg.partitionBytes, lookAt: now}
	m.parts[ev.tp] = p
	m.look(now, p)
}

func (m *fetchMachine) remove(tp record.TopicPartition) {
	p := m.parts[tp]
	if p == nil {
		return
	}
	delete(m.parts, tp)
	m.place(p, nil)
	p.stopped = true
}

func (m *fetchMachine) resume(now time.Time, tp record.TopicPartition) {
	if p := m.parts[tp]; p != nil && p.paused {
		p.paused = false
		p.heldUntil = time.Time{}
		if p.node != nil {
			m.plan(now, p.node)
		}
	}
}

// place moves a partition to the list of a broker, or of none.
func (m *fetchMachine) place(p *fetchPart, n *fetchNode) {
	if p.node == n {
		return
	}
	if p.node != nil {
		p.node.parts = slices.DeleteFunc(p.node.parts, func(o *fetchPart) bool { return o == p })
	}
	p.node = n
	if n != nil {
		n.parts = append(n.parts, p)
	}
}

// lookLater arranges that the leader is looked up: at once after the first trouble, later while it lasts.
func (m *fetchMachine) lookLater(now time.Time, p *fetchPart) {
	p.refresh = true
	p.lookAt = now
	if p.fails > 1 && p.notBefore.After(now) {
		p.lookAt = p.notBefore
	}
	m.look(now, p)
}

func (m *fetchMachine) look(now time.Time, p *fetchPart) {
	switch {
	case p.looking || p.stopped || p.lookAt.IsZero():
	case now.Before(p.lookAt):
		m.wakeAt(p.lookAt)
	default:
		p.looking, p.lookAt = true, time.Time{}
		m.out = append(m.out, fetchLookup{tp: p.tp, gen: p.gen, refresh: p.refresh})
	}
}

func (m *fetchMachine) leader(now time.Time, ev fetchLeader) {
	p := m.live(ev.tp, ev.gen)
	if p == nil {
		return
	}
	p.looking = false
	switch {
	case ev.err != nil && ev.fatal:
		m.stop(p, fetchError(p, ev.err))
	case ev.err != nil:
		m.trouble(now, p)
		if ev.unknown {
			m.unknown(now, p)
		}
		m.lookLater(now, p)
	default:
		p.refresh = false
		if p.node == nil || p.node.id != ev.node || p.epoch != ev.epoch {
			p.notBefore = time.Time{} // news: worth a try at once
		}
		p.epoch = ev.epoch
		n := m.nodes[ev.node]
		if n == nil {
			n = &fetchNode{id: ev.node}
			m.nodes[ev.node] = n
		}
		m.place(p, n)
		m.plan(now, n)
	}
}

// trouble notes a failure of one partition: it waits longer each time.
func (m *fetchMachine) trouble(now time.Time, p *fetchPart) {
	p.fails++
	p.notBefore = now.Add(m.backoff(p.fails))
	m.wakeAt(p.notBefore)
}

// unknown notes that the topic is said not to exist. New topics are unknown for a moment, deleted ones for ever.
func (m *fetchMachine) unknown(now time.Time, p *fetchPart) {
	if p.unknownSince.IsZero() {
		p.unknownSince = now
	}
	if now.Sub(p.unknownSince) >= m.cfg.unknownAfter {
		m.stop(p, fetchError(p, brokerErr(fetchKey, -1, int16(codeUnknownTopic), nil, "")))
	}
}

// backoff returns the wait after that many failures in a row: doubled each time, with a quarter of jitter.
func (m *fetchMachine) backoff(fails int) time.Duration {
	d := m.cfg.backoff << min(max(fails, 1)-1, 16)
	d = min(d, m.cfg.backoffMax)
	return d - time.Duration(m.rng.Int64N(int64(d/4)+1))
}

// stop ends a partition with an error, which is told when what it has got before has been delivered (M5).
func (m *fetchMachine) stop(p *fetchPart, err error) {
	if p.stop == nil {
		p.stop = err
	}
	m.tellStop(p)
}

func (m *fetchMachine) tellStop(p *fetchPart) {
	if p.stop != nil && !p.stopped && p.undelivered == 0 {
		p.stopped = true
		m.place(p, nil)
		m.out = append(m.out, fetchStop{tp: p.tp, gen: p.gen, next: p.position, err: p.stop})
	}
}

func (m *fetchMachine) wakeAt(t time.Time) {
	if m.wake.IsZero() || t.Before(m.wake) {
		m.wake = t
	}
}

// tick does what has become due.
func (m *fetchMachine) tick(now time.Time) {
	m.wake = time.Time{}
	for _, p := range m.parts {
		m.look(now, p)
	}
	for _, n := range m.nodes {
		m.plan(now, n)
	}
}
