package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/internal/seeds"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestCoreProducer runs the sequencer against modelled brokers under a seeded scheduler: requests overtake each other,
// are lost, arrive long after the producer has given them up; answers are lost; leaders move and lose their tails.
// Whatever happens: one ack for each batch, in order; no record twice, none out of order, none missing that was
// acknowledged, none there that was said not to be.
func TestCoreProducer(t *testing.T) {
	first, n := seeds.Of(t, 800)
	kinds := map[string]int{}
	for seed := first; seed < first+uint64(n); seed++ {
		w := newProduceWorld(seed)
		err := w.guarded(400)
		for k, n := range w.kinds {
			kinds[k] += n
		}
		if err != nil {
			for _, line := range w.trace[max(len(w.trace)-traceTail(), 0):] {
				t.Log(line)
			}
			t.Fatalf("OXBOW_SEED=%d: %v", seed, err)
		}
	}
	t.Logf("%d seeds: %v", n, kinds)
	if n < 500 {
		return
	}
	for _, k := range []string{"lost", "late", "late arrival", "answer lost", "refused connection", "again", "moved", "tail lost",
		"forgotten", "ack", "refused", "denied", "timeout", "behind", "unknown", "split", "code 45", "code 47", "code 59", "epoch"} {
		if kinds[k] == 0 {
			t.Errorf("%q never happened", k)
		}
	}
}

// produceWorld is brokers, a network, a producer and a scheduler.
type produceWorld struct {
	rng   *rand.Rand
	now   time.Time
	s     *sequencer
	logs  []*modelLog
	sent  map[record.TopicPartition][]*modelSend
	acked map[record.TopicPartition]int

	flights []*flight // at the network, wanted
	late    []*flight // at the network, given up by the producer
	lookups []lookup
	asked   bool
	id      int64 // of the last record
	calm    bool
	kinds   map[string]int
	trace   []string
	err     error
}

// flight is a request as it left, and its answer when the broker has given one.
type flight struct {
	request *produceRequest
	tps     []record.TopicPartition
	batches []modelBatch
	results []produceResult // nil: not arrived
	again   bool            // it was sent twice by the pool
}

const modelMaxRecords = 6 // in a batch, more are too large

func newProduceWorld(seed uint64) *produceWorld {
	rng := rand.New(rand.NewPCG(seed, 11))
	w := &produceWorld{rng: rng, now: time.Unix(1000, 0), kinds: map[string]int{},
		sent: map[record.TopicPartition][]*modelSend{}, acked: map[record.TopicPartition]int{}}
	for i := range 1 + rng.IntN(4) {
		tp := record.TopicPartition{Topic: string(rune('a' + i%2)), Partition: int32(i)}
		w.logs = append(w.logs, &modelLog{tp: tp, leader: int32(rng.IntN(3)), strict: rng.IntN(2) == 0})
	}
	w.s = newSequencer(sequencerConfig{
		window: 1 + rng.IntN(5), maxInFlight: 1 + rng.IntN(5), requestBytes: 200 + rng.IntN(2000),
		mergeBytes: rng.IntN(500), mergeWait: time.Millisecond, delivery: time.Duration(1+rng.IntN(20)) * time.Second,
		backoff: 10 * time.Millisecond, maxBackoff: time.Second, rand: rng.Float64,
	})
	return w
}

func (w *produceWorld) log(tp record.TopicPartition) *modelLog {
	return w.logs[slices.IndexFunc(w.logs, func(l *modelLog) bool { return l.tp == tp })]
}

func (w *produceWorld) note(kind, format string, args ...any) {
	w.kinds[kind]++
	w.trace = append(w.trace, fmt.Sprintf("%v %s ", w.now.Sub(time.Unix(1000, 0)), kind)+fmt.Sprintf(format, args...))
}

// guarded makes a panic an error, so that its seed is shown.
func (w *produceWorld) guarded(steps int) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return w.run(steps)
}

func (w *produceWorld) run(steps int) error {
	for range steps {
		w.move()
		if w.err != nil {
			return w.err
		}
	}
	w.calm = true
	for n := 0; !w.s.idle(); n++ {
		if n > 20000 {
			return errors.New("batches are never acknowledged though nothing goes wrong any more")
		}
		w.move()
		if w.err != nil {
			return w.err
		}
	}
	for len(w.late) > 0 {
		w.arrive(w.late[0])
		w.late = w.late[1:]
	}
	for _, l := range w.logs {
		if err := l.check(w.sent[l.tp]); err != nil {
			return err
		}
	}
	return w.err
}

