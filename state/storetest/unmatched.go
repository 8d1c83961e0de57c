package storetest

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// Unmatched is the suite of the store of what joins of streams have not matched, over an engine: against a sorted list that is
// walked through as Kafka Streams walks through its store, random puts, matches and looks for due rows in units and nested units
// that are kept or undone, commits, resets, reopening, a budget that sends values away, and a restore of the changelog.
func Unmatched(t *testing.T, place func() Place) {
	rapid.Check(t, func(t *rapid.T) {
		m := &unmatchedMachine{t: t, p: place(), log: map[string]record.Raw{}, model: unmatchedModel{least: state.NoTime}}
		m.cfg = state.UnmatchedConfig{LeftWait: rapid.Int64Range(-2, 4).Draw(t, "left wait"),
			RightWait: rapid.Int64Range(-2, 4).Draw(t, "right wait"), OneSide: rapid.Bool().Draw(t, "one side")}
		if rapid.Bool().Draw(t, "tight") {
			m.budget = state.NewBudget(0, 0, 1)
		}
		m.committed = m.model
		m.start()
		defer m.stop()
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) { m.t = t; m.compare() }, "unit": m.unit, "commit": m.commit, "reset": m.reset, "restore": m.restore,
			"reopen": m.reopen,
		})
	})
}

type unmatchedRow struct {
	time   int64
	left   bool
	key    string
	values []string
}

func (r unmatchedRow) String() string {
	return fmt.Sprintf("%d %v %q %q", r.time, r.left, r.key, r.values)
}

// unmatchedModel is what the store must be.
type unmatchedModel struct {
	rows  []unmatchedRow
	least int64
}

func (m unmatchedModel) clone() unmatchedModel {
	m.rows = slices.Clone(m.rows)
	for i := range m.rows {
		m.rows[i].values = slices.Clone(m.rows[i].values)
	}
	return m
}

func (m *unmatchedModel) find(time int64, left bool, key string) (int, bool) {
	return slices.BinarySearchFunc(m.rows, unmatchedRow{time: time, left: left, key: key}, func(a, b unmatchedRow) int {
		side := map[bool]int{true: 1}
		return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(side[a.left], side[b.left]), cmp.Compare(a.key, b.key))
	})
}

func (m *unmatchedModel) put(time int64, left bool, key, value string) {
	i, ok := m.find(time, left, key)
	if !ok {
		m.rows = slices.Insert(m.rows, i, unmatchedRow{time: time, left: left, key: key})
	}
	m.rows[i].values = append(slices.Clone(m.rows[i].values), value)
	m.least = min(m.least, time)
}

// takeDue walks through the rows one by one.
func (m *unmatchedModel) takeDue(cfg state.UnmatchedConfig, now int64) (due []unmatchedRow) {
	var left, right bool
	var kept []unmatchedRow
	m.least = state.NoTime
	for i, r := range m.rows {
		m.least = r.time
		if left && right {
			kept = append(kept, m.rows[i:]...)
			break
		}
		wait := cfg.RightWait
		if r.left {
			wait = cfg.LeftWait
		}
		if r.time+wait >= now {
			left, right = left || r.left, right || !r.left
			kept = append(kept, r)
			continue
		}
		due = append(due, r)
	}
	m.rows = kept
	return due
}

type unmatchedMachine struct {
	t      *rapid.T
	p      Place
	cfg    state.UnmatchedConfig
	engine state.Engine
	space  state.Space
	es     state.EngineStore
	budget *state.Budget
	units  record.Units
	s      *state.UnmatchedStore[string, string, string]

	model, committed unmatchedModel
	log              map[string]record.Raw
	logged           int64
	puts             int
}

// Append implements state.Changelog.
func (m *unmatchedMachine) Append(time int64, key, value []byte, h record.Headers) error {
	m.log[string(key)] = record.Raw{Key: bytes.Clone(key), Value: bytes.Clone(value), Time: time, Headers: h, Offset: m.logged}
	m.logged++
	return nil
}

func (m *unmatchedMachine) start() {
	var err error
	m.engine, err = m.p.Open()
	must(m.t, err)
	m.space, err = m.engine.Space(record.TaskID{})
	must(m.t, err)
	m.es, err = m.space.Store("unmatched", state.KindBuffer)
	must(m.t, err)
	m.s = m.open(m.es)
}

func (m *unmatchedMachine) open(es state.EngineStore) *state.UnmatchedStore[string, string, string] {
	s, err := state.OpenUnmatched(&state.Env{Units: &m.units, Engine: es, Budget: m.budget}, serde.String, serde.String,
		serde.String, m.cfg)
	must(m.t, err)
	return s
}

func (m *unmatchedMachine) stop() {
	must(m.t, m.s.Close())
	must(m.t, m.space.Close())
	must(m.t, m.engine.Close())
}

func (m *unmatchedMachine) reopen(*rapid.T) {
	if m.p.Durable {
		m.stop()
		m.start()
		m.model = m.committed.clone()
	}
}

func (m *unmatchedMachine) reset(*rapid.T) {
	m.s.Reset()
	m.model = m.committed.clone()
}

