package storetest

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// row is a key and its value.
type row struct{ key, value []byte }

func (r row) String() string { return fmt.Sprintf("%x=%x", r.key, r.value) }

// modelStore is what a store should hold: rows in the order of its kind.
type modelStore struct {
	kind      state.Kind
	rows      []row
	offset    state.StoredOffset
	hasOffset bool
}

func (m *modelStore) find(key []byte) (int, bool) {
	return slices.BinarySearchFunc(m.rows, key, func(r row, k []byte) int { return m.kind.Compare(r.key, k) })
}

func (m *modelStore) set(key, value []byte) {
	r := row{bytes.Clone(key), append([]byte{}, value...)}
	if i, ok := m.find(key); ok {
		m.rows[i] = r
	} else {
		m.rows = slices.Insert(m.rows, i, r)
	}
}

func (m *modelStore) delete(key []byte) {
	if i, ok := m.find(key); ok {
		m.rows = slices.Delete(m.rows, i, i+1)
	}
}

// between returns the indexes of [lower, upper).
func (m *modelStore) between(lower, upper []byte) (from, to int) {
	to = len(m.rows)
	if lower != nil {
		from, _ = m.find(lower)
	}
	if upper != nil {
		to, _ = m.find(upper)
	}
	return from, max(from, to)
}

func (m *modelStore) deleteRange(lower, upper []byte) {
	from, to := m.between(lower, upper)
	m.rows = slices.Delete(m.rows, from, to)
}

func (m *modelStore) scan(lower, upper []byte, reverse bool) []row {
	from, to := m.between(lower, upper)
	rows := slices.Clone(m.rows[from:to])
	if reverse {
		slices.Reverse(rows)
	}
	return rows
}

func (m *modelStore) clone() *modelStore {
	c := *m
	c.rows = slices.Clone(m.rows)
	return &c
}

// model is what an engine should hold: by task, by store. A store is in it as soon as something of it was committed.
type model map[record.TaskID]map[string]*modelStore

func (m model) store(id record.TaskID, name string, kind state.Kind) *modelStore {
	if m[id] == nil {
		m[id] = map[string]*modelStore{}
	}
	if m[id][name] == nil {
		m[id][name] = &modelStore{kind: kind}
	}
	return m[id][name]
}

func (m model) tasks() []record.TaskID {
	var ids []record.TaskID
	for id, stores := range m {
		if len(stores) > 0 {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, record.TaskID.Compare)
	return ids
}

// Collect reads all that an iterator has to give and closes it.
func collect(it state.Iterator) ([]row, error) {
	var rows []row
	for it.Next() {
		rows = append(rows, row{bytes.Clone(it.Key()), append([]byte{}, it.Value()...)})
	}
	err := it.Err()
	if cerr := it.Close(); err == nil {
		err = cerr
	}
	return rows, err
}

// diff says where two lists of rows part; "" if they are equal.
func diff(got, want []row) string {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return fmt.Sprintf("row %d: want %v, got the end", i, want[i])
		case i >= len(want):
			return fmt.Sprintf("row %d: got %v, want the end", i, got[i])
		case !bytes.Equal(got[i].key, want[i].key) || !bytes.Equal(got[i].value, want[i].value):
			return fmt.Sprintf("row %d: got %v, want %v", i, got[i], want[i])
		}
	}
	return ""
}

func sameOffset(a, b state.StoredOffset) bool {
	return a.Changelog == b.Changelog && a.BrokerTime == b.BrokerTime && bytes.Equal(a.Position, b.Position)
}
