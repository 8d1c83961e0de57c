package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// The places where random operations happen: few, so that they meet.
var (
	randomTasks  = []record.TaskID{{Sub: 0, Partition: 0}, {Sub: 0, Partition: 1}, {Sub: 1, Partition: 0}}
	randomStores = []struct {
		name string
		kind state.Kind
	}{
		{"kv", state.KindKeyValue}, {"kv2", state.KindKeyValue}, {"win", state.KindWindow},
		{"ses", state.KindSession}, {"ver", state.KindVersioned}, {"buf", state.KindBuffer},
	}
)

// machine runs operations on an engine and on the model.
type machine struct {
	place  Place
	engine state.Engine
	spaces map[record.TaskID]state.Space
	stores map[string]state.EngineStore // by task and name
	model  model
	batch  map[record.TaskID]*openBatch
	iters  []*openIter
}

type openBatch struct {
	b   state.Batch
	ops []func()
}

type openIter struct {
	it   state.Iterator
	want []row
	at   int
}

func testRandom(t *testing.T, place func() Place) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{place: place(), model: model{}}
		m.open(t)
		t.Repeat(map[string]func(*rapid.T){
			"Set":         m.set,
			"Delete":      m.delete,
			"DeleteRange": m.deleteRange,
			"SetOffset":   m.setOffset,
			"Commit":      m.commit,
			"Discard":     m.discard,
			"Ingest":      m.ingest,
			"Wipe":        m.wipe,
			"Flush":       m.flush,
			"Reopen":      m.reopen,
			"Get":         m.get,
			"Scan":        m.scan,
			"IterOpen":    m.iterOpen,
			"IterNext":    m.iterNext,
			"Offset":      m.offset,
			"Tasks":       m.tasks,
		})
		m.close(t)
	})
}

func must(t rapid.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
}

func (m *machine) open(t rapid.TB) {
	e, err := m.place.Open()
	must(t, err)
	m.engine, m.spaces, m.stores = e, map[record.TaskID]state.Space{}, map[string]state.EngineStore{}
	m.batch = map[record.TaskID]*openBatch{}
	for _, id := range randomTasks {
		s, err := e.Space(id)
		must(t, err)
		m.spaces[id] = s
	}
}

func (m *machine) close(t rapid.TB) {
	for _, it := range m.iters {
		must(t, it.it.Close())
	}
	m.iters = nil
	for _, b := range m.batch {
		b.b.Discard()
	}
	for _, s := range m.spaces {
		must(t, s.Close())
	}
	must(t, m.engine.Close())
}

func (m *machine) reopen(t *rapid.T) {
	m.close(t)
	if !m.place.Durable {
		m.model = model{}
	}
	m.open(t)
}

// pick draws a store of a task.
func (m *machine) pick(t *rapid.T) (record.TaskID, state.EngineStore, *modelStore) {
	id := rapid.SampledFrom(randomTasks).Draw(t, "task")
	s := rapid.SampledFrom(randomStores).Draw(t, "store")
	at := fmt.Sprintf("%s/%s", id, s.name)
	if m.stores[at] == nil {
		es, err := m.spaces[id].Store(s.name, s.kind)
		must(t, err)
		m.stores[at] = es
	}
	ms := &modelStore{kind: s.kind}
	if have := m.model[id][s.name]; have != nil {
		ms = have
	}
	return id, m.stores[at], ms
}

func drawKey(t *rapid.T, kind state.Kind, label string) []byte {
	key := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'a', 'b', 0xff}), 0, 3).Draw(t, label)
	suffix := make([]byte, kind.SuffixLen())
	if n := len(suffix); n > 0 {
		suffix[n-1] = rapid.SampledFrom([]byte{0, 1, 13, 17, 0xff}).Draw(t, label+" suffix end")
		suffix[0] = rapid.SampledFrom([]byte{0, 1, 0xff}).Draw(t, label+" suffix start")
	}
	return append(key, suffix...)
}

