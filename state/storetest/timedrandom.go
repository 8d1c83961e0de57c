package storetest

import (
	"bytes"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// Stores runs the suite of the stores whose rows have times (windows, sessions, values of joins) over an engine: random
// operations give what a plain map gives, with units undone, commits, resets, restores and expiry. Each call of place gives a
// new, empty place; budget may be nil.
func Stores(t *testing.T, place func() Place, budget func() *state.Budget) {
	for _, kind := range timedKinds() {
		t.Run(kind.name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				m := &timedMachine{T: rt, kind: kind, now: newTimedWorld(), disk: newTimedWorld(), log: map[timedKey]timedRow{}}
				if budget != nil {
					m.budget = budget()
				}
				m.engine = openEngine(rt, place)
				m.open(m.engine)
				m.run()
			})
		})
	}
}

func openEngine(t *rapid.T, place func() Place) state.Engine {
	e, err := place().Open()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// timedMachine runs a store and its model side by side.
type timedMachine struct {
	*rapid.T
	kind   timedKind
	budget *state.Budget
	engine state.Engine
	space  state.Space
	es     state.EngineStore
	units  record.Units
	time   int64
	store  timedStore
	batch  state.Batch // of the last freeze, if it is not applied

	now    timedWorld
	saved  []timedWorld // at the start of the unit, and of each nested one
	points []record.Savepoint
	iters  []*timedIter
	frozen timedWorld
	disk   timedWorld
	recs   []record.Raw          // the changelog
	log    map[timedKey]timedRow // its fold
	logged [2]timedLog           // what the changelog was at the last freeze, and at the last one applied
	held   int64                 // rows below may have been dropped, visible or not
}

type timedLog struct {
	recs int
	fold map[timedKey]timedRow
}

type timedIter struct {
	next  timedCursor
	want  []timedKey
	rows  map[timedKey]timedRow
	level int // of the unit that opened it
}

func (m *timedMachine) must(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

func (m *timedMachine) pick(what string, from, to int) int {
	return rapid.IntRange(from, to).Draw(m.T, what)
}

// open opens the store over what the engine holds.
func (m *timedMachine) open(e state.Engine) {
	var err error
	m.space, err = e.Space(task0)
	m.must(err)
	m.es, err = m.space.Store("s", m.kind.spec.Kind)
	m.must(err)
	s, err := m.kind.spec.Open(&state.Env{Task: task0, Units: &m.units, Engine: m.es, Budget: m.budget, Time: &m.time})
	m.must(err)
	m.store = m.kind.wrap(s)
}

// Append is part of [state.Changelog].
func (m *timedMachine) Append(time int64, key, value []byte, h record.Headers) error {
	m.recs = append(m.recs, record.Raw{Time: time, Key: bytes.Clone(key), Value: bytes.Clone(value), Headers: h, Offset: int64(len(m.recs))})
	if value == nil {
		delete(m.log, logPlace(m.kind.spec.Kind, key))
		return nil
	}
	if len(value) == 0 {
		m.recs[len(m.recs)-1].Value = []byte{}
	}
	r := timedRow{string(value), time}
	if !m.kind.spec.Timestamped {
		r.ts = 0
	}
	m.log[logPlace(m.kind.spec.Kind, key)] = r
	return nil
}

var timedKeys = []string{"", "a", "a\x00", "ab", strings.Repeat("k", 11), strings.Repeat("k", 12), strings.Repeat("long", 9), "\xff"}

// place draws a place near the stream time, so that some are new, some old, and some expired.
func (m *timedMachine) place() timedKey {
	k := timedKey{key: rapid.SampledFrom(timedKeys).Draw(m.T, "key")}
	k.time = max(m.now.clock+int64(m.pick("time", -20, 6))*timedSize, 0) / timedSize * timedSize
	if m.pick("jump", 0, 40) == 0 {
		k.time += 3 * timedRetention
	}
	switch m.kind.spec.Kind {
	case state.KindSession:
		k.second = max(k.time-int64(m.pick("start", 0, 3))*timedSize, 0)
	default:
		if !m.kind.spec.Timestamped {
			for _, r := range m.now.find(timedQuery{key: k.key, from: k.time, to: k.time, late: math.MaxInt64}) {
				k.second = r.second + 1
			}
		}
	}
	return k
}

func (m *timedMachine) update() {
	k, ts, note := m.place(), int64(m.pick("ts", 0, 99)), m.pick("note", 0, 1) == 0
	was, had := m.now.rows[k]
	remove := m.kind.spec.Timestamped && m.pick("remove", 0, 3) == 0
	if some := m.now.find(timedQuery{all: true, to: math.MaxInt64}); remove && len(some) > 0 {
		k = rapid.SampledFrom(some).Draw(m.T, "removed")
		was, had = m.now.rows[k]
	}
	if n, noted := m.now.notes[k]; noted && !had && !n.old.IsSome() {
		note = true // a row that came and went between drains may leave nothing, its note included
	}
	visible := m.now.visible(k.time)
	v := rapid.SampledFrom([]string{"", "x", "yy", strings.Repeat("v", 40)}).Draw(m.T, "value")
	if remove {
		m.must(m.store.remove(k, ts, note))
	} else {
		m.must(m.store.put(k, v, ts, note))
	}
	if !visible {
		return
	}
	m.now.clock = max(m.now.clock, k.time)
	if remove {
		delete(m.now.rows, k)
	} else if m.now.rows[k] = (timedRow{v, ts}); !m.kind.spec.Timestamped {
		m.now.rows[k] = timedRow{v, 0}
	}
	if note && m.kind.spec.Timestamped {
		n, noted := m.now.notes[k]
		if !noted {
			n.old = record.OptOf(was.val, had)
		}
		m.now.order++
		n.ts, n.order = ts, m.now.order
		m.now.notes[k] = n
	}
}

func (m *timedMachine) get() {
	k := m.place()
	if some := m.now.find(timedQuery{all: true, to: math.MaxInt64, byTime: true}); len(some) > 0 && m.pick("there", 0, 1) == 0 {
		k = rapid.SampledFrom(some).Draw(m.T, "row")
	}
	v, ts, ok, err := m.store.get(k)
	m.must(err)
	want, has := m.now.rows[k]
	if has = has && m.now.visible(k.time); ok != has || ok && (timedRow{v, ts}) != want {
		m.Fatalf("get %v: %q at %d, there=%v; want %v, there=%v", k, v, ts, ok, want, has)
	}
}

// openIter opens an iteration over what there is now.
func (m *timedMachine) openIter() {
	p, q := m.place(), m.place()
	query := timedQuery{key: p.key, from: min(p.time, q.time), to: max(p.time, q.time), late: math.MaxInt64}
	session := m.kind.spec.Kind == state.KindSession
	switch what := m.pick("query", 0, 5); {
	case !m.kind.spec.Timestamped:
	case what == 0:
		query.all = true
	case what == 1:
		query.all, query.byTime, query.from = true, true, max(query.from, m.held, m.now.hold)
	default:
		query.reverse = what == 2
		if session {
			query.to, query.late = math.MaxInt64, max(p.time, q.time)-timedSize
		}
	}
	if m.pick("open", 0, 9) == 0 && !query.byTime {
		query.from, query.to = 0, math.MaxInt64
	}
	c, err := m.store.query(query)
	m.must(err)
	m.iters = append(m.iters, &timedIter{next: c, want: m.now.find(query), rows: maps.Clone(m.now.rows), level: len(m.points)})
}

func (m *timedMachine) stepIter(it *timedIter, steps int) {
	for range steps {
		k, r, ok, err := it.next()
		m.must(err)
		if !ok && len(it.want) == 0 {
			return
		}
		if !ok || len(it.want) == 0 || k != it.want[0] || r != it.rows[k] {
			m.Fatalf("iterator gives %v=%v (%v), want %v", k, r, ok, it.want)
		}
		it.want = it.want[1:]
	}
}

func (m *timedMachine) nested() {
	n := len(m.points)
	switch what := m.pick("nested", 0, 2); {
	case what == 0:
		m.points = append(m.points, m.units.Begin())
		m.saved = append(m.saved, m.now.clone())
	case n == 0:
	case what == 1:
		m.units.End(m.points[n-1])
		m.points, m.saved = m.points[:n-1], m.saved[:n]
		for _, it := range m.iters {
			it.level = min(it.level, n-1)
		}
	default:
		m.units.RollbackTo(m.points[n-1])
		m.now = m.saved[n]
		m.points, m.saved = m.points[:n-1], m.saved[:n]
		m.iters = slices.DeleteFunc(m.iters, func(it *timedIter) bool { return it.level >= n })
	}
}

// unit runs one outermost unit.
func (m *timedMachine) unit() {
	m.saved = append(m.saved[:0], m.now.clone())
	for range m.pick("ops", 1, 12) {
		switch op := m.pick("op", 0, 9); {
		case op == 0:
			m.get()
		case op == 1:
			m.nested()
		case op == 2:
			m.openIter()
		case op == 3 && len(m.iters) > 0:
			m.stepIter(m.iters[m.pick("iter", 0, len(m.iters)-1)], m.pick("steps", 1, 4))
		case op == 4 && m.pick("hold", 0, 3) == 0:
			m.now.hold = max(m.now.hold, m.now.clock-int64(m.pick("behind", 0, 30))*timedSize)
			m.store.hold(m.now.hold)
		default:
			m.update()
		}
	}
	for _, it := range m.iters {
		m.stepIter(it, len(it.want)+1)
	}
	for n := len(m.points); n > 0; n-- {
		m.units.End(m.points[n-1])
	}
	m.points, m.iters = m.points[:0], nil
	if m.pick("fails", 0, 2) == 0 {
		m.units.Rollback()
		m.now = m.saved[0]
	} else {
		m.units.Commit()
	}
}

func (m *timedMachine) drain() {
	var want []string
	for _, k := range slices.SortedFunc(maps.Keys(m.now.notes), func(a, b timedKey) int {
		return int(m.now.notes[a].order - m.now.notes[b].order)
	}) {
		n := m.now.notes[k]
		if r, ok := m.now.rows[k]; ok || n.old.IsSome() {
			want = append(want, showNote(k, record.OptOf(r.val, ok), n.old, n.ts))
		}
	}
	got, err := m.store.drain()
	m.must(err)
	if !slices.Equal(got, want) {
		m.Fatalf("drain gives %q, want %q", got, want)
	}
	m.now.notes, m.now.order = map[timedKey]timedNote{}, 0
}

// freeze drains and freezes, as a commit does, and compares the fold of the changelog.
func (m *timedMachine) freeze() {
	if m.batch != nil {
		m.apply()
	}
	m.drain()
	m.batch = m.space.Batch()
	m.must(m.store.Freeze(m.batch, m))
	if n := m.store.DirtyBytes(); n != 0 {
		m.Fatalf("%d dirty bytes after a freeze", n)
	}
	m.frozen = m.now.clone()
	m.held = max(m.held, m.now.hold)
	m.logged[0] = timedLog{len(m.recs), maps.Clone(m.log)}
	for k, r := range m.now.rows {
		if got, ok := m.log[k]; m.now.visible(k.time) && (!ok || got != r) {
			m.Fatalf("changelog has %v (%v) for %v, want %v", got, ok, k, r)
		}
	}
	for k := range m.log {
		if _, ok := m.now.rows[k]; m.now.visible(k.time) && !ok {
			m.Fatalf("changelog still has %v", k)
		}
	}
}

func (m *timedMachine) apply() {
	if m.batch == nil {
		return
	}
	m.must(m.batch.Commit())
	m.batch = nil
	m.store.Applied()
	m.disk, m.logged[1] = m.frozen, m.logged[0]
}

// reset forgets what is not in the engine, and opens the store anew or not.
func (m *timedMachine) reset() {
	if m.batch != nil {
		m.batch.Discard()
		m.batch = nil
	}
	if m.pick("anew", 0, 1) == 0 {
		m.must(m.store.Close())
		m.open(m.engine)
	} else {
		m.store.Reset()
	}
	m.now = m.disk.clone()
	m.now.hold, m.now.notes = -1, map[timedKey]timedNote{}
	m.recs = m.recs[:m.logged[1].recs]
	if m.log = maps.Clone(m.logged[1].fold); m.log == nil {
		m.log = map[timedKey]timedRow{}
	}
}

// whole compares all rows.
func (m *timedMachine) whole() {
	for _, key := range timedKeys {
		q := timedQuery{key: key, to: math.MaxInt64, late: math.MaxInt64}
		c, err := m.store.query(q)
		m.must(err)
		it := &timedIter{next: c, want: m.now.find(q), rows: m.now.rows}
		m.stepIter(it, len(it.want)+1)
	}
	m.units.Commit()
}

func (m *timedMachine) run() {
	for range m.pick("steps", 1, 25) {
		switch m.pick("step", 0, 9) {
		case 0, 1:
			m.freeze()
		case 2, 3:
			m.apply()
		case 4:
			if m.pick("reset", 0, 3) == 0 {
				m.reset()
			}
		case 5:
			m.whole()
		default:
			m.unit()
		}
	}
	m.whole()
	m.freeze()
	m.apply()
	m.restore()
	m.must(errors.Join(m.store.Close(), m.space.Close(), m.engine.Close()))
	if b := m.budget; b != nil && (b.Dirty() != 0 || b.Buffered() != 0 || b.Total() != 0) {
		m.Fatalf("after close the budget counts %d dirty, %d buffered, %d in all", b.Dirty(), b.Buffered(), b.Total())
	}
}

// restore brings the changelog into an empty store, which must then show what the old one shows.
func (m *timedMachine) restore() {
	old := m.store
	defer func() { m.store = old }()
	m.must(m.space.Wipe())
	r := state.NewRestorer(m.es, &m.kind.spec, state.StoredOffset{}, int64(m.pick("room", 1, 4))<<10)
	for _, rec := range m.recs {
		m.must(r.Add(rec, rec.Time))
	}
	m.must(r.Finish(state.StoredOffset{Changelog: int64(len(m.recs))}))
	s, err := m.kind.spec.Open(&state.Env{Task: task0, Units: &m.units, Engine: m.es, Budget: m.budget, Time: &m.time})
	m.must(err)
	m.store = m.kind.wrap(s)
	// Stream time may be earlier than it was: a row that was set and deleted between two commits leaves no trace.
	m.now, m.held = newTimedWorld(), 0
	m.now.rows = m.log
	for _, rec := range m.recs {
		m.now.clock = max(m.now.clock, logPlace(m.kind.spec.Kind, rec.Key).time)
	}
	m.whole()
	m.must(m.store.Close())
}
