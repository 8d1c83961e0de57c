package kafka

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/internal/seeds"
)

// TestCoreFetch runs the fetch machine against a modelled cluster under a seeded scheduler: any event that may come
// next does so, in any order. Checked on every step are M1 to M6 and the promise of the receiver: every record from the
// position on, once, in order, whatever happened on the way.
func TestCoreFetch(t *testing.T) {
	t.Parallel()
	first, n := seeds.Of(t, 400)
	for seed := first; seed < first+uint64(n); seed++ {
		if err := newFetchWorld(seed).run(600); err != nil {
			t.Fatalf("OXBOW_SEED=%d: %v", seed, err)
		}
	}
}

// fetchWorld is a cluster, a receiver and a scheduler.
type fetchWorld struct {
	rng  *rand.Rand
	now  time.Time
	m    *fetchMachine
	logs map[record.TopicPartition]*fetchWorldLog

	lookups  []fetchLookup
	polls    []*fetchPoll                // at a broker
	answers  map[*fetchPoll]*fetchAnswer // answered, to be handed over
	decoding map[int32][]fetchWorldBody  // by broker, in order
	stops    []fetchStop
	trace    []string
	calm     bool           // no more trouble
	dead     map[int32]bool // brokers that will never answer again
}

type fetchWorldBody struct {
	poll   *fetchPoll
	answer *fetchAnswer
}

// fetchWorldLog is a partition's log, and what the receiver has seen of it. Offsets are all there is to a record.
type fetchWorldLog struct {
	tp            record.TopicPartition
	leader, epoch int32
	start, end    int64

	added, paused bool
	seen          int64 // the receiver's position
	readySince    time.Time
	err           error
}

func newFetchWorld(seed uint64) *fetchWorld {
	rng := rand.New(rand.NewPCG(seed, 7))
	w := &fetchWorld{
		rng: rng, now: time.Unix(1000, 0),
		logs:     map[record.TopicPartition]*fetchWorldLog{},
		answers:  map[*fetchPoll]*fetchAnswer{},
		decoding: map[int32][]fetchWorldBody{},
		dead:     map[int32]bool{},
	}
	w.m = newFetchMachine(fetchLimits{
		maxWait: 500 * time.Millisecond, sideWait: fetchSideWait, holdWait: fetchHoldWait,
		backoff: fetchBackoff, backoffMax: fetchBackoffMax, unknownAfter: fetchUnknownAfter,
		partitionBytes: 1 << 20, responseBytes: maxFetchAnswer,
	}, rng)
	for i := range 1 + rng.IntN(6) {
		tp := record.TopicPartition{Topic: string(rune('a' + i%2)), Partition: int32(i)}
		w.logs[tp] = &fetchWorldLog{tp: tp, leader: int32(rng.IntN(3)), epoch: 1, end: int64(rng.IntN(100))}
	}
	return w
}

func (w *fetchWorld) run(steps int) error {
	for range steps {
		if err := w.any(); err != nil {
			return fmt.Errorf("%w\n%s", err, w.story())
		}
	}
	// Liveness: with no more trouble, everything that is subscribed is read to its end.
	w.calm = true
	for _, l := range w.sorted() {
		if l.added && l.paused && l.err == nil {
			l.paused = false
			w.event(fetchResume{l.tp})
		}
	}
	for range 3000 {
		if err := w.any(); err != nil {
			return fmt.Errorf("%w\n%s", err, w.story())
		}
	}
	for _, l := range w.sorted() {
		if l.added && l.err == nil && l.seen != l.end {
			return fmt.Errorf("%s is stuck at %d of %d\n%s", l.tp, l.seen, l.end, w.story())
		}
	}
	return nil
}

func (w *fetchWorld) story() string {
	out := ""
	for _, s := range w.trace[max(0, len(w.trace)-60):] {
		out += s + "\n"
	}
	return out
}

func (w *fetchWorld) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%4dms ", w.now.Sub(time.Unix(1000, 0)).Milliseconds())+fmt.Sprintf(format, args...))
}

func (w *fetchWorld) sorted() []*fetchWorldLog {
	return slices.SortedFunc(maps.Values(w.logs), func(a, b *fetchWorldLog) int { return int(a.tp.Partition - b.tp.Partition) })
}

func (w *fetchWorld) pick() *fetchWorldLog { l := w.sorted(); return l[w.rng.IntN(len(l))] }

// event feeds the machine and takes its actions.
func (w *fetchWorld) event(ev fetchEvent) error {
	w.note("%T %+v", ev, ev)
	for _, a := range w.m.step(w.now, ev) {
		switch a := a.(type) {
		case fetchAsk:
			if err := w.ask(a.poll); err != nil {
				return err
			}
		case fetchLookup:
			w.lookups = append(w.lookups, a)
		case fetchStop:
			w.stops = append(w.stops, a)
		}
	}
	return w.checkReady()
}

