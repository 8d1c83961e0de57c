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

// Buffer is the suite of the buffers over an engine: against a sorted list, random puts and removals in units and nested units
// that are kept or undone, commits, resets, reopening, a budget that sends values away, and a restore of the changelog give the
// same rows in the same order, the same minimum time, number and size.
func Buffer(t *testing.T, place func() Place) {
	t.Run("Change", func(t *testing.T) { testBuffer(t, place, openChanges) })
	t.Run("Grace", func(t *testing.T) { testBuffer(t, place, openGrace) })
}

// buffered is a row as both kinds of buffer show it.
type buffered struct {
	time       int64
	key        string
	arrival    int
	now, prior record.Opt[string]
	old        record.Opt[string] // of the last put
	context    state.RecordContext
}

func (r buffered) String() string {
	return fmt.Sprintf("%d %q %v <- %v of %s@%d %x", r.time, r.key, r.now, r.prior, r.context.Coordinates, r.context.Time,
		r.context.Headers.Raw())
}

// anyBuffer hides which buffer it is.
type anyBuffer interface {
	state.Store
	Load() error
	MinTime() int64
	Len() int
	Bytes() int64
	RemoveFirst()
}

type bufferUnder struct {
	anyBuffer
	put    func(r buffered, old record.Opt[string]) error
	first  func() (buffered, bool, error)
	prior  func(k string) (record.Opt[string], bool, error) // nil: the kind has none
	unique bool
	spec   state.Spec
}

func openChanges(env *state.Env) (bufferUnder, error) {
	s, err := state.OpenChangeBuffer(env, serde.String, serde.String)
	if err != nil {
		return bufferUnder{}, err
	}
	return bufferUnder{
		anyBuffer: s, unique: true, spec: state.SuppressSpec("buffer", serde.String, serde.String),
		put: func(r buffered, old record.Opt[string]) error { return s.Put(r.key, r.time, r.now, old, &r.context) },
		first: func() (buffered, bool, error) {
			row, ok, err := s.First()
			if ok && err == nil {
				err = s.Decode(&row)
			}
			return buffered{key: row.Key, now: row.New, prior: row.Prior, context: row.Context, time: s.MinTime()}, ok, err
		},
		prior: s.Prior,
	}, nil
}

func openGrace(env *state.Env) (bufferUnder, error) {
	s, err := state.OpenGraceBuffer(env, serde.String, serde.String)
	if err != nil {
		return bufferUnder{}, err
	}
	return bufferUnder{
		anyBuffer: s, spec: state.GraceBufferSpec("buffer", serde.String, serde.String),
		put: func(r buffered, _ record.Opt[string]) error {
			v, _ := r.now.Get()
			return s.Put(r.key, v, &r.context)
		},
		first: func() (buffered, bool, error) {
			row, ok, err := s.First()
			if ok && err == nil {
				err = s.Decode(&row)
			}
			return buffered{key: row.Key, now: record.OptOf(row.Value, !row.Null), context: row.Context, time: s.MinTime()}, ok, err
		},
	}, nil
}

// bufferMachine drives a buffer and a list side by side.
type bufferMachine struct {
	t      *rapid.T
	open   func(env *state.Env) (bufferUnder, error)
	p      Place
	engine state.Engine
	space  state.Space
	es     state.EngineStore
	budget *state.Budget
	units  record.Units
	b      bufferUnder

	rows      []buffered
	committed []buffered
	log       map[string]record.Raw
	logged    int64
	arrived   int
}

// Append implements state.Changelog.
func (m *bufferMachine) Append(time int64, key, value []byte, h record.Headers) error {
	m.log[string(key)] = record.Raw{Key: bytes.Clone(key), Value: bytes.Clone(value), Time: time, Headers: h, Offset: m.logged}
	m.logged++
	return nil
}

