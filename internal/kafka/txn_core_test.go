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
)

// TestCoreTxn runs transactors against modelled brokers under a seeded scheduler: requests are lost, answered twice, or
// arrive long after they were given up; markers are late; coordinators and leaders move; transactions time out;
// producers die, and live on when they should be dead. Whatever happens: each input is in exactly one committed transaction, whose
// records and offsets are visible together; what is said about a transaction is true.
func TestCoreTxn(t *testing.T) {
	first, n := seeds.Of(t, 2000)
	kinds := map[string]int{}
	for seed := first; seed < first+uint64(n); seed++ {
		w := newTxnWorld(seed)
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
	for _, k := range []string{"lost", "late", "late arrival", "answer lost", "again", "moved", "tail lost", "timeout", "crash", "zombie",
		"committed", "aborted", "unknown", "fenced", "timed out", "refused", "marker", "renewed", "new id", "code 22", "code 47", "code 48",
		"code 90", "code 51", "code 44", "code 16", "code 15", "shadow"} {
		if kinds[k] == 0 {
			t.Errorf("%q never happened", k)
		}
	}
}

// txnWorld is brokers, a network, producers and a scheduler.
type txnWorld struct {
	rng      *rand.Rand
	now      time.Time
	b        *modelTxns
	insts    []*txnInst
	started  int
	late     []*txnFlight
	attempts []*txnAttempt
	id       int64
	calm     bool
	kinds    map[string]int
	trace    []string
	err      error
}

// txnInst is an application with one transactional producer: it reads inputs from the committed offset on, and sends
// records for each.
type txnInst struct {
	name       string
	m          *transactor
	flights    []*txnFlight
	lookups    []lookup
	generation int32
	placed     bool
	pos        int64
	open       *txnAttempt
	ending     *txnAttempt
	rewind     bool // the open attempt is to be aborted, for the one before it was
	poison     map[int64]bool
}

// txnAttempt is a transaction of an application.
type txnAttempt struct {
	name     string
	from, to int64
	ids      []int64
	sent     int
	acked    int
	failed   bool
	commit   bool
	ended    bool
	outcome  TxnOutcome
}

// txnFlight is a request on its way: a call or a produce request.
type txnFlight struct {
	call    *txnCall
	request *produceRequest
	tps     []record.TopicPartition
	batches []modelBatch
	attempt string // whose offsets
	at      int64

	arrived bool
	results []produceResult
	answer  txnAnswer
	again   bool
}

const txnStart = 1000

func newTxnWorld(seed uint64) *txnWorld {
	rng := rand.New(rand.NewPCG(seed, 17))
	w := &txnWorld{rng: rng, now: time.Unix(txnStart, 0), kinds: map[string]int{}}
	highest := int16(32000)
	if rng.IntN(3) == 0 {
		highest = int16(1 + rng.IntN(6))
	}
	w.b = newModelTxns(rng.IntN(2) == 0, highest, time.Duration(2+rng.IntN(20))*time.Second)
	for i := range 1 + rng.IntN(3) {
		tp := record.TopicPartition{Topic: string(rune('a' + i%2)), Partition: int32(i)}
		w.b.logs = append(w.b.logs, &txnLog{tp: tp, leader: int32(rng.IntN(3))})
	}
	w.start()
	return w
}

// start brings up an application, as a new member of the group.
func (w *txnWorld) start() {
	w.b.group.generation++
	s := newSequencer(sequencerConfig{
		window: 1 + w.rng.IntN(3), maxInFlight: 1 + w.rng.IntN(3), requestBytes: 200 + w.rng.IntN(2000), mergeWait: time.Millisecond,
		delivery: time.Duration(1+w.rng.IntN(30)) * time.Second, backoff: 10 * time.Millisecond, maxBackoff: time.Second,
		rand: w.rng.Float64, transactional: true,
	})
	in := &txnInst{name: fmt.Sprint(string(rune('A'+w.started%26)), w.started/26), generation: w.b.group.generation, poison: map[int64]bool{},
		m: newTransactor(transactorConfig{id: "tx", timeout: w.b.timeout, alone: map[string]bool{"b": true}}, s)}
	w.started++
	w.insts = append(w.insts, in)
	w.step(in)
}

func (w *txnWorld) note(kind, format string, args ...any) {
	w.kinds[kind]++
	w.trace = append(w.trace, fmt.Sprintf("%v %s ", w.now.Sub(time.Unix(txnStart, 0)), kind)+fmt.Sprintf(format, args...))
}

func (w *txnWorld) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

func (w *txnWorld) guarded(steps int) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return w.run(steps)
}