// work does one thing to the store and to the model.
func (m *unmatchedMachine) work() {
	key := rapid.SampledFrom(bufferKeys).Draw(m.t, "key")
	time := rapid.Int64Range(0, 9).Draw(m.t, "time")
	left := m.cfg.OneSide || rapid.Bool().Draw(m.t, "left")
	switch rapid.IntRange(0, 5).Draw(m.t, "what") {
	case 0:
		must(m.t, m.s.Match(left, key, time))
		if i, ok := m.model.find(time, left, key); ok {
			m.model.rows = slices.Delete(slices.Clone(m.model.rows), i, i+1)
		}
	case 1:
		m.takeDue(rapid.Int64Range(0, 12).Draw(m.t, "now"))
	default:
		m.puts++
		value := rapid.SampledFrom([]string{"", fmt.Sprint(m.puts)}).Draw(m.t, "value")
		if left {
			must(m.t, m.s.PutLeft(key, time, value))
		} else {
			must(m.t, m.s.PutRight(key, time, value))
		}
		m.model.put(time, left, key, value)
	}
}

func (m *unmatchedMachine) takeDue(now int64) {
	rows, err := m.s.TakeDue(now)
	must(m.t, err)
	got, want := m.rows(rows), m.model.takeDue(m.cfg, now)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		m.t.Fatalf("due at %d: %v, want %v", now, got, want)
	}
}

func (m *unmatchedMachine) rows(list []state.Unmatched) (rows []unmatchedRow) {
	for _, u := range list {
		r := unmatchedRow{time: u.Time, left: u.Left, key: string(u.Key)}
		for {
			v, ok, err := u.Next()
			must(m.t, err)
			if !ok {
				break
			}
			r.values = append(r.values, string(v))
		}
		rows = append(rows, r)
	}
	return rows
}

// unit does some work, some of it in nested units that may be undone, and keeps or undoes it all.
func (m *unmatchedMachine) unit(t *rapid.T) {
	m.t = t
	some := func() {
		for range rapid.IntRange(0, 4).Draw(t, "work") {
			m.work()
		}
	}
	before := m.model.clone()
	some()
	for range rapid.IntRange(0, 3).Draw(t, "nested") {
		mark, had := m.units.Begin(), m.model.clone()
		some()
		if rapid.Bool().Draw(t, "keep nested") {
			m.units.End(mark)
		} else {
			m.units.RollbackTo(mark)
			m.model = had
		}
		m.compare()
	}
	some()
	if rapid.Bool().Draw(t, "keep") {
		m.units.Commit()
	} else {
		m.units.Rollback()
		m.model = before
	}
}

func (m *unmatchedMachine) commit(t *rapid.T) {
	m.t = t
	b := m.space.Batch()
	must(t, m.s.Freeze(b, m))
	frozen := m.model.clone()
	if rapid.Bool().Draw(t, "work while frozen") {
		m.unit(t)
	}
	must(t, b.Commit())
	m.s.Applied()
	m.committed = frozen
}

// restore brings the changelog into another store: it has the same rows, and the time of the first one as its least time.
func (m *unmatchedMachine) restore(t *rapid.T) {
	m.t = t
	space, err := m.engine.Space(record.TaskID{Sub: 1})
	must(t, err)
	defer space.Close()
	must(t, space.Wipe())
	es, err := space.Store("restored", state.KindBuffer)
	must(t, err)
	spec := state.UnmatchedSpec("restored", serde.String, serde.String, serde.String, m.cfg)
	r := state.NewRestorer(es, &spec, state.StoredOffset{}, 0)
	for _, rec := range slices.SortedFunc(maps.Values(m.log), func(a, b record.Raw) int { return cmp.Compare(a.Offset, b.Offset) }) {
		must(t, r.Add(rec, 0))
	}
	must(t, r.Finish(state.StoredOffset{Changelog: m.logged}))
	s := m.open(es)
	want := m.committed.clone()
	if want.least = state.NoTime; len(want.rows) > 0 {
		want.least = want.rows[0].time
	}
	m.same(s, want)
	must(t, s.Close())
}

func (m *unmatchedMachine) compare() { m.same(m.s, m.model) }

// same compares all rows, in a unit that is undone again, and the least time.
func (m *unmatchedMachine) same(s *state.UnmatchedStore[string, string, string], want unmatchedModel) {
	for now := int64(-2); now < 12; now++ {
		got, err := s.Due(1, now)
		must(m.t, err)
		if is := want.least != state.NoTime && want.least+1 < now; got != is {
			m.t.Fatalf("due at %d: %v, least time %d", now, got, want.least)
		}
	}
	p := m.units.Begin()
	rows, err := s.TakeDue(1 << 40)
	must(m.t, err)
	if got := m.rows(rows); fmt.Sprint(got) != fmt.Sprint(want.rows) || s.Len() != 0 {
		m.t.Fatalf("rows %v, want %v", got, want.rows)
	}
	m.units.RollbackTo(p)
	if s.Len() != len(want.rows) {
		m.t.Fatalf("%d rows, want %d", s.Len(), len(want.rows))
	}
}
