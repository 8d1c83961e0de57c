package engine

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/memstore"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// The core lane: workers and their tasks under a seeded scheduler, with a modelled broker, group and disk. Everything that
// happens is drawn from the seed, so a seed that fails fails again in the same way.
//
// The program of each task: in → echo (every record to "echo"), → count per key, with a changelog and an emission buffer, to
// "out", → a check that fails for poison. A record is key "k<n>", value "<kind><sequence of its partition>".

const (
	corePartitions = 3
	coreWorkers    = 2
	coreRecords    = 40 // per partition
)

var errCore = errors.New("poison")

var countSpec = func() state.Spec {
	s := state.TableSpec("count", serde.String, serde.Int64)
	s.Buffered = true
	return s
}()

// coreProgram wires the program over a space of the engine.
func coreProgram(w *coreMember, id record.TaskID, flaky func() bool) (*Program, error) {
	n := &node.Task{ID: id, Out: w.worker.Out.Sender(), WallTime: w.world.now}
	space, err := w.engine.Space(id)
	if err != nil {
		return nil, err
	}
	es, err := space.Store(countSpec.Name, countSpec.Kind)
	if err != nil {
		return nil, err
	}
	st, err := countSpec.Open(&state.Env{Task: id, Units: &n.Units, Engine: es})
	if err != nil {
		return nil, err
	}
	next, err := w.world.restore(space, es, id)
	if err != nil {
		return nil, err
	}
	info := func(i int, name string) *node.Info { return &node.Info{ID: i, Name: name, Stats: &node.Stats{}} }
	infos := []*node.Info{info(0, "src"), info(1, "echo"), info(2, "count"), info(3, "out"), info(4, "check")}
	dests := map[string]node.Dest{}
	for _, topic := range []string{"echo", "out"} {
		if dests[topic], err = n.Out.Dest(topic); err != nil {
			return nil, err
		}
	}
	table := st.(*state.Table[string, int64])
	out := node.Sink(n, infos[3], "out", dests["out"], serde.String, serde.Int64, nil)
	em := node.NewEmitter(n, infos[2], table, true, false, node.ToStream(out)).Describes(serde.String, serde.Int64)
	step := func(k, v string, old record.Opt[int64]) (record.Opt[int64], error) {
		return record.Some(old.Or(0) + 1), nil
	}
	echo := node.Sink(n, infos[1], "echo", dests["echo"], serde.String, serde.String, nil)
	check := node.Proc[string, string](func(r *node.Rec[string, string]) error {
		switch r.Value[0] {
		case 'p':
			return n.Fail(dlq.StageProcess, infos[4], errCore)
		case '!':
			panic("poison")
		case 't':
			if flaky() {
				return n.Fail(dlq.StageProcess, infos[4], dlq.Transient(errCore))
			}
		}
		return nil
	})
	src := node.NewSource(n, infos[0], serde.String, serde.String,
		node.Join[string, string]([]any{echo, node.Aggregate(n, infos[2], step, table, em), check}))
	return &Program{Node: n, Source: func(string) node.Source { return src }, Infos: infos, Drains: []node.Drain{em},
		Stores: []TaskStore{{Store: st, Space: space, Changelog: "app-count-changelog", Next: next}},
		Close:  func() error { return errors.Join(st.Close(), space.Close()) }}, nil
}

// coreWorld is the broker, the group and the clock.
type coreWorld struct {
	t       *testing.T
	rng     *rand.Rand
	seed    uint64
	now     int64
	logs    map[record.TopicPartition][]record.Raw
	group   map[record.TopicPartition]Offset
	members []*coreMember
	owner   []int // of each task; −1: none
	moving  map[int64]coreMove
	numbers int64
	refuse  map[string]bool // values that the broker refuses, until they have been set aside

	replays [corePartitions][]replay
	losses  [corePartitions]int
	calm    bool
	log     []string
	faults  map[string]int
}

type coreMove struct {
	task, to int
	at       int64 // position of the task
}

// replay says that records [from, to) of a partition may have been processed before they are processed again.
type replay struct{ from, to int64 }

// coreMember is an instance of the application.
type coreMember struct {
	world   *coreWorld
	id      int
	worker  *Worker
	engine  *memstore.Engine
	dead    bool
	sends   map[record.TopicPartition][]Send // on their way, in order
	fetches map[record.TopicPartition]*coreFetch
	commits []CommitOffsets
	mail    []Delivered // fetched, not delivered yet
}