// ask checks a poll that the machine wants (M1, M2, M4).
func (w *fetchWorld) ask(q *fetchPoll) error {
	w.note("  ask node %d slot %d wait %v: %v", q.node, q.slot, q.wait, q.parts)
	for _, p := range q.parts {
		l := w.logs[p.tp]
		switch {
		case !l.added || l.err != nil:
			return fmt.Errorf("%s is asked, but not subscribed", p.tp)
		case l.paused:
			return fmt.Errorf("%s is asked while paused", p.tp)
		}
		others := w.polls
		for o := range w.answers {
			others = append(slices.Clip(others), o)
		}
		for _, o := range others {
			for _, op := range o.parts {
				if op.tp == p.tp && op.gen == p.gen {
					return fmt.Errorf("%s is in two polls", p.tp)
				}
			}
			if o.node == q.node && o.slot == q.slot {
				return fmt.Errorf("broker %d has two polls in slot %d", q.node, q.slot)
			}
		}
		for node, list := range w.decoding {
			for _, b := range list {
				for i, op := range b.poll.parts {
					if op.tp == p.tp && op.gen == p.gen && node != q.node && !b.answer.parts[i].skipped {
						return fmt.Errorf("%s is asked of %d before %d's answer is delivered", p.tp, q.node, node)
					}
				}
			}
		}
	}
	w.polls = append(w.polls, q)
	return nil
}

// checkReady is M6: nobody waits for a long poll of others to end.
func (w *fetchWorld) checkReady() error {
	for _, l := range w.logs {
		p := w.m.parts[l.tp]
		waits := p != nil && !p.paused && !p.polled && !p.stopped && p.stop == nil && p.node != nil &&
			!p.looking && p.lookAt.IsZero() && !p.notBefore.After(w.now) && !p.node.notBefore.After(w.now) &&
			(p.undelivered == 0 || p.from == p.node) && p.node.slots[sideSlot] == nil
		if !waits {
			l.readySince = time.Time{}
			continue
		}
		if l.readySince.IsZero() {
			l.readySince = w.now
		}
		// Up to holdWait it may wait to be joined with others, if the machine asks to be woken in time.
		if w.now.Sub(l.readySince) > fetchHoldWait || w.m.wake.IsZero() {
			return fmt.Errorf("%s has been ready for %v, and nobody asks", l.tp, w.now.Sub(l.readySince))
		}
	}
	return nil
}

// any lets one thing happen.
func (w *fetchWorld) any() error {
	// Time passes to the next deadline at most, so that deadlines are met.
	if w.rng.IntN(4) == 0 {
		d := time.Duration(w.rng.IntN(30)) * time.Millisecond
		if wake := w.m.wake; !wake.IsZero() && wake.Before(w.now.Add(d)) {
			d = max(wake.Sub(w.now), 0)
		}
		w.now = w.now.Add(d)
	}
	if wake := w.m.wake; !wake.IsZero() && !wake.After(w.now) {
		return w.event(fetchTick{})
	}
	switch n := w.rng.IntN(20); {
	case n < 5 && len(w.polls) > 0:
		return w.answerOne()
	case n < 8 && len(w.answers) > 0:
		return w.handOne()
	case n < 11:
		return w.decodeOne()
	case n < 13 && len(w.lookups) > 0:
		return w.lookupOne()
	case n < 14 && len(w.stops) > 0:
		return w.stopOne()
	case w.calm:
		return nil
	default:
		return w.mischief()
	}
}

func (w *fetchWorld) mischief() error {
	l := w.pick()
	switch w.rng.IntN(8) {
	case 0, 1:
		l.end += int64(w.rng.IntN(50))
	case 2:
		w.elect(l)
		if w.rng.IntN(40) == 0 && len(w.dead) < 2 {
			w.dead[int32(w.rng.IntN(3))] = true
			for _, l := range w.sorted() {
				if w.dead[l.leader] {
					w.elect(l)
				}
			}
		}
	case 3:
		if w.rng.IntN(10) == 0 { // retention
			l.start = min(l.end, l.start+int64(w.rng.IntN(100)))
		}
	case 4:
		l.added, l.paused, l.err = true, false, nil
		l.seen = l.start + w.rng.Int64N(l.end-l.start+1)
		return w.event(fetchAdd{l.tp, l.seen})
	case 5:
		if w.rng.IntN(3) == 0 {
			l.added = false
			return w.event(fetchRemove{l.tp})
		}
	case 6:
		l.paused = l.added
		return w.event(fetchPause{l.tp})
	case 7:
		l.paused = false
		return w.event(fetchResume{l.tp})
	}
	return nil
}