func testBuffer(t *testing.T, place func() Place, open func(env *state.Env) (bufferUnder, error)) {
	rapid.Check(t, func(t *rapid.T) {
		m := &bufferMachine{t: t, open: open, p: place(), log: map[string]record.Raw{}}
		if rapid.Bool().Draw(t, "tight") {
			m.budget = state.NewBudget(0, 0, 1)
		}
		m.start()
		defer m.stop()
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) { m.t = t; m.compare() }, "unit": m.unit, "commit": m.commit, "reset": m.reset, "restore": m.restore,
			"reopen": m.reopen,
		})
	})
}

func (m *bufferMachine) start() {
	var err error
	m.engine, err = m.p.Open()
	must(m.t, err)
	m.space, err = m.engine.Space(record.TaskID{})
	must(m.t, err)
	m.es, err = m.space.Store("buffer", state.KindBuffer)
	must(m.t, err)
	m.b, err = m.open(&state.Env{Units: &m.units, Engine: m.es, Budget: m.budget})
	must(m.t, err)
}

func (m *bufferMachine) stop() {
	must(m.t, m.b.Close())
	must(m.t, m.space.Close())
	must(m.t, m.engine.Close())
}

func (m *bufferMachine) reopen(*rapid.T) {
	if !m.p.Durable {
		return
	}
	m.stop()
	m.start()
	m.rows = slices.Clone(m.committed)
}

var (
	bufferKeys    = []string{"", "a", "a\x00", "aa", "b", "\x00"}
	bufferHeaders = []record.Headers{{}, record.Headers{}.With("h", nil), record.Headers{}.With("h", []byte{}).With("", []byte("x"))}
)

// put draws a row and puts it.
func (m *bufferMachine) put() {
	r := buffered{key: rapid.SampledFrom(bufferKeys).Draw(m.t, "key"), time: rapid.Int64Range(0, 5).Draw(m.t, "time"),
		arrival: m.arrived}
	m.arrived++
	r.context = state.RecordContext{Time: r.time, Headers: rapid.SampledFrom(bufferHeaders).Draw(m.t, "headers"),
		Coordinates: record.Coordinates{TopicPartition: record.TopicPartition{Topic: "in", Partition: 1}, Offset: int64(m.arrived)}}
	text := func(label string) record.Opt[string] {
		return record.OptOf(rapid.SampledFrom([]string{"", "v", "w"}).Draw(m.t, label), rapid.Bool().Draw(m.t, "is "+label))
	}
	var old record.Opt[string]
	if m.b.unique {
		r.now, old = text("new"), text("old")
		r.context.Time += 7 // the place in the buffer is not the time of the record
		r.prior, r.old = old, old
	} else {
		r.now = record.Some(rapid.SampledFrom([]string{"", "v"}).Draw(m.t, "value"))
	}
	must(m.t, m.b.put(r, old))
	i := slices.IndexFunc(m.rows, func(o buffered) bool { return m.b.unique && o.key == r.key })
	if i >= 0 {
		r.time, r.prior, r.arrival = m.rows[i].time, m.rows[i].prior, m.rows[i].arrival
		m.rows[i] = r
	} else {
		m.rows = append(m.rows, r)
	}
	m.sort()
}

func (m *bufferMachine) sort() {
	slices.SortFunc(m.rows, func(a, b buffered) int {
		return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.key, b.key), cmp.Compare(a.arrival, b.arrival))
	})
}

// take removes the first row, after it was looked at.
func (m *bufferMachine) take() {
	m.first()
	if len(m.rows) > 0 {
		m.b.RemoveFirst()
		m.rows = m.rows[1:]
	}
}

func (m *bufferMachine) first() {
	got, ok, err := m.b.first()
	must(m.t, err)
	switch {
	case ok != (len(m.rows) > 0):
		m.t.Fatalf("first row there: %v, but %d rows wait", ok, len(m.rows))
	case ok:
		want := m.rows[0]
		if got.String() != want.String() {
			m.t.Fatalf("first is %v, want %v", got, want)
		}
	}
}

