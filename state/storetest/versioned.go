package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// versionedMachine runs operations on a versioned store over an engine and on the model. Units are closed before a commit.
type versionedMachine struct {
	cfg    state.VersionedConfig
	spec   state.Spec
	place  Place
	opened opened
	units  record.Units
	store  *state.Versioned[string, string]
	log    changelog

	now       *versionedModel
	unit      *versionedModel // at the begin of the running unit
	committed *versionedModel
	frozen    state.Batch
}

// changelog keeps what a store logs.
type changelog struct{ records []record.Raw }

// Append is part of [state.Changelog].
func (l *changelog) Append(time int64, key, value []byte, _ record.Headers) error {
	l.records = append(l.records, record.Raw{Key: bytes.Clone(key), Value: cloneValue(value), Time: time,
		Offset: int64(len(l.records))})
	return nil
}

func cloneValue(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}

func testVersioned(t *testing.T, place func() Place) {
	rapid.Check(t, func(t *rapid.T) {
		m := &versionedMachine{place: place(), cfg: state.VersionedConfig{
			History: rapid.SampledFrom([]int64{0, 5, 30, 100}).Draw(t, "history"),
			Segment: rapid.SampledFrom([]int64{1, 7, 20, 1000}).Draw(t, "segment"),
		}}
		m.spec = state.VersionedSpec("s", serde.String, serde.String, m.cfg)
		m.now = newVersionedModel(m.cfg)
		m.unit, m.committed = m.now.clone(), m.now.clone()
		m.opened = openVersioned(t, m.place)
		m.open(t)
		t.Repeat(map[string]func(*rapid.T){
			"Put":      m.put,
			"Delete":   m.delete,
			"Nested":   m.nested,
			"Succeed":  func(*rapid.T) { m.succeed() },
			"Fail":     func(*rapid.T) { m.units.Rollback(); m.now = m.unit.clone() },
			"Commit":   m.commit,
			"Overlap":  m.overlap,
			"Reset":    m.reset,
			"Reopen":   m.reopen,
			"Restored": m.restored,
			"":         m.compare,
		})
		m.succeed()
		m.apply(t)
		m.opened.shut(t)
	})
}

func openVersioned(t rapid.TB, p Place) opened {
	e, err := p.Open()
	must(t, err)
	s, err := e.Space(task0)
	must(t, err)
	es, err := s.Store("s", state.KindVersioned)
	must(t, err)
	return opened{e, s, es}
}

func (o opened) shut(t rapid.TB) {
	must(t, o.space.Close())
	must(t, o.Engine.Close())
}

func (m *versionedMachine) open(t rapid.TB) {
	s, err := m.spec.Open(&state.Env{Task: task0, Units: &m.units, Engine: m.opened.store})
	must(t, err)
	m.store = s.(*state.Versioned[string, string])
}

// write draws a write and does it on both sides.
func (m *versionedMachine) write(t *rapid.T) {
	k := rapid.SampledFrom([]string{"", "a", "ab", "a key that is too long for a slot"}).Draw(t, "key")
	ts := max(0, m.now.time+rapid.Int64Range(-40, 15).Draw(t, "ts"))
	value := rapid.SampledFrom([]string{"", "x", "yy", "a somewhat longer value"}).Draw(t, "value")
	gone := rapid.IntRange(0, 2).Draw(t, "gone") == 0
	to, written, err := m.store.Put(k, record.OptOf(value, !gone), ts)
	must(t, err)
	wantTo, want := m.now.put(k, value, gone, ts)
	if to != wantTo || written != want {
		t.Fatalf("put %q at %d ends at %d, %v; want %d, %v", k, ts, to, written, wantTo, want)
	}
}

func (m *versionedMachine) put(t *rapid.T) { m.write(t) }

func (m *versionedMachine) delete(t *rapid.T) {
	k := rapid.SampledFrom([]string{"", "a", "ab"}).Draw(t, "key")
	ts := max(0, m.now.time+rapid.Int64Range(-40, 15).Draw(t, "ts"))
	got, written, err := m.store.Delete(k, ts)
	must(t, err)
	v, ok := m.now.asOf(k, ts)
	_, wantWritten := m.now.put(k, "", true, ts)
	if want := record.OptOf(v, ok && wantWritten); got != want || written != wantWritten {
		t.Fatalf("delete %q at %d returns %v, %v; want %v, %v", k, ts, got, written, want, wantWritten)
	}
}

