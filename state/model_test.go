package state_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/memstore"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// num is a serde of fixed size that cannot fail.
type num struct{}

func (num) Append(dst []byte, v int64) ([]byte, error) {
	return binary.BigEndian.AppendUint64(dst, uint64(v)), nil
}

func (num) Decode(b []byte) (int64, error) {
	if len(b) != 8 {
		return 0, fmt.Errorf("%d bytes, not 8", len(b))
	}
	return int64(binary.BigEndian.Uint64(b)), nil
}
func (num) Infallible() {}

// asJSON is a serde that may fail.
type asJSON[T any] struct{}

func (asJSON[T]) Append(dst []byte, v T) ([]byte, error) {
	b, err := json.Marshal(v)
	return append(dst, b...), err
}

func (asJSON[T]) Decode(b []byte) (v T, err error) { return v, json.Unmarshal(b, &v) }

// flat has strings, but no other pointers.
type flat struct {
	Name string
	Rate float64
	Tags [2]string
}

// deep has pointers.
type deep struct {
	List []int
	Map  map[string]int
}

// cloning keeps deep values decoded.
type cloning struct{ asJSON[*deep] }

func (cloning) Clone(v *deep) *deep {
	return &deep{slices.Clone(v.List), maps.Clone(v.Map)}
}

// logged is a changelog in memory.
type logged struct {
	recs []record.Raw
	fail error
}

func (l *logged) Append(time int64, key, value []byte, h record.Headers) error {
	if l.fail != nil {
		return l.fail
	}
	r := record.Raw{Time: time, Key: bytes.Clone(key), Value: bytes.Clone(value), Headers: h}
	if value != nil && r.Value == nil {
		r.Value = []byte{}
	}
	l.recs = append(l.recs, r)
	return nil
}

// place is a task with one store in an engine in memory.
type place struct {
	units  record.Units
	space  state.Space
	engine state.EngineStore
	env    state.Env
	time   int64
	log    logged
	test   testing.TB
	batch  state.Batch // of the last freeze, not committed yet
}

func newPlace(t testing.TB, b *state.Budget) *place {
	p := &place{}
	id := record.TaskID{Sub: 0, Partition: 3}
	var err error
	if p.space, err = memstore.New().Space(id); err != nil {
		t.Fatal(err)
	}
	if p.engine, err = p.space.Store("s", state.KindKeyValue); err != nil {
		t.Fatal(err)
	}
	p.env = state.Env{Task: id, Units: &p.units, Engine: p.engine, Budget: b, Time: &p.time}
	return p
}

func (p *place) tb() testing.TB { return p.test }

// freeze freezes the store into a new batch.
func (p *place) freeze(s state.Store) error {
	p.batch = p.space.Batch()
	return s.Freeze(p.batch, &p.log)
}

// apply commits the batch of the last freeze.
func (p *place) apply(s state.Store) error {
	if err := p.batch.Commit(); err != nil {
		return err
	}
	p.batch = nil
	s.Applied()
	return nil
}

func (p *place) commit(t testing.TB, s state.Store) {
	t.Helper()
	if err := errors.Join(p.freeze(s), p.apply(s)); err != nil {
		t.Fatal(err)
	}
}

// rows returns what the engine holds.
func (p *place) rows(t testing.TB) map[string]string {
	t.Helper()
	it, err := p.engine.Iter(nil, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for it.Next() {
		rows[string(it.Key())] = string(it.Value())
	}
	if err := errors.Join(it.Err(), it.Close()); err != nil {
		t.Fatal(err)
	}
	return rows
}

func table[V any](t testing.TB, p *place, vals serde.Serde[V]) *state.Table[string, V] {
	t.Helper()
	tab, err := state.OpenTable(&p.env, serde.String, vals)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func keyValue[V any](t testing.TB, p *place, vals serde.Serde[V]) *state.KeyValue[string, V] {
	t.Helper()
	s, err := state.OpenKeyValue(&p.env, serde.String, vals)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
