package pebblestore

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// A workload writes what it does into a history before it does it. Every write carries its number as the offset of the
// stores that it touches, so the offset that is found after a crash says what the rows must be.
type workload struct {
	rng   *rand.Rand
	n     int64 // number of the last write
	rows  map[place]map[string]string
	done  atomic.Int64 // every write up to this number is durable
	inOrd map[record.TaskID][]commit

	mu      sync.Mutex
	history map[place]map[int64]map[string]string
	wiped   map[place][]int64
	kinds   map[string]int // how often each kind of write was done
}

type place struct {
	task  record.TaskID
	store string
}

// commit is a batch that touched several stores of a task.
type commit struct {
	n      int64
	stores []string
}

var workTasks = []record.TaskID{{Sub: 0, Partition: 0}, {Sub: 0, Partition: 1}}
var workStores = []string{"a", "b", "c", "d"}

// workKind is the kind of a store: with each, what lies around its rows and how they compare is another.
func workKind(name string) state.Kind {
	switch name {
	case "b":
		return state.KindWindow
	case "c":
		return state.KindSession
	case "d":
		return state.KindVersioned
	}
	return state.KindKeyValue
}

// keyOf is the i-th key of a store, in order. Of kinds with times it is that of a row in one of two segments.
func keyOf(store string, i int) string {
	n := workKind(store).SuffixLen()
	if n == 0 {
		return fmt.Sprintf("key-%03d", i)
	}
	suffix := make([]byte, n)
	suffix[7] = byte(i * 37)
	return fmt.Sprintf("%08d-key-%03d%s", i/40, i, suffix)
}

func newWorkload(seed uint64) *workload {
	return &workload{
		rng: rand.New(rand.NewPCG(seed, 1)), rows: map[place]map[string]string{}, inOrd: map[record.TaskID][]commit{},
		history: map[place]map[int64]map[string]string{}, wiped: map[place][]int64{}, kinds: map[string]int{},
	}
}

// begin notes what a write makes of a store.
func (w *workload) begin(p place, rows map[string]string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.history[p] == nil {
		w.history[p] = map[int64]map[string]string{}
	}
	w.history[p][w.n] = maps.Clone(rows)
	w.rows[p] = rows
}

func (w *workload) value(large bool) string {
	v := fmt.Sprintf("%d-%d-", w.n, w.rng.Uint64())
	if !large {
		return v
	}
	b := make([]byte, 3000+w.rng.IntN(2000))
	for i := range b {
		b[i] = byte(w.rng.Uint64())
	}
	return v + string(b)
}

func (w *workload) key(store string) string { return keyOf(store, w.rng.IntN(80)) }