func (w *txnWorld) run(steps int) error {
	for range steps {
		if w.move(); w.err != nil {
			return w.err
		}
	}
	w.calm = true
	for n := 0; !w.rest(); n++ {
		if n > 30000 {
			for _, in := range w.insts {
				w.note("at the end", "%s: %v, %d flights, ending %v, open %v, rewind %v", in.name, in.m, len(in.flights), in.ending, in.open, in.rewind)
			}
			return errors.New("it does not come to rest though nothing goes wrong any more")
		}
		if w.move(); w.err != nil {
			return w.err
		}
	}
	for _, f := range w.late {
		w.arrive(f)
	}
	for w.b.expire(w.now.Add(time.Hour)) || w.b.writeMarker(w.rng.IntN) {
	}
	w.check()
	return w.err
}

// rest tells whether everything has ended. The last application ends what it has.
func (w *txnWorld) rest() bool {
	if len(w.insts) == 0 {
		return w.b.state != modelPrepared
	}
	for _, in := range w.insts {
		if in.open != nil && in.open.sent+int(in.open.to-in.open.from) > 0 || in.ending != nil || len(in.flights) > 0 || !in.m.seq.known && in.m.seq.stopped == nil ||
			in.m.stage != txnOpen || in.rewind {
			return false
		}
	}
	return w.b.state != modelPrepared
}

// move lets one thing happen.
func (w *txnWorld) move() {
	if len(w.insts) == 0 {
		w.start()
		return
	}
	in := w.insts[w.rng.IntN(len(w.insts))]
	switch n := w.rng.IntN(24); {
	case n < 4:
		w.work(in)
	case n < 14 && len(in.flights) > 0:
		w.network(in)
	case n == 14 && len(w.late) > 0 && !w.calm:
		i := w.rng.IntN(len(w.late))
		w.note("late arrival", "%v", w.late[i])
		w.arrive(w.late[i])
		w.late = slices.Delete(w.late, i, i+1)
	case n == 15 && !w.calm:
		w.trouble(in)
	case n < 19:
		if w.b.writeMarker(w.rng.IntN) {
			w.note("marker", "commit=%v, left %v %v", w.b.commit, w.b.parts, w.b.grouped)
		}
	case n < 21 && len(in.lookups) > 0:
		l := in.lookups[0]
		in.lookups = in.lookups[1:]
		ev := leaderEvent{tp: l.tp, node: w.b.log(l.tp).leader}
		if !w.calm && w.rng.IntN(10) == 0 {
			ev.node = int32(w.rng.IntN(3))
		}
		w.step(in, ev)
	default:
		w.now = w.now.Add(time.Duration(w.rng.IntN(30)) * time.Millisecond)
		if at := in.m.Wake(); at.After(w.now) && (w.calm || w.rng.IntN(3) == 0) {
			w.now = at
		}
		if w.b.expire(w.now) {
			w.note("timeout", "")
		}
		w.step(in)
	}
}

// work does what an application does next.
func (w *txnWorld) work(in *txnInst) {
	if in.m.seq.stopped != nil {
		if in.open != nil && in.ending == nil {
			w.endTxn(in, true)
		}
		if in.open == nil && in.ending == nil && len(in.flights) == 0 {
			w.insts = slices.DeleteFunc(w.insts, func(o *txnInst) bool { return o == in })
		}
		return
	}
	g := &w.b.group
	if !in.placed {
		if len(g.pending) == 0 { // stable
			in.placed, in.pos = true, 0
			if n := len(g.committed); n > 0 {
				in.pos = g.committed[n-1].at
			}
			w.note("placed", "%s at %d", in.name, in.pos)
		}
		return
	}
	if in.open == nil {
		in.open = &txnAttempt{name: fmt.Sprintf("%s%d", in.name, len(w.attempts)), from: in.pos, to: in.pos}
		w.attempts = append(w.attempts, in.open)
	}
	a := in.open
	switch {
	case in.rewind && in.ending == nil:
		w.endTxn(in, false)
		in.rewind = false
	case w.rng.IntN(3) == 0 && in.ending == nil && (!w.calm || a.sent > 0 || a.to > a.from):
		w.endTxn(in, w.rng.IntN(10) > 0)
	case a.to-a.from < 6 && !w.calm && !in.rewind:
		w.sendInput(in, a)
	}
}