type coreFetch struct {
	at, generation int64
	held           bool
}

func newWorld(t *testing.T, seed uint64) *coreWorld {
	w := &coreWorld{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), now: 1_000_000,
		logs: map[record.TopicPartition][]record.Raw{}, group: map[record.TopicPartition]Offset{},
		moving: map[int64]coreMove{}, refuse: map[string]bool{}, faults: map[string]int{}}
	w.owner = make([]int, corePartitions)
	for i := range coreWorkers {
		w.members = append(w.members, w.start(i, memstore.New()))
	}
	for p := range w.owner {
		w.owner[p] = -1
		w.give(p, w.rng.IntN(coreWorkers))
	}
	return w
}

func (w *coreWorld) start(id int, e *memstore.Engine) *coreMember {
	m := &coreMember{world: w, id: id, engine: e, sends: map[record.TopicPartition][]Send{},
		fetches: map[record.TopicPartition]*coreFetch{}}
	topics := topicSet{"echo": {Partitions: 1}, "out": {Partitions: 1}, "dlq": {Partitions: 1},
		"app-count-changelog": {Partitions: corePartitions}}
	m.worker = NewWorker(WorkerConfig{CommitInterval: 100, InboxBytes: 200, Linger: 5, DirtyBytes: 4 << 10,
		Out: OutConfig{BatchBytes: 120, UnitBytes: 1 << 20, Topic: topics.lookup,
			Builder:   func(record.TopicPartition) Builder { return &MemBuilder{} },
			Partition: func([]byte, int32) int32 { return 0 }}}, w.now)
	return m
}

// say notes a step. It is kept only for a seed that is run alone, as a failure's message says.
func (w *coreWorld) say(format string, args ...any) {
	if os.Getenv("OXBOW_SEED") == "" {
		return
	}
	w.log = append(w.log, fmt.Sprintf("%d ", w.now)+fmt.Sprintf(format, args...))
}

func (w *coreWorld) fatal(format string, args ...any) {
	w.t.Helper()
	if len(w.log) == 0 {
		w.log = []string{fmt.Sprintf("OXBOW_SEED=%d shows them", w.seed)}
	}
	w.t.Fatalf("seed %d: %s\nsteps:\n%s", w.seed, fmt.Sprintf(format, args...), strings.Join(w.log, "\n"))
}

func (w *coreWorld) check(err error) {
	if err != nil {
		w.t.Helper()
		w.fatal("%v", err)
	}
}

func inPart(p int) record.TopicPartition {
	return record.TopicPartition{Topic: "in", Partition: int32(p)}
}
func logPart(p int) record.TopicPartition {
	return record.TopicPartition{Topic: "app-count-changelog", Partition: int32(p)}
}

// give assigns a task: it is restored from its changelog and sought to the group's offsets.
func (w *coreWorld) give(p, to int) {
	m := w.members[to]
	id := record.TaskID{Partition: int32(p)}
	prog, err := coreProgram(m, id, func() bool { return !w.calm && w.rng.IntN(3) > 0 })
	w.check(err)
	t, err := NewTask(TaskConfig{App: "app", ID: id, Program: prog, Out: m.worker.Out, DeadLetters: "dlq",
		Chance: w.rng.Float64}, []record.TopicPartition{inPart(p)})
	w.check(err)
	at := w.group[inPart(p)]
	w.check(t.Seek(inPart(p), at.At, at.Metadata))
	w.owner[p] = to
	w.say("task %d to member %d at %d", p, to, at.At)
	m.step(AddTask{t})
	m.step(Restored{ID: id})
}

// restore brings a space up to the end of its changelog. What it held must be a fold of the changelog (P4).
func (w *coreWorld) restore(space state.Space, es state.EngineStore, id record.TaskID) (int64, error) {
	tp := logPart(int(id.Partition))
	o, _, err := space.Offset(es.Name())
	if err != nil {
		return 0, err
	}
	w.sameAsFold(es, tp, o.Changelog, "when it is opened")
	b := space.Batch()
	for _, r := range w.logs[tp][o.Changelog:] {
		k, v, err := countSpec.FromChangelog(nil, r)
		if err != nil {
			return 0, err
		}
		if v == nil {
			err = b.Delete(es, k)
		} else {
			err = b.Set(es, k, v)
		}
		if err != nil {
			return 0, err
		}
	}
	o.Changelog = int64(len(w.logs[tp]))
	if err := errors.Join(b.SetOffset(es.Name(), o), b.Commit()); err != nil {
		return 0, err
	}
	return o.Changelog, nil
}