// run does writes until there is an error.
func (w *workload) run(e *Engine, writes int) error {
	spaces := map[record.TaskID]state.Space{}
	stores := map[place]state.EngineStore{}
	for _, id := range workTasks {
		s, err := e.Space(id)
		if err != nil {
			return err
		}
		defer s.Close()
		spaces[id] = s
		for _, name := range workStores {
			es, err := s.Store(name, workKind(name))
			if err != nil {
				return err
			}
			stores[place{id, name}] = es
		}
	}
	for i := range writes {
		id := workTasks[w.rng.IntN(len(workTasks))]
		r := w.rng.IntN(100)
		if i >= 10 && i < 15 {
			r = []int{90, 0, 70, 80, 99}[i-10] // each kind, in every run
		}
		var err error
		switch {
		case r < 60:
			err = w.batch(spaces[id], stores, id, false)
		case r < 72:
			err = w.batch(spaces[id], stores, id, true)
		case r < 88:
			err = w.ingest(stores, id)
		case r < 91:
			err = w.wipe(spaces[id], id)
		default:
			err = w.flush(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *workload) batch(s state.Space, stores map[place]state.EngineStore, id record.TaskID, large bool) error {
	w.n++
	b := s.Batch()
	defer b.Discard()
	c := commit{n: w.n}
	for _, name := range workStores {
		if w.rng.IntN(4) == 0 {
			continue
		}
		p := place{id, name}
		rows := maps.Clone(w.rows[p])
		if rows == nil {
			rows = map[string]string{}
		}
		if err := w.fill(b, stores[p], rows, large); err != nil {
			return err
		}
		if err := b.SetOffset(name, w.offset()); err != nil {
			return err
		}
		w.begin(p, rows)
		c.stores = append(c.stores, name)
	}
	w.mu.Lock()
	w.inOrd[id] = append(w.inOrd[id], c)
	w.kinds["batch"]++
	if b.Len() > 40<<10 {
		w.kinds["batch larger than a memtable holds"]++
	}
	w.mu.Unlock()
	return b.Commit()
}

func (w *workload) offset() state.StoredOffset {
	return state.StoredOffset{Changelog: w.n, BrokerTime: w.n * 10, Position: []byte(strconv.FormatInt(w.n, 10))}
}

func (w *workload) fill(b state.Batch, es state.EngineStore, rows map[string]string, large bool) error {
	if w.rng.IntN(10) == 0 {
		lower, upper := w.key(es.Name()), w.key(es.Name())
		for k := range rows {
			if k >= lower && k < upper {
				delete(rows, k)
			}
		}
		if err := b.DeleteRange(es, []byte(lower), []byte(upper)); err != nil {
			return err
		}
	}
	writes := 1 + w.rng.IntN(12)
	if large {
		writes = 20 + w.rng.IntN(30)
	}
	for range writes {
		k := w.key(es.Name())
		if w.rng.IntN(4) == 0 {
			delete(rows, k)
			if err := b.Delete(es, []byte(k)); err != nil {
				return err
			}
			continue
		}
		rows[k] = w.value(large)
		if err := b.Set(es, []byte(k), []byte(rows[k])); err != nil {
			return err
		}
	}
	return nil
}

func (w *workload) ingest(stores map[place]state.EngineStore, id record.TaskID) error {
	w.n++
	p := place{id, workStores[w.rng.IntN(len(workStores))]}
	rows := maps.Clone(w.rows[p])
	if rows == nil {
		rows = map[string]string{}
	}
	in, err := stores[p].Ingester()
	if err != nil {
		return err
	}
	defer in.Abort()
	for i := range 80 {
		k := keyOf(p.store, i)
		switch w.rng.IntN(4) {
		case 0:
			delete(rows, k)
			err = in.Add([]byte(k), nil)
		case 1:
			rows[k] = w.value(i%8 == 0)
			err = in.Add([]byte(k), []byte(rows[k]))
		}
		if err != nil {
			return err
		}
	}
	w.begin(p, rows)
	w.mu.Lock()
	w.kinds["ingest"]++
	w.mu.Unlock()
	return in.Finish(w.offset())
}

func (w *workload) wipe(s state.Space, id record.TaskID) error {
	w.n++
	w.mu.Lock()
	for _, name := range workStores {
		p := place{id, name}
		w.wiped[p] = append(w.wiped[p], w.n)
		w.rows[p] = nil
	}
	w.kinds["wipe"]++
	w.mu.Unlock()
	return s.Wipe()
}

func (w *workload) flush(e *Engine) error {
	w.mu.Lock()
	w.kinds["flush"]++
	w.mu.Unlock()
	if err := e.Flush(); err != nil {
		return err
	}
	w.done.Store(w.n)
	return nil
}

// verify checks that an engine holds a prefix of the history that goes as far as durable at least.
func (w *workload) verify(e *Engine, durable int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range workTasks {
		s, err := e.Space(id)
		if err != nil {
			return err
		}
		found := map[string]int64{}
		for _, name := range workStores {
			p := place{id, name}
			at, err := w.verifyStore(s, p)
			if err != nil {
				return err
			}
			found[name] = at
			if err := w.verifyDurable(p, at, durable); err != nil {
				return err
			}
		}
		for _, c := range w.inOrd[id] {
			there, not := 0, 0
			for _, name := range c.stores {
				switch at := found[name]; {
				case at == 0: // a wipe may have taken it
				case at >= c.n:
					there++
				default:
					not++
				}
			}
			if there > 0 && not > 0 {
				return fmt.Errorf("task %s: commit %d is there in part: offsets %v", id, c.n, found)
			}
		}
		if err := s.Close(); err != nil {
			return err
		}
	}
	return nil
}

// verifyStore compares rows and offset with the history, and returns the offset; 0 is none.
func (w *workload) verifyStore(s state.Space, p place) (int64, error) {
	es, err := s.Store(p.store, workKind(p.store))
	if err != nil {
		return 0, err
	}
	o, ok, err := s.Offset(p.store)
	if err != nil {
		return 0, err
	}
	got := map[string]string{}
	it, err := es.Iter(nil, nil, false)
	if err != nil {
		return 0, err
	}
	for it.Next() {
		got[string(it.Key())] = string(it.Value())
	}
	if err := it.Err(); err != nil {
		it.Close()
		return 0, err
	}
	if err := it.Close(); err != nil {
		return 0, err
	}
	var want map[string]string
	if ok {
		if want, ok = w.history[p][o.Changelog]; !ok {
			return 0, fmt.Errorf("%v: offset %d was never written", p, o.Changelog)
		}
		if o.BrokerTime != 10*o.Changelog || string(o.Position) != strconv.FormatInt(o.Changelog, 10) {
			return 0, fmt.Errorf("%v: offset %+v has parts of several", p, o)
		}
	}
	if !maps.Equal(got, want) {
		return 0, fmt.Errorf("%v: the rows are not those of offset %d: %d rows, want %d", p, o.Changelog, len(got), len(want))
	}
	for k, v := range want {
		if g, ok, err := es.Get(nil, []byte(k)); err != nil || !ok || string(g) != v {
			return 0, fmt.Errorf("%v: get %q: %v %w, which an iterator saw", p, k, ok, err)
		}
	}
	return o.Changelog, nil
}

// verifyDurable checks that nothing older than the last flush is found.
func (w *workload) verifyDurable(p place, at, durable int64) error {
	last := int64(0)
	for n := range w.history[p] {
		if n <= durable {
			last = max(last, n)
		}
	}
	wipes := w.wiped[p]
	if i := slices.IndexFunc(wipes, func(n int64) bool { return n > last }); at == 0 && i >= 0 {
		return nil // a wipe after that has emptied it
	}
	if at < last {
		return fmt.Errorf("%v: offset %d, but a flush had made %d durable", p, at, last)
	}
	return nil
}