// unit does some work, some of it in nested units that may be undone, and keeps or undoes it all.
func (m *bufferMachine) unit(t *rapid.T) {
	m.t = t
	before := slices.Clone(m.rows)
	m.work()
	for range rapid.IntRange(0, 3).Draw(t, "nested") {
		mark, had := m.units.Begin(), slices.Clone(m.rows)
		m.work()
		if rapid.Bool().Draw(t, "keep nested") {
			m.units.End(mark)
		} else {
			m.units.RollbackTo(mark)
			m.rows = had
		}
		m.compare()
	}
	m.work()
	if rapid.Bool().Draw(t, "keep") {
		m.units.Commit()
	} else {
		m.units.Rollback()
		m.rows = before
	}
}

func (m *bufferMachine) work() {
	for range rapid.IntRange(0, 4).Draw(m.t, "work") {
		if rapid.IntRange(0, 2).Draw(m.t, "what") == 0 {
			m.take()
		} else {
			m.put()
		}
	}
}

func (m *bufferMachine) commit(t *rapid.T) {
	m.t = t
	before := m.logged
	b := m.space.Batch()
	must(t, m.b.Freeze(b, m))
	frozen := slices.Clone(m.rows)
	if rapid.Bool().Draw(t, "work while frozen") {
		m.unit(t)
	}
	must(t, b.Commit())
	m.b.Applied()
	m.committed = frozen
	if n := m.logged - before; n > int64(len(m.log)) {
		t.Fatalf("%d records logged for %d keys", n, len(m.log))
	}
}

func (m *bufferMachine) reset(*rapid.T) {
	m.b.Reset()
	m.rows = slices.Clone(m.committed)
}

// restore brings the changelog into another store: it holds what this one holds.
func (m *bufferMachine) restore(t *rapid.T) {
	space, err := m.engine.Space(record.TaskID{Sub: 1})
	must(t, err)
	defer space.Close()
	must(t, space.Wipe())
	es, err := space.Store("restored", state.KindBuffer)
	must(t, err)
	r := state.NewRestorer(es, &m.b.spec, state.StoredOffset{}, 0)
	for _, rec := range slices.SortedFunc(maps.Values(m.log), func(a, b record.Raw) int { return cmp.Compare(a.Offset, b.Offset) }) {
		must(t, r.Add(rec, 0))
	}
	must(t, r.Finish(state.StoredOffset{Changelog: m.logged}))
	if d := diff(allRows(t, es), allRows(t, m.es)); d != "" {
		t.Fatalf("restored: %s", d)
	}
}

func allRows(t *rapid.T, es state.EngineStore) []row {
	it, err := es.Iter(nil, nil, false)
	must(t, err)
	rows, err := collect(it)
	must(t, err)
	return rows
}

func (m *bufferMachine) compare() {
	must(m.t, m.b.Load())
	want := state.NoTime
	if len(m.rows) > 0 {
		want = m.rows[0].time
	}
	if got := m.b.MinTime(); got != want || m.b.Len() != len(m.rows) {
		m.t.Fatalf("minimum time %d of %d rows, want %d of %d", got, m.b.Len(), want, len(m.rows))
	}
	if got, want := m.b.Bytes(), m.bytes(); got != want {
		m.t.Fatalf("%d bytes, want %d", got, want)
	}
	m.first()
	if m.b.prior == nil {
		return
	}
	for _, k := range bufferKeys {
		prior, ok, err := m.b.prior(k)
		must(m.t, err)
		i := slices.IndexFunc(m.rows, func(r buffered) bool { return r.key == k })
		if ok != (i >= 0) || ok && prior != m.rows[i].prior {
			m.t.Fatalf("prior of %q is %v, buffered %v; rows %v", k, prior, ok, m.rows)
		}
	}
}

// bytes is the size that Kafka Streams counts: time, key, context and values; a value that is there twice counts once.
func (m *bufferMachine) bytes() (n int64) {
	for _, r := range m.rows {
		n += int64(8 + len(r.key) + 8 + 8 + len("in") + 4)
		for k, v := range r.context.Headers.All() {
			n += int64(len(k) + len(v))
		}
		now, _ := r.now.Get()
		n += int64(len(now) + len(r.prior.Or("")))
		if r.old != r.prior {
			n += int64(len(r.old.Or("")))
		}
		if !m.b.unique {
			n += 1 + 8 + 4
		}
	}
	return n
}