// sendInput sends the records that an input makes.
func (w *txnWorld) sendInput(in *txnInst, a *txnAttempt) {
	input := a.to
	a.to++
	if w.rng.IntN(12) == 0 {
		return // it makes none
	}
	l := w.b.logs[input%int64(len(w.b.logs))]
	var b Builder
	m := &txnSend{attempt: a, poison: !in.poison[input] && w.rng.IntN(40) == 0, input: input}
	for k := range 1 + input%3 {
		w.id++
		m.ids = append(m.ids, input<<32|k<<24|w.id%(1<<24))
		value := binary.BigEndian.AppendUint64(nil, uint64(m.ids[k]))
		if m.poison {
			value = append(value, "poison"...)
		}
		if _, err := b.Append(w.id, nil, value, record.Headers{}); err != nil {
			w.fail("%v", err)
		}
	}
	o, err := b.Seal(None)
	if err != nil {
		w.fail("%v", err)
		return
	}
	o.Tag = m
	a.sent++
	a.ids = append(a.ids, m.ids...)
	w.note("send", "%s: input %d to %s, poison=%v", a.name, input, l.tp, m.poison)
	w.step(in, sendEvent{l.tp, o})
}

// txnSend is a batch of an attempt.
type txnSend struct {
	attempt *txnAttempt
	ids     []int64
	input   int64
	poison  bool
}

func (w *txnWorld) endTxn(in *txnInst, commit bool) {
	a := in.open
	in.open, in.ending = nil, a
	a.commit = commit
	in.pos = a.to
	ev := endEvent{commit: commit, who: GroupIdentity{Group: "g", MemberID: in.name, Generation: in.generation}}
	if a.to > a.from {
		ev.offsets = map[record.TopicPartition]Offset{{Topic: "in"}: {At: a.to, Metadata: a.name}}
	}
	w.note("end", "%s: %d to %d, commit=%v", a.name, a.from, a.to, commit)
	w.step(in, ev)
}

// trouble changes the cluster.
func (w *txnWorld) trouble(in *txnInst) {
	switch n := w.rng.IntN(12); {
	case n < 4:
		l := w.b.logs[w.rng.IntN(len(w.b.logs))]
		l.leader = int32(w.rng.IntN(3))
		w.note("moved", "%s to %d", l.tp, l.leader)
		if w.rng.IntN(2) == 0 && l.fail() {
			w.note("tail lost", "%s", l.tp)
		}
	case n < 6:
		w.now = w.now.Add(w.b.timeout * time.Duration(w.rng.IntN(3)) / 2)
	case n == 6:
		w.note("crash", "%s", in.name)
		for _, f := range in.flights {
			if !f.arrived {
				w.late = append(w.late, f)
			}
		}
		w.insts = slices.DeleteFunc(w.insts, func(o *txnInst) bool { return o == in })
		w.start()
	case n == 7 && len(w.insts) < 3:
		w.note("zombie", "%s", in.name)
		w.start()
	case n == 8:
		w.note("stop", "%s", in.name)
		w.step(in, stopEvent{errors.New("stop")})
		for _, f := range slices.Clone(in.flights) { // the context ends them
			in.flights = slices.DeleteFunc(in.flights, func(o *txnFlight) bool { return o == f })
			if !f.arrived {
				w.late = append(w.late, &txnFlight{call: f.call, tps: f.tps, batches: f.batches, request: f.request, attempt: f.attempt, at: f.at})
			}
			w.gone(in, f, errors.New("context ended"), true)
		}
		w.work(in)
	}
}