// elect gives a partition a leader that lives.
func (w *fetchWorld) elect(l *fetchWorldLog) {
	for {
		if l.leader = int32(w.rng.IntN(3)); !w.dead[l.leader] {
			l.epoch++
			return
		}
	}
}

// answerOne lets a broker answer, or lose, a poll.
func (w *fetchWorld) answerOne() error {
	i := w.rng.IntN(len(w.polls))
	q := w.polls[i]
	w.polls = slices.Delete(w.polls, i, i+1)
	if w.dead[q.node] || !w.calm && w.rng.IntN(12) == 0 {
		return w.event(fetchFailed{q, fetchFailedNetwork, errors.New("lost")})
	}
	a := &fetchAnswer{}
	a.reset(q)
	if !w.calm && w.rng.IntN(20) == 0 {
		a.throttle = time.Duration(w.rng.IntN(50)) * time.Millisecond
	}
	for i := range q.parts {
		p, out, l := &q.parts[i], &a.parts[i], w.logs[q.parts[i].tp]
		out.present = true
		switch {
		case !w.calm && w.rng.IntN(15) == 0:
			out.code = []int16{3, 5, 6, 9, 56, 74, 75, 78, -1}[w.rng.IntN(9)]
		case p.epoch < l.epoch && w.rng.IntN(2) == 0:
			out.code = 1 // a leader that was: it does not have what the new one has
		case p.epoch < l.epoch:
			out.code = 74
		case l.leader != q.node:
			out.code = 6
		case p.offset < l.start || p.offset > l.end:
			out.code = 1
		case w.rng.IntN(3) > 0:
			out.next = min(l.end, p.offset+w.rng.Int64N(40))
		}
	}
	w.answers[q] = a
	return w.event(fetchAnswered{q, a})
}

func (w *fetchWorld) handOne() error {
	for _, q := range slices.SortedFunc(maps.Keys(w.answers), func(a, b *fetchPoll) int { return int(a.id) - int(b.id) }) {
		if w.rng.IntN(2) == 0 {
			continue
		}
		w.decoding[q.node] = append(w.decoding[q.node], fetchWorldBody{q, w.answers[q]})
		delete(w.answers, q)
		return w.event(fetchHanded{q})
	}
	return nil
}

// decodeOne delivers the oldest answer of a broker, as the decoder does.
func (w *fetchWorld) decodeOne() error {
	node := int32(w.rng.IntN(3))
	list := w.decoding[node]
	if len(list) == 0 {
		return nil
	}
	b := list[0]
	w.decoding[node] = list[1:]
	for i, p := range b.poll.parts {
		a, l := b.answer.parts[i], w.logs[p.tp]
		if a.skipped || w.m.live(p.tp, p.gen) == nil {
			continue
		}
		if !l.added || l.err != nil {
			return fmt.Errorf("%s is delivered after it ended", p.tp)
		}
		if p.offset != l.seen {
			return fmt.Errorf("%s: delivered from %d, the receiver is at %d", p.tp, p.offset, l.seen)
		}
		l.seen = a.next
		if !w.calm && w.rng.IntN(60) == 0 {
			l.err = errors.New("corrupt")
			if err := w.event(fetchCorrupt{p.tp, p.gen}); err != nil {
				return err
			}
		}
	}
	return w.event(fetchDelivered{b.poll, b.answer})
}

func (w *fetchWorld) lookupOne() error {
	i := w.rng.IntN(len(w.lookups))
	a := w.lookups[i]
	w.lookups = slices.Delete(w.lookups, i, i+1)
	l := w.logs[a.tp]
	ev := fetchLeader{tp: a.tp, gen: a.gen, node: l.leader, epoch: l.epoch}
	if !w.calm && w.rng.IntN(8) == 0 {
		ev = fetchLeader{tp: a.tp, gen: a.gen, err: errors.New("no metadata"), unknown: w.rng.IntN(2) == 0}
	}
	return w.event(ev)
}

// stopOne tells the receiver an error (M5), which must be right.
func (w *fetchWorld) stopOne() error {
	a := w.stops[0]
	w.stops = w.stops[1:]
	l := w.logs[a.tp]
	if p := w.m.parts[a.tp]; p == nil || p.gen != a.gen {
		return nil
	}
	if l.seen != a.next {
		return fmt.Errorf("%s: stopped at %d before it was delivered, the receiver is at %d", a.tp, a.next, l.seen)
	}
	var oor *OffsetOutOfRangeError
	if errors.As(a.err, &oor) {
		if l.seen >= l.start && l.seen <= l.end {
			return fmt.Errorf("%s: %d is not out of range of %d to %d", a.tp, l.seen, l.start, l.end)
		}
	} else if w.calm {
		return fmt.Errorf("%s: stopped without a reason: %w", a.tp, a.err)
	}
	l.err = a.err
	return nil
}