// nested writes in a unit inside the unit, and may undo it.
func (m *versionedMachine) nested(t *rapid.T) {
	before := m.now.clone()
	p := m.units.Begin()
	for range rapid.IntRange(0, 4).Draw(t, "writes") {
		m.write(t)
	}
	if rapid.Bool().Draw(t, "fails") {
		m.units.RollbackTo(p)
		m.now = before
	} else {
		m.units.End(p)
	}
}

func (m *versionedMachine) succeed() {
	m.units.Commit()
	m.unit = m.now.clone()
}

func (m *versionedMachine) freeze(t *rapid.T) {
	m.apply(t)
	m.succeed()
	m.frozen = m.opened.space.Batch()
	must(t, m.store.Freeze(m.frozen, &m.log))
}

func (m *versionedMachine) apply(t rapid.TB) {
	if m.frozen != nil {
		must(t, m.frozen.Commit())
		m.store.Applied()
		m.frozen = nil
	}
}

func (m *versionedMachine) commit(t *rapid.T) {
	m.freeze(t)
	m.committed = m.now.clone()
	m.apply(t)
}

// overlap freezes, and leaves the batch on its way.
func (m *versionedMachine) overlap(t *rapid.T) {
	m.freeze(t)
	m.committed = m.now.clone()
}

func (m *versionedMachine) reset(t *rapid.T) {
	m.apply(t)
	m.units.Rollback()
	m.store.Reset()
	m.now, m.unit = m.committed.clone(), m.committed.clone()
}

func (m *versionedMachine) reopen(t *rapid.T) {
	if !m.place.Durable {
		t.Skip()
	}
	m.reset(t)
	must(t, m.store.Close())
	m.opened.shut(t)
	m.opened = openVersioned(t, m.place)
	m.open(t)
}

// restored restores the changelog, in rounds of any size, into a store beside this one.
func (m *versionedMachine) restored(t *rapid.T) {
	es, err := m.opened.space.Store(fmt.Sprintf("copy%d", rapid.Int().Draw(t, "n")), state.KindVersioned)
	must(t, err)
	r := state.NewRestorer(es, &m.spec, state.StoredOffset{}, rapid.SampledFrom([]int64{1, 300, 0}).Draw(t, "room"))
	for _, rec := range m.log.records {
		must(t, r.Add(rec, 0))
	}
	must(t, r.Finish(state.StoredOffset{Changelog: int64(len(m.log.records))}))
	var units record.Units
	s, err := m.spec.Open(&state.Env{Task: task0, Units: &units, Engine: es})
	must(t, err)
	m.same(t, "restored", s.(*state.Versioned[string, string]), m.committed)
	must(t, s.Close())
	b := m.opened.space.Batch()
	must(t, b.DeleteRange(es, nil, nil))
	must(t, b.Commit())
}

func (m *versionedMachine) compare(t *rapid.T) { m.same(t, "store", m.store, m.now) }

// same compares all that can be asked.
func (m *versionedMachine) same(t *rapid.T, what string, s *state.Versioned[string, string], want *versionedModel) {
	for _, k := range []string{"", "a", "ab", "a key that is too long for a slot"} {
		v, from, ok, err := s.Get(k)
		must(t, err)
		if w, wok := want.get(k); ok != wok || v != w.Value || from != w.From {
			t.Fatalf("%s: %q is %q from %d, %v; want %v, %v", what, k, v, from, ok, w, wok)
		}
		for ts := max(0, want.time-60); ts <= want.time+1; ts += 3 {
			v, ok, err := s.GetAsOf(k, ts)
			must(t, err)
			if w, wok := want.asOf(k, ts); ok != wok || v != w {
				t.Fatalf("%s: %q at %d is %v, %v; want %v, %v", what, k, ts, v, ok, w, wok)
			}
			list, err := s.Range(k, ts, ts+20)
			must(t, err)
			if w := want.between(k, ts, ts+20); !slices.Equal(list, w) {
				t.Fatalf("%s: %q from %d to %d is %v, want %v", what, k, ts, ts+20, list, w)
			}
		}
	}
}
