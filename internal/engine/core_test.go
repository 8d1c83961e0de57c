package engine

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/internal/seeds"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/memstore"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// The core lane: workers and their tasks under a seeded scheduler, with a modelled broker, group and disk. Everything that
// happens is drawn from the seed, so a seed that fails fails again in the same way.
//
// The program of each task: in → echo (every record to "echo"), → count per key, with a changelog and an emission buffer, to
// "out", → an operator that makes earlier records due (core_due_test.go), → a check that fails for poison. A record is key "k<n>",
// value "<kind><partition>/<sequence>".

const (
	corePartitions = 3
	coreWorkers    = 2
	coreRecords    = 20 // per partition
)

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
	infos := []*node.Info{info(0, "src"), info(1, "echo"), info(2, "count"), info(3, "out"), info(4, "check"), info(5, "due"),
		info(6, "late")}
	dests := map[string]node.Dest{}
	for _, topic := range []string{"echo", "out", "late"} {
		if dests[topic], err = n.Out.Dest(topic); err != nil {
			return nil, err
		}
	}
	table := st.(*state.Table[string, int64])
	out := node.Sink(n, infos[3], "out", dests["out"], serde.String, serde.Int64, nil)
	failed := false // a row is tried again, but never set aside
	shaky := node.Proc[string, int64](func(r *node.Rec[string, int64]) error {
		if failed = !failed && flaky() && w.world.rng.IntN(8) == 0; failed {
			w.world.faults["row retried"]++
			return n.Fail(dlq.StageProcess, infos[3], dlq.Transient(errCore))
		}
		return out(r)
	})
	em := node.NewEmitter(n, infos[2], table, true, false, node.ToStream(shaky)).Describes(serde.String, serde.Int64)
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
	count := node.Aggregate(n, infos[2], step, em)
	late := node.Sink(n, infos[6], "late", dests["late"], serde.String, serde.String, nil)
	due := &coreDue{node: n, info: infos[5], clock: n.NewClock("due"), flaky: flaky, p: id.Partition,
		next: node.Join[string, string]([]any{late, count})}
	src := node.NewSource(n, infos[0], serde.String, serde.String,
		node.Join[string, string]([]any{echo, count, node.Proc[string, string](due.process), check}))
	return &Program{Node: n, Source: func(string) node.Source { return src }, Infos: infos, Drains: []node.Drain{em},
		Stores: []TaskStore{{Store: st, Space: space, Changelog: "app-count-changelog", Next: next}},
		Close:  func() error { return errors.Join(st.Close(), space.Close()) }}, nil
}

// coreWorld is the broker, the group and the clock.
type coreWorld struct {
	eos     bool
	of      map[record.TopicPartition][]coreEntry // exactly once: what the records of a log are part of
	seen    [corePartitions]coreSeen
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
	begun   [corePartitions]int // owners so far
	// What a lost task has written, in a batch on its way or in one that is still filled for the others of its worker, lands late:
	// it stands between what its successor writes.
	running [corePartitions]*Task
	late    map[record.TopicPartition][corePartitions]int // batches
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

	txn  *coreTxn // open; nil: none
	lost bool     // it cannot be committed any more
	ends []coreEnd
}

type coreFetch struct {
	at, generation int64
	held           bool
}

func newWorld(t *testing.T, seed uint64, eos bool) *coreWorld {
	w := &coreWorld{t: t, seed: seed, eos: eos, of: map[record.TopicPartition][]coreEntry{}, rng: rand.New(rand.NewPCG(seed, 1)), now: 1_000_000,
		logs: map[record.TopicPartition][]record.Raw{}, group: map[record.TopicPartition]Offset{},
		moving: map[int64]coreMove{}, refuse: map[string]bool{}, faults: map[string]int{},
		late: map[record.TopicPartition][corePartitions]int{}}
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
	topics := topicSet{"echo": {Partitions: 1}, "out": {Partitions: 1}, "late": {Partitions: 1}, "dlq": {Partitions: 1},
		"app-count-changelog": {Partitions: corePartitions}}
	m.worker = NewWorker(WorkerConfig{CommitInterval: 100, InboxBytes: 200, Linger: 5, DirtyBytes: 4 << 10, Transactional: w.eos,
		Out: OutConfig{BatchBytes: 120, UnitBytes: 1 << 20, Topic: topics.lookup,
			Builder:   func(record.TopicPartition) Builder { return &MemBuilder{} },
			Partition: func([]byte, int32) int32 { return 0 }}}, w.now)
	return m
}