// move lets one thing happen.
func (w *produceWorld) move() {
	switch n := w.rng.IntN(20); {
	case n < 3 && !w.calm:
		w.sendSome()
	case n < 13 && len(w.flights) > 0:
		w.network()
	case n == 13 && len(w.late) > 0:
		i := w.rng.IntN(len(w.late))
		w.note("late arrival", "%v", w.late[i].tps)
		w.arrive(w.late[i])
		w.late = slices.Delete(w.late, i, i+1)
	case n == 14 && !w.calm:
		w.trouble()
	case n == 15 && w.asked:
		w.asked = false
		w.step(identityEvent{id: identity{id: w.rng.Int64N(1 << 40)}})
	case n < 18 && len(w.lookups) > 0:
		w.lookup()
	default:
		w.now = w.now.Add(time.Duration(w.rng.IntN(50)) * time.Millisecond)
		if at := w.s.Wake(); w.rng.IntN(3) == 0 && at.After(w.now) && (w.calm || at.Sub(w.now) < 2*time.Second || w.rng.IntN(5) == 0) {
			w.now = at
		}
		w.step()
	}
}

func (w *produceWorld) sendSome() {
	var events []any
	for range 1 + w.rng.IntN(3) {
		l := w.logs[w.rng.IntN(len(w.logs))]
		m := &modelSend{poison: w.rng.IntN(40) == 0}
		n := 1 + w.rng.IntN(4)
		if w.rng.IntN(20) == 0 {
			n, m.split = 7+w.rng.IntN(20), true
		}
		var b Builder
		for range n {
			w.id++
			m.ids = append(m.ids, w.id)
			value := binary.BigEndian.AppendUint64(nil, uint64(w.id))
			if m.poison {
				value = append(value, "poison"...)
			}
			if _, err := b.Append(w.id, nil, value, record.Headers{}); err != nil {
				w.err = err
				return
			}
		}
		o, err := b.Seal(None)
		if err != nil {
			w.err = err
			return
		}
		o.Tag = m
		w.sent[l.tp] = append(w.sent[l.tp], m)
		w.note("send", "%s %v poison=%v", l.tp, m.ids, m.poison)
		events = append(events, sendEvent{l.tp, o})
	}
	if w.rng.IntN(5) == 0 {
		events = append(events, flushEvent{})
	}
	w.step(events...)
}

// network lets something happen to one of the requests under way.
func (w *produceWorld) network() {
	i := w.rng.IntN(len(w.flights))
	f := w.flights[i]
	gone := func(kind string, err error, unknown bool) {
		w.note(kind, "%v", f.tps)
		w.flights = slices.Delete(w.flights, i, i+1)
		w.step(answerEvent{request: f.request, err: err, unknown: unknown})
	}
	lost := &ConnError{API: int16(kmsg.Produce), Sent: true, Err: errors.New("lost")}
	n := w.rng.IntN(40)
	if w.calm {
		n = 40
	}
	switch {
	case n == 0 && f.results == nil:
		gone("lost", lost, true)
	case n == 1 && f.results == nil:
		w.late = append(w.late, &flight{tps: f.tps, batches: f.batches, request: f.request})
		gone("late", lost, true)
	case n == 2 && f.results == nil && !f.again:
		gone("refused connection", &ConnError{API: int16(kmsg.Produce), Err: errors.New("refused")}, false)
	case n == 3 && f.results != nil:
		gone("answer lost", lost, true)
	case n == 4 && f.results != nil && !f.again:
		w.note("again", "%v", f.tps)
		f.results, f.again = nil, true
	case f.results == nil:
		w.arrive(f)
	default:
		w.flights = slices.Delete(w.flights, i, i+1)
		w.step(answerEvent{request: f.request, results: f.results, unknown: f.again})
	}
}

// arrive lets a broker handle a request.
func (w *produceWorld) arrive(f *flight) {
	f.results = make([]produceResult, len(f.batches))
	for i, b := range f.batches {
		r := &f.results[i]
		r.answered, r.base = true, -1
		l := w.log(f.tps[i])
		r.code = w.verdict(l, f.request.node, b, r)
		if r.code != 0 {
			w.note(fmt.Sprintf("code %d", r.code), "%s %v sequence %d epoch %d", l.tp, b.ids, b.sequence, b.epoch)
		}
	}
}

func (w *produceWorld) verdict(l *modelLog, node int32, b modelBatch, r *produceResult) int16 {
	if l.leader != node {
		return codeNotLeader
	}
	fault := 100
	if !w.calm {
		fault = w.rng.IntN(100)
	}
	if fault < 4 {
		return []int16{codeNotEnoughReplicas, codeUnknownTopicOrPartition, codeCorruptMessage, codeLeaderNotAvailable}[fault]
	}
	if fault == 4 && w.rng.IntN(4) == 0 {
		w.kinds["denied"]++
		return 29
	}
	if b.count > modelMaxRecords {
		return codeMessageTooLarge
	}
	if b.ids == nil { // poison
		r.refused = []RefusedRecord{{Index: 0}}
		return codeInvalidRecord
	}
	if fault == 5 {
		return codeUnknownServerError
	}
	code, base := l.append(b)
	if code == 0 && fault >= 6 && fault < 10 {
		return []int16{codeNotEnoughReplicasAfterWrite, codeRequestTimedOut, codeUnknownServerError, codeKafkaStorageError}[fault-6]
	}
	if r.base = base; code == 0 {
		l.committed, l.lastAppend = len(l.batches), w.now
	}
	return code
}