func (w *coreWorld) sameAsFold(es state.EngineStore, tp record.TopicPartition, to int64, when string) {
	w.t.Helper()
	if to > int64(len(w.logs[tp])) {
		w.fatal("%s: state is stored for offset %d, the changelog ends at %d", tp, to, len(w.logs[tp]))
	}
	fold := map[string][]byte{}
	for _, r := range w.logs[tp][:to] {
		k, v, err := countSpec.FromChangelog(nil, r)
		w.check(err)
		fold[string(k)] = slices.Clone(v)
		if v == nil {
			delete(fold, string(k))
		}
	}
	it, err := es.Iter(nil, nil, false)
	w.check(err)
	defer it.Close()
	n := 0
	for it.Next() {
		n++
		if want, ok := fold[string(it.Key())]; !ok || !bytes.Equal(want, it.Value()) {
			w.fatal("%s: state %s: key %s is %x, the changelog up to %d says %x", tp, when, it.Key(), it.Value(), to, want)
		}
	}
	if n != len(fold) {
		w.fatal("%s: state %s has %d keys, the changelog up to %d has %d", tp, when, n, to, len(fold))
	}
}

func (m *coreMember) step(ev Event) {
	m.worker.Step(m.world.now, ev)
	m.obey()
}

// obey carries out what the worker asks for.
func (m *coreMember) obey() {
	w := m.world
	for acts := m.worker.Actions(); len(acts) > 0; acts = m.worker.Actions() {
		for _, a := range acts {
			switch a := a.(type) {
			case Send:
				m.sends[a.TP] = append(m.sends[a.TP], a)
			case Fetch:
				w.say("member %d fetches %s from %d", m.id, a.TP, a.From)
				m.fetches[a.TP] = &coreFetch{at: a.From, generation: a.Generation}
			case Unfetch:
				delete(m.fetches, a.TP)
			case Hold:
				m.fetches[a.TP].held = true
			case Unhold:
				m.fetches[a.TP].held = false
			case CommitOffsets:
				w.say("member %d commits %v", m.id, a.Offsets)
				m.commits = append(m.commits, a)
			case Released:
				move, ok := w.moving[a.Number]
				if !ok {
					continue
				}
				delete(w.moving, a.Number)
				if a.Err != nil { // the group did not take the last commit
					w.replays[move.task] = append(w.replays[move.task], replay{w.group[inPart(move.task)].At, move.at})
				}
				w.say("member %d released task %d", m.id, move.task)
				w.give(move.task, move.to)
			case Failed:
				w.fatal("member %d failed: %v", m.id, a.Err)
			}
		}
	}
}

// act does one thing, drawn from the seed.
func (w *coreWorld) act() {
	m := w.members[w.rng.IntN(len(w.members))]
	switch n := w.rng.IntN(100); {
	case n < 30:
		m.worker.Work(w.now, 1+w.rng.IntN(8))
		m.obey()
	case n < 50:
		m.fetch()
	case n < 75:
		m.send()
	case n < 82:
		m.commit()
	case n < 95:
		w.now += int64(w.rng.IntN(60))
	case w.calm:
	case n < 97:
		w.move()
	case n < 98:
		m.crash()
	case n < 99:
		w.lose()
	default:
		w.faults["request"]++
		w.numbers++
		m.step(Request{w.numbers})
	}
}

// deliver brings what was fetched to the worker.
func (m *coreMember) deliver() {
	for len(m.mail) > 0 {
		ev := m.mail[0]
		m.mail = m.mail[1:]
		m.step(ev)
	}
}

func (m *coreMember) fetch() {
	w := m.world
	for _, p := range w.rng.Perm(corePartitions) {
		tp := inPart(p)
		f := m.fetches[tp]
		if f == nil || f.held {
			continue
		}
		log := w.logs[tp]
		n := min(int64(1+w.rng.IntN(6)), int64(len(log))-f.at)
		var batches []Batch
		if n > 0 {
			batches = []Batch{NewRecords(log[f.at:f.at+n], f.at+n)}
			f.at += n
		}
		// A delivery may be on its way while the task is taken back or away.
		m.mail = append(m.mail, Delivered{TP: tp, Generation: f.generation, Batches: batches, Next: f.at, End: int64(len(log))})
		if w.rng.IntN(4) > 0 {
			m.deliver()
		}
		return
	}
}