func drawBounds(t *rapid.T, kind state.Kind) (lower, upper []byte) {
	if rapid.Bool().Draw(t, "has lower") {
		lower = drawKey(t, kind, "lower")
	}
	if rapid.Bool().Draw(t, "has upper") {
		upper = drawKey(t, kind, "upper")
	}
	return lower, upper
}

func drawValue(t *rapid.T) []byte {
	v := rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(t, "value")
	if rapid.IntRange(0, 9).Draw(t, "long") == 0 {
		v = bytes.Repeat(append(v, 'x'), 500)
	}
	return v
}

func drawOffset(t *rapid.T) state.StoredOffset {
	return state.StoredOffset{
		Changelog:  rapid.Int64Range(0, 1<<40).Draw(t, "changelog"),
		BrokerTime: rapid.Int64Range(0, 1<<42).Draw(t, "broker time"),
		Position:   rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(t, "position"),
	}
}

// write puts an operation into the task's open batch, and into what its commit does to the model.
func (m *machine) write(t *rapid.T, do func(b state.Batch, es state.EngineStore, kind state.Kind) (func(*modelStore), error)) {
	id, es, ms := m.pick(t)
	b := m.batch[id]
	if b == nil {
		b = &openBatch{b: m.spaces[id].Batch()}
		m.batch[id] = b
	}
	apply, err := do(b.b, es, ms.kind)
	must(t, err)
	name, kind := es.Name(), ms.kind
	b.ops = append(b.ops, func() { apply(m.model.store(id, name, kind)) })
}

func (m *machine) set(t *rapid.T) {
	m.write(t, func(b state.Batch, es state.EngineStore, kind state.Kind) (func(*modelStore), error) {
		k, v := drawKey(t, kind, "key"), drawValue(t)
		return func(s *modelStore) { s.set(k, v) }, b.Set(es, k, v)
	})
}

func (m *machine) delete(t *rapid.T) {
	m.write(t, func(b state.Batch, es state.EngineStore, kind state.Kind) (func(*modelStore), error) {
		k := drawKey(t, kind, "key")
		return func(s *modelStore) { s.delete(k) }, b.Delete(es, k)
	})
}

func (m *machine) deleteRange(t *rapid.T) {
	m.write(t, func(b state.Batch, es state.EngineStore, kind state.Kind) (func(*modelStore), error) {
		lower, upper := drawBounds(t, kind)
		return func(s *modelStore) { s.deleteRange(lower, upper) }, b.DeleteRange(es, lower, upper)
	})
}

func (m *machine) setOffset(t *rapid.T) {
	m.write(t, func(b state.Batch, es state.EngineStore, kind state.Kind) (func(*modelStore), error) {
		o := drawOffset(t)
		return func(s *modelStore) { s.offset, s.hasOffset = o, true }, b.SetOffset(es.Name(), o)
	})
}

func (m *machine) commit(t *rapid.T) {
	id := rapid.SampledFrom(randomTasks).Draw(t, "task")
	b := m.batch[id]
	if b == nil {
		t.Skip()
	}
	delete(m.batch, id)
	must(t, b.b.Commit())
	for _, op := range b.ops {
		op()
	}
}

func (m *machine) discard(t *rapid.T) {
	id := rapid.SampledFrom(randomTasks).Draw(t, "task")
	if b := m.batch[id]; b != nil {
		b.b.Discard()
		delete(m.batch, id)
	}
}

func (m *machine) ingest(t *rapid.T) {
	id, es, ms := m.pick(t)
	in, err := es.Ingester()
	must(t, err)
	loaded := &modelStore{kind: ms.kind}
	deleted := map[string]bool{}
	for range rapid.IntRange(0, 12).Draw(t, "rows") {
		k := drawKey(t, ms.kind, "key")
		loaded.set(k, drawValue(t))
		deleted[string(k)] = rapid.IntRange(0, 3).Draw(t, "delete") == 0
	}
	for _, r := range loaded.rows {
		if deleted[string(r.key)] {
			r.value = nil
		}
		must(t, in.Add(r.key, r.value))
	}
	if rapid.IntRange(0, 4).Draw(t, "abort") == 0 {
		in.Abort()
		return
	}
	o := drawOffset(t)
	must(t, in.Finish(o))
	in.Abort()
	s := m.model.store(id, es.Name(), ms.kind)
	for _, r := range loaded.rows {
		if deleted[string(r.key)] {
			s.delete(r.key)
		} else {
			s.set(r.key, r.value)
		}
	}
	s.offset, s.hasOffset = o, true
}