// say notes a step. It is kept only for a seed that is run alone, as a failure's message says.
func (w *coreWorld) say(format string, args ...any) {
	if !seeds.Alone() {
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

// corePolicy waits no longer than the rest of the lane takes.
var corePolicy = dlq.NewPolicy(dlq.Retry(3, dlq.Exponential(20*time.Millisecond, 80*time.Millisecond)))

// give assigns a task: it is restored from its changelog and sought to the group's offsets.
func (w *coreWorld) give(p, to int) {
	m := w.members[to]
	id := record.TaskID{Partition: int32(p)}
	w.stable(p)
	prog, err := coreProgram(m, id, func() bool { return !w.calm && w.rng.IntN(2) > 0 })
	w.check(err)
	t, err := NewTask(TaskConfig{App: "app", ID: id, Program: prog, Out: m.worker.Out, DeadLetters: "dlq",
		Policy: corePolicy, Chance: w.rng.Float64, Transactional: w.eos, Salt: w.rng.Uint32()}, []record.TopicPartition{inPart(p)})
	w.check(err)
	at := w.group[inPart(p)]
	w.check(t.Seek(inPart(p), at.At, at.Metadata))
	w.owner[p], w.running[p] = to, t
	w.begun[p]++
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
	for _, r := range w.read(tp, o.Changelog) {
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
	for _, r := range w.read(tp, 0) {
		if r.Offset >= to {
			break
		}
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
	if w.eos {
		return
	}
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
	m.die()
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
	if w.eos {
		w.loseInTransaction(m, p)
		return
	}
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
	kind := "gggggggggggggggttpp!"[w.rng.IntN(20)]
	v := fmt.Sprintf("%c%d/%d", kind, p, n)
	if kind == 'g' && w.rng.IntN(25) == 0 {
		w.refuse[v] = true
	}
	if v := lateValue(int32(p), int64(n)); v[1] == 'g' && w.rng.IntN(25) == 0 {
		w.refuse[v] = true
	}
	w.logs[tp] = append(w.logs[tp], record.Raw{Key: fmt.Appendf(nil, "k%d.%d", p, w.rng.IntN(4)), Value: []byte(v),
		Time: w.now, Offset: int64(n)})
}

// workerSeeds have found something once, and are run each time.
var workerSeeds = []uint64{
	// What a task had written stands in a batch that is still being filled when the task is lost. It is sent after its successor's.
	124161951232458, 67272618316449,
	// A record is counted, and its row sent, before a crash; when it is done again its retries are over and it is set aside.
	12672076022036,
}

func TestCoreWorker(t *testing.T) {
	runCore(t, false, workerSeeds, "move", "crash", "disk lost", "lost", "refused", "late batch", "commit refused", "request", "row retried")
}

func runCore(t *testing.T, eos bool, again []uint64, kinds ...string) {
	first, n := seeds.Of(t, 2000)
	faults := map[string]int{}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // a world is thrown away after a millisecond
	for i := -len(again); i < n; i++ {
		var seed uint64
		if seed = first + uint64(i); i < 0 {
			seed = again[-1-i]
		}
		w := newWorld(t, seed, eos)
		for range 240 {
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
	for _, kind := range kinds {
		if n >= 100 && faults[kind] == 0 {
			t.Errorf("%s never happened: the lane shows nothing about it", kind)
		}
	}
}