// trouble changes the cluster.
func (w *produceWorld) trouble() {
	l := w.logs[w.rng.IntN(len(w.logs))]
	switch w.rng.IntN(3) {
	case 0:
		l.leader = int32(w.rng.IntN(3))
		w.note("moved", "%s to %d", l.tp, l.leader)
	case 1:
		l.leader = (l.leader + 1) % 3
		if l.committed < len(l.batches) {
			w.note("tail lost", "%s", l.tp)
			l.fail()
		}
	case 2:
		// States expire long after DeliveryTimeout: never while an attempt may still arrive or be repeated.
		for _, f := range slices.Concat(w.flights, w.late) {
			if slices.Contains(f.tps, l.tp) {
				return
			}
		}
		if p := w.s.parts[l.tp]; (p == nil || p.open == 0) && w.now.Sub(l.lastAppend) > w.s.cfg.delivery {
			w.note("forgotten", "%s", l.tp)
			l.forgotten, l.committed = len(l.batches), len(l.batches) // and long since replicated
		}
	}
}

func (w *produceWorld) lookup() {
	l := w.lookups[0]
	w.lookups = w.lookups[1:]
	ev := leaderEvent{tp: l.tp, node: w.log(l.tp).leader}
	if !w.calm {
		switch w.rng.IntN(10) {
		case 0:
			ev.err = &ConnError{API: int16(kmsg.Metadata), Err: errors.New("refused")}
		case 1:
			ev.node = int32(w.rng.IntN(3)) // of a broker that lags behind
		}
	}
	w.step(ev)
}

// step gives events to the sequencer and takes up what it wants done.
func (w *produceWorld) step(events ...any) {
	epoch := w.s.id.epoch
	acts := w.s.Step(w.now, events...)
	w.kinds["epoch"] += int(w.s.id.epoch - epoch)
	w.lookups = append(w.lookups, acts.lookups...)
	w.asked = w.asked || acts.identify
	for _, r := range acts.requests {
		w.launch(r)
	}
	for _, a := range acts.acks {
		w.ack(a)
	}
}

func (w *produceWorld) launch(r *produceRequest) {
	f := &flight{request: r}
	onNode := 1
	for _, o := range w.flights {
		if o.request.node == r.node {
			onNode++
		}
	}
	if onNode > w.s.cfg.maxInFlight {
		w.err = fmt.Errorf("%d requests on their way to broker %d", onNode, r.node)
	}
	for _, e := range r.entries {
		if slices.Contains(f.tps, e.part.tp) {
			w.err = fmt.Errorf("%s twice in a request", e.part.tp)
		}
		b, err := readModelBatch(e.batch)
		if err != nil {
			w.err = err
		}
		if len(e.batch.records) > 0 && slices.ContainsFunc(w.sent[e.part.tp], func(m *modelSend) bool { return m.poison && slices.Contains(m.ids, b.ids[0]) }) {
			b.ids = nil
		}
		f.tps, f.batches = append(f.tps, e.part.tp), append(f.batches, b)
		if e.whole != nil {
			w.kinds["split"]++
		}
	}
	w.note("request", "to %d: %v", r.node, f.tps)
	w.flights = append(w.flights, f)
}

func (w *produceWorld) ack(a Ack) {
	m := a.Batch.Tag.(*modelSend)
	want := w.sent[a.TP][w.acked[a.TP]]
	w.acked[a.TP]++
	if m != want {
		w.err = fmt.Errorf("%s: ack of %v before that of %v", a.TP, m.ids, want.ids)
	}
	m.acks++
	m.err = a.Err
	var refused *RefusedError
	var failed *ProduceError
	kind := "ack"
	switch {
	case errors.As(a.Err, &failed):
		m.unknown = failed.Unknown
		switch {
		case errors.Is(a.Err, errBehind):
			kind = "behind"
		case errors.Is(a.Err, errDelivery):
			kind = "timeout"
		default:
			kind = "failed"
			if failed.Code == codeOutOfOrderSequence {
				w.err = fmt.Errorf("%s: %v failed though no broker has lost what it acknowledged: %v", a.TP, m.ids, a.Err)
			}
		}
		if m.unknown {
			w.kinds["unknown"]++
		}
	case errors.As(a.Err, &refused):
		kind = "refused"
		if !m.poison {
			w.err = fmt.Errorf("%s: %v refused: %v", a.TP, m.ids, a.Err)
		}
	}
	w.note(kind, "%s %v %v", a.TP, m.ids, a.Err)
	a.Batch.Release()
}