// send lets the broker append the oldest batch on its way to some partition.
func (m *coreMember) send() {
	tps := sortedKeys(m.sends)
	if len(tps) == 0 {
		return
	}
	m.land(tps[m.world.rng.IntN(len(tps))])
}

func sortedKeys[V any](m map[record.TopicPartition]V) []record.TopicPartition {
	var tps []record.TopicPartition
	for tp := range m {
		tps = append(tps, tp)
	}
	slices.SortFunc(tps, func(a, b record.TopicPartition) int { return strings.Compare(a.String(), b.String()) })
	return tps
}

func (m *coreMember) land(tp record.TopicPartition) {
	w := m.world
	q := m.sends[tp]
	s := q[0]
	if m.sends[tp] = q[1:]; len(q) == 1 {
		delete(m.sends, tp)
	}
	base := int64(len(w.logs[tp]))
	list := s.Batch.(MemBatch)
	w.say("member %d: %s gets %s", m.id, tp, values(list))
	if tp.Topic == "echo" {
		var refused []Refusal
		for i, r := range list {
			if w.refuse[string(r.Value)] {
				refused = append(refused, Refusal{i, errCore})
			}
		}
		if refused != nil {
			w.faults["refused"]++
			// Every task with a record in the batch goes back to its last commit.
			for p, o := range w.owner {
				if o == m.id && slices.ContainsFunc(list, func(r record.Raw) bool { return int(r.Value[1]-'0') == p }) {
					m.replayable(p)
				}
			}
			w.say("member %d: %s refused %s", m.id, tp, list[refused[0].Index].Value)
			m.ack(Acked{Sent: s.Sent, Err: errCore, Refused: refused})
			return
		}
	}
	for i, r := range list {
		r.Offset = base + int64(i)
		w.logs[tp] = append(w.logs[tp], r)
	}
	m.ack(Acked{Sent: s.Sent, Base: base})
}

func values(list MemBatch) (vs []string) {
	for _, r := range list {
		vs = append(vs, string(r.Value))
	}
	return vs
}

func (m *coreMember) ack(a Acked) {
	if !m.dead {
		m.step(a)
	}
}

func (m *coreMember) commit() {
	if len(m.commits) == 0 {
		return
	}
	w := m.world
	c := m.commits[0]
	m.commits = m.commits[1:]
	if !w.calm && w.rng.IntN(10) == 0 {
		w.faults["commit refused"]++
		m.step(OffsetsDone{errors.New("rebalance in progress")})
		return
	}
	for tp, o := range c.Offsets {
		if o.At < w.group[tp].At {
			w.fatal("%s: offset %d is committed after %d", tp, o.At, w.group[tp].At)
		}
		w.group[tp] = o
	}
	m.step(OffsetsDone{})
}

// move hands a task over in an orderly way.
func (w *coreWorld) move() {
	p := w.rng.IntN(corePartitions)
	from := w.owner[p]
	for _, mv := range w.moving {
		if mv.task == p {
			return
		}
	}
	to := w.rng.IntN(len(w.members))
	w.faults["move"]++
	w.numbers++
	w.moving[w.numbers] = coreMove{task: p, to: to, at: w.position(p)}
	w.say("task %d moves from member %d to %d", p, from, to)
	w.members[from].step(Release{w.numbers, []record.TaskID{{Partition: int32(p)}}})
}

// position is how far the owner of a task has come.
func (w *coreWorld) position(p int) int64 {
	for _, t := range w.members[w.owner[p]].worker.Tasks() {
		if t.ID.Partition == int32(p) {
			return t.Position(inPart(p))
		}
	}
	for _, mv := range w.moving {
		if mv.task == p {
			return mv.at // closed, the answer to its release is still to come
		}
	}
	w.fatal("member %d does not have task %d", w.owner[p], p)
	return 0
}

// replayable notes that what a task of m did since its last commit may be done again.
func (m *coreMember) replayable(p int) {
	w := m.world
	w.replays[p] = append(w.replays[p], replay{w.group[inPart(p)].At, w.position(p)})
}