func (m *machine) wipe(t *rapid.T) {
	id := rapid.SampledFrom(randomTasks).Draw(t, "task")
	if m.batch[id] != nil {
		t.Skip() // a wipe between the writes of a batch and its commit is no use of the space by one writer
	}
	must(t, m.spaces[id].Wipe())
	delete(m.model, id)
}

func (m *machine) flush(t *rapid.T) { must(t, m.engine.Flush()) }

func (m *machine) get(t *rapid.T) {
	id, es, ms := m.pick(t)
	key := drawKey(t, ms.kind, "key")
	got, ok, err := es.Get([]byte("dst"), key)
	must(t, err)
	i, want := ms.find(key)
	if ok != want || !bytes.HasPrefix(got, []byte("dst")) || ok && !bytes.Equal(got[3:], ms.rows[i].value) || !ok && len(got) != 3 {
		t.Fatalf("%s/%s: get %x: got %q %v, want found %v of %v", id, es.Name(), key, got, ok, want, ms.rows)
	}
}

func (m *machine) scan(t *rapid.T) {
	id, es, ms := m.pick(t)
	lower, upper := drawBounds(t, ms.kind)
	reverse := rapid.Bool().Draw(t, "reverse")
	it, err := es.Iter(lower, upper, reverse)
	must(t, err)
	got, err := collect(it)
	must(t, err)
	if d := diff(got, ms.scan(lower, upper, reverse)); d != "" {
		t.Fatalf("%s/%s: scan [%x, %x) reverse %v: %s", id, es.Name(), lower, upper, reverse, d)
	}
}

func (m *machine) iterOpen(t *rapid.T) {
	if len(m.iters) > 4 {
		t.Skip()
	}
	_, es, ms := m.pick(t)
	lower, upper := drawBounds(t, ms.kind)
	reverse := rapid.Bool().Draw(t, "reverse")
	it, err := es.Iter(lower, upper, reverse)
	must(t, err)
	m.iters = append(m.iters, &openIter{it: it, want: ms.scan(lower, upper, reverse)})
}

func (m *machine) iterNext(t *rapid.T) {
	if len(m.iters) == 0 {
		t.Skip()
	}
	it := rapid.SampledFrom(m.iters).Draw(t, "iterator")
	ok := it.it.Next()
	if want := it.at < len(it.want); ok != want {
		t.Fatalf("iterator at row %d of %d: next %v (%v)", it.at, len(it.want), ok, it.it.Err())
	}
	if !ok {
		must(t, it.it.Err())
		must(t, it.it.Close())
		m.iters = slices.DeleteFunc(m.iters, func(x *openIter) bool { return x == it })
		return
	}
	if d := diff([]row{{it.it.Key(), it.it.Value()}}, it.want[it.at:it.at+1]); d != "" {
		t.Fatalf("iterator at row %d: %s", it.at, d)
	}
	it.at++
}

func (m *machine) offset(t *rapid.T) {
	id, es, ms := m.pick(t)
	o, ok, err := m.spaces[id].Offset(es.Name())
	must(t, err)
	if ok != ms.hasOffset || !sameOffset(o, ms.offset) {
		t.Fatalf("%s/%s: offset %+v %v, want %+v %v", id, es.Name(), o, ok, ms.offset, ms.hasOffset)
	}
}

func (m *machine) tasks(t *rapid.T) {
	got, err := m.engine.Tasks()
	must(t, err)
	if want := m.model.tasks(); !slices.Equal(got, want) {
		t.Fatalf("tasks %v, want %v", got, want)
	}
}
