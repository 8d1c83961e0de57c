package storetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// Subscriptions is the suite of the store of foreign-key joins over an engine: against a map, random puts and deletions in units
// that are kept or undone, commits and resets give the same subscriptions of every key, in order, and never those of another key,
// whatever key is the beginning of which.
func Subscriptions(t *testing.T, place func() Place) {
	rapid.Check(t, func(t *rapid.T) {
		p := place()
		engine, err := p.Open()
		must(t, err)
		defer engine.Close()
		space, err := engine.Space(record.TaskID{})
		must(t, err)
		defer space.Close()
		es, err := space.Store("subscriptions", state.KindKeyValue)
		must(t, err)
		var units record.Units
		s, err := state.OpenSubscriptions(&state.Env{Units: &units, Engine: es})
		must(t, err)
		defer s.Close()
		m := &subscriptionMachine{t: t, s: s, units: &units, space: space, rows: map[[2]string]string{}}
		t.Repeat(map[string]func(*rapid.T){"": m.compare, "unit": m.unit, "commit": m.commit, "reset": m.reset})
	})
}

type subscriptionMachine struct {
	t     *rapid.T
	s     *state.Subscriptions
	units *record.Units
	space state.Space

	rows, committed map[[2]string]string // by foreign and primary key
}

var subscriptionKeys = []string{"", "a", "a\x00", "ab", "\xff", "\xff\xff", "\x00\x00\x00\x01"}

func (m *subscriptionMachine) unit(t *rapid.T) {
	before := maps.Clone(m.rows)
	for range rapid.IntRange(1, 5).Draw(t, "writes") {
		k := [2]string{rapid.SampledFrom(subscriptionKeys).Draw(t, "foreign"), rapid.SampledFrom(subscriptionKeys).Draw(t, "primary")}
		if rapid.IntRange(0, 2).Draw(t, "delete") == 0 {
			must(t, m.s.Delete([]byte(k[0]), []byte(k[1]), 1))
			delete(m.rows, k)
		} else {
			v := rapid.StringN(0, 3, -1).Draw(t, "value")
			must(t, m.s.Put([]byte(k[0]), []byte(k[1]), []byte(v), 7))
			m.rows[k] = v
		}
	}
	m.compare(t)
	if rapid.Bool().Draw(t, "keep") {
		m.units.Commit()
	} else {
		m.units.Rollback()
		m.rows = before
	}
}

func (m *subscriptionMachine) commit(t *rapid.T) {
	m.units.Commit() // of the scans that compared: iterators end with their unit
	b := m.space.Batch()
	must(t, m.s.Freeze(b, nil))
	must(t, b.Commit())
	m.s.Applied()
	m.committed = maps.Clone(m.rows)
}

func (m *subscriptionMachine) reset(*rapid.T) {
	m.s.Reset()
	if m.rows = maps.Clone(m.committed); m.rows == nil {
		m.rows = map[[2]string]string{}
	}
}

func (m *subscriptionMachine) compare(t *rapid.T) {
	for _, foreign := range subscriptionKeys {
		var got, want []string
		c, err := m.s.Of([]byte(foreign))
		must(t, err)
		for c.Next() {
			got = append(got, fmt.Sprintf("%q=%q", c.Primary(), c.Value()))
		}
		must(t, c.Err())
		c.Close()
		for _, k := range slices.SortedFunc(maps.Keys(m.rows), func(a, b [2]string) int { return strings.Compare(a[1], b[1]) }) {
			if k[0] == foreign {
				want = append(want, fmt.Sprintf("%q=%q", k[1], m.rows[k]))
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("subscriptions of %q are %v, want %v", foreign, got, want)
		}
	}
}