// crash ends a member: some of what it sent still arrives, its disk stays or is lost. Another one takes its place.
func (m *coreMember) crash() {
	w := m.world
	w.faults["crash"]++
	m.dead = true
	var tasks []int
	for p, o := range w.owner {
		if o == m.id {
			tasks = append(tasks, p)
			m.replayable(p)
		}
	}
	w.arriveSome(m)
	e := m.engine
	if w.rng.IntN(3) == 0 {
		w.faults["disk lost"]++
		e = memstore.New()
	}
	w.say("member %d crashes with tasks %v", m.id, tasks)
	w.members[m.id] = w.start(m.id, e)
	for _, p := range tasks {
		for n, mv := range w.moving {
			if mv.task == p {
				delete(w.moving, n)
			}
		}
		w.give(p, w.rng.IntN(len(w.members)))
	}
}

// arriveSome lets a part of what a member has sent arrive, in order per partition, and drops the rest.
func (w *coreWorld) arriveSome(m *coreMember) {
	for _, tp := range sortedKeys(m.sends) {
		for range w.rng.IntN(len(m.sends[tp]) + 1) {
			m.land(tp)
		}
	}
	m.sends = map[record.TopicPartition][]Send{}
	m.commits = nil
}

// lose takes a task from a member that was out for too long.
func (w *coreWorld) lose() {
	p := w.rng.IntN(corePartitions)
	m := w.members[w.owner[p]]
	for _, mv := range w.moving {
		if mv.task == p {
			return
		}
	}
	w.faults["lost"]++
	w.say("member %d loses task %d", m.id, p)
	m.replayable(p)
	w.losses[p]++
	// The others of the member go on, with their batches and commits; those of the task must not be seen by its successor.
	for len(m.sends) > 0 {
		m.land(sortedKeys(m.sends)[0])
	}
	for len(m.commits) > 0 {
		m.commit()
	}
	m.step(Lose{[]record.TaskID{{Partition: int32(p)}}})
	w.give(p, w.rng.IntN(len(w.members)))
}

// produce writes the inputs.
func (w *coreWorld) produce(p int) {
	tp := inPart(p)
	n := len(w.logs[tp])
	if n >= coreRecords {
		return
	}
	kind := "gggggggtp!"[w.rng.IntN(10)]
	v := fmt.Sprintf("%c%d/%d", kind, p, n)
	if kind == 'g' && w.rng.IntN(25) == 0 {
		w.refuse[v] = true
	}
	w.logs[tp] = append(w.logs[tp], record.Raw{Key: fmt.Appendf(nil, "k%d.%d", p, w.rng.IntN(4)), Value: []byte(v),
		Time: w.now, Offset: int64(n)})
}

// settle runs without faults until everything has been processed and committed.
func (w *coreWorld) settle() {
	w.calm = true
	for range 20_000 {
		done := len(w.moving) == 0
		for p := range corePartitions {
			done = done && w.group[inPart(p)].At == coreRecords
		}
		for _, m := range w.members {
			done = done && len(m.sends) == 0 && len(m.commits) == 0
		}
		if done {
			return
		}
		w.act()
	}
	w.fatal("it does not come to rest: offsets %v", w.group)
}

// verify holds the end against the promises.
func (w *coreWorld) verify() {
	values := map[string][]int{} // positions in echo by value
	for i, r := range w.logs[record.TopicPartition{Topic: "echo"}] {
		values[string(r.Value)] = append(values[string(r.Value)], i)
	}
	letters := map[string]int{}
	for _, r := range w.logs[record.TopicPartition{Topic: "dlq"}] {
		letters[string(r.Value)]++
	}
	for p := range corePartitions {
		counts := map[string]int{}
		exact := len(w.replays[p]) == 0
		for _, r := range w.logs[inPart(p)] {
			v := string(r.Value)
			poison := v[0] == 'p' || v[0] == '!'
			echoed, set := len(values[v]), letters[v]
			if !poison {
				counts[string(r.Key)]++
			}
			switch {
			case poison && echoed > 0:
				w.fatal("P5: %s failed, but its first branch sent it %d times", v, echoed)
			case echoed+set == 0:
				w.fatal("P2: %s is nowhere", v)
			case (poison || w.refuse[v]) != (set > 0) && v[0] != 't':
				w.fatal("%s: %d dead letters", v, set)
			case echoed+set > 1 && !w.explained(p, r.Offset):
				w.fatal("P2: %s was processed %d times without a reason: %v", v, echoed+set, w.replays[p])
			}
			if set > 0 && !poison {
				exact = false
			}
		}
		w.order(p)
		w.counts(p, counts, exact)
	}
	for _, m := range w.members {
		for _, t := range m.worker.Tasks() {
			if c := t.Counts; c.Consumed != c.Completed+c.DeadLettered+c.Skipped {
				w.fatal("E7: task %s: %+v", t.ID, c)
			}
		}
	}
}

func (w *coreWorld) explained(p int, offset int64) bool {
	return slices.ContainsFunc(w.replays[p], func(r replay) bool { return r.from <= offset && offset < r.to })
}

// order checks P3: what was echoed of a partition goes up, and each step back begins again where a task did.
func (w *coreWorld) order(p int) {
	last, back := -1, 0
	for _, r := range w.logs[record.TopicPartition{Topic: "echo"}] {
		at, seq, _ := strings.Cut(string(r.Value[1:]), "/")
		if at != strconv.Itoa(p) {
			continue
		}
		n, _ := strconv.Atoi(seq)
		if n <= last {
			back++
			if !slices.ContainsFunc(w.replays[p], func(r replay) bool { return r.from <= int64(n) }) {
				w.fatal("P3: %s came after %d", r.Value, last)
			}
		}
		last = n
	}
	if back > len(w.replays[p])+w.losses[p] { // what a task had sent before it was lost may come between its successor's
		w.fatal("P3: partition %d went back %d times, tasks began anew %d times", p, back, len(w.replays[p]))
	}
}

// counts checks the table against its changelog, its output and, without replays, against the truth.
func (w *coreWorld) counts(p int, want map[string]int, exact bool) {
	m := w.members[w.owner[p]]
	space, err := m.engine.Space(record.TaskID{Partition: int32(p)})
	w.check(err)
	defer space.Close()
	es, err := space.Store(countSpec.Name, countSpec.Kind)
	w.check(err)
	o, _, err := space.Offset(es.Name())
	w.check(err)
	if o.Changelog != int64(len(w.logs[logPart(p)])) {
		w.fatal("P4: state of task %d is stored for offset %d, its changelog ends at %d", p, o.Changelog, len(w.logs[logPart(p)]))
	}
	w.sameAsFold(es, logPart(p), o.Changelog, "at the end")
	refused := slices.ContainsFunc(w.logs[inPart(p)], func(r record.Raw) bool { return w.refuse[string(r.Value)] })
	last := map[string]int64{} // what downstream saw
	for _, r := range w.logs[record.TopicPartition{Topic: "out"}] {
		last[string(r.Key)], err = serde.Int64.Decode(r.Value)
		w.check(err)
	}
	for k, n := range want {
		v, ok, err := es.Get(nil, []byte(k))
		w.check(err)
		got := int64(0)
		if ok {
			got, err = serde.Int64.Decode(v[8:])
			w.check(err)
		}
		// Beside a loss and a refusal, which leave behind what had been sent by then.
		if sent, ok := last[k]; w.losses[p] == 0 && !refused && (!ok || sent != got) {
			w.fatal("count of %s is %d, but downstream saw %d", k, got, sent)
		}
		if exact && got != int64(n) || !exact && got < int64(n)-int64(len(w.refuse)) {
			w.fatal("count of %s in partition %d is %d, want %d (exactly: %t)", k, p, got, n, exact)
		}
	}
}

func coreSeeds(t testing.TB, small int) (first uint64, n int) {
	first, n = rand.Uint64()>>16, small
	if s := os.Getenv("OXBOW_SEEDS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	if s := os.Getenv("OXBOW_SEED"); s != "" {
		first, _ = strconv.ParseUint(s, 10, 64)
		n = 1
	}
	t.Logf("seeds %d to %d", first, first+uint64(n)-1)
	return first, n
}

func TestCoreWorker(t *testing.T) {
	first, n := coreSeeds(t, 300)
	faults := map[string]int{}
	for seed := first; seed < first+uint64(n); seed++ {
		w := newWorld(t, seed)
		for i := 0; i < 400; i++ {
			w.produce(w.rng.IntN(corePartitions))
			w.act()
		}
		for p := range corePartitions {
			for len(w.logs[inPart(p)]) < coreRecords {
				w.produce(p)
			}
		}
		w.settle()
		w.verify()
		for k, v := range w.faults {
			faults[k] += v
		}
	}
	t.Logf("faults: %v", faults)
	for _, kind := range []string{"move", "crash", "disk lost", "lost", "refused", "commit refused", "request"} {
		if n >= 100 && faults[kind] == 0 {
			t.Errorf("%s never happened: the lane shows nothing about it", kind)
		}
	}
}
