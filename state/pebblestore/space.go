package pebblestore

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// space is the state of a task, shared by all who have opened it.
type space struct {
	engine *Engine
	id     record.TaskID

	mu        sync.Mutex
	made      map[string]*madeStore
	lastBatch atomic.Int64 // bytes of the batch committed last
}

// madeStore is a store that Store has made or found. It stays known over a wipe, so that who holds it can write again, but
// may then be made anew with another kind.
type madeStore struct {
	number   uint32
	kind     state.Kind
	recorded bool // its record is committed
	wiped    bool
}

// handle is a space as one caller has opened it.
type handle struct {
	*space
	closed atomic.Bool
}

// Space implements [state.Engine].
func (e *Engine) Space(id record.TaskID) (state.Space, error) {
	if err := e.open(nil, "", "space"); err != nil {
		return nil, err
	}
	if id.Sub < 0 || id.Partition < 0 {
		return nil, fmt.Errorf("task %s: a task id has no negative part", id)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.spaces[id]
	if s == nil {
		s = &space{engine: e, id: id, made: map[string]*madeStore{}}
		e.spaces[id] = s
	}
	return &handle{space: s}, nil
}

// open returns an error if the engine is closed or has failed.
func (e *Engine) open(task *record.TaskID, store, op string) error {
	if err := e.gate.enter(); err != nil {
		return e.wrap(task, store, op, err)
	}
	e.gate.leave()
	return e.health.check(task, store, op)
}

func (h *handle) check(store, op string) error {
	if h.closed.Load() {
		return h.engine.wrap(&h.id, store, op, fmt.Errorf("space %w", state.ErrClosed))
	}
	return nil
}

func (h *handle) Store(name string, kind state.Kind) (state.EngineStore, error) {
	if err := h.check("", "store"); err != nil {
		return nil, err
	}
	if err := h.engine.open(&h.id, name, "store"); err != nil {
		return nil, err
	}
	if err := state.CheckName("store", name); err != nil {
		return nil, fmt.Errorf("task %s: %w", h.id, err)
	}
	if !kind.Valid() {
		return nil, fmt.Errorf("task %s: store %q: there is no store of %s", h.id, name, kind)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.made[name]
	if m == nil {
		var err error
		if m, err = h.find(name, kind); err != nil {
			return nil, err
		}
	}
	switch {
	case m.kind == kind:
		m.wiped = false
	case m.wiped:
		m = &madeStore{number: m.number, kind: kind}
	default:
		return nil, fmt.Errorf("task %s: store %q exists as a %s store and cannot be opened as a %s store", h.id, name, m.kind, kind)
	}
	h.made[name] = m
	return newStore(h, name, m), nil
}

// find looks a store up in the database. kind is for one that does not exist yet.
func (h *handle) find(name string, kind state.Kind) (*madeStore, error) {
	number, err := h.engine.names.number(name)
	if err != nil {
		return nil, err
	}
	rec, ok, err := h.record(name, number)
	if err != nil {
		return nil, err
	}
	if !ok {
		return &madeStore{number: number, kind: kind}, nil
	}
	if rec.format != storeFormat {
		return nil, &state.EngineError{
			Trouble: state.TroubleFormat, Dir: h.engine.dir, Task: &h.id, Store: name, Op: "store",
			Err: fmt.Errorf("it was written in format %d, and this version knows format %d only: wipe it to restore from the changelog", rec.format, storeFormat),
		}
	}
	return &madeStore{number: number, kind: rec.kind, recorded: true}, nil
}

// record reads the record of a store.
func (s *space) record(name string, number uint32) (rec storeRecord, ok bool, err error) {
	key := makePrefix(s.id, number, kindRecord)
	err = s.engine.read(&s.id, name, "read record", func() error {
		v, closer, err := s.engine.db.Get(key[:])
		if errors.Is(err, pebble.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		ok = true
		rec, err = parseRecord(v)
		return errors.Join(err, closer.Close())
	})
	return rec, ok && err == nil, err
}

func (h *handle) Offset(name string) (state.StoredOffset, bool, error) {
	if err := h.check(name, "offset"); err != nil {
		return state.StoredOffset{}, false, err
	}
	number, ok := h.engine.names.get(name)
	if !ok {
		return state.StoredOffset{}, false, h.engine.open(&h.id, name, "offset")
	}
	rec, _, err := h.record(name, number)
	rec.offset.Position = slices.Clone(rec.offset.Position)
	return rec.offset, rec.hasOffset && err == nil, err
}

func (h *handle) Wipe() error {
	if err := h.check("", "wipe"); err != nil {
		return err
	}
	lower, upper := taskRange(h.id)
	h.engine.dirty.Store(true)
	err := h.engine.bounded(&h.id, "", "wipe", func() error {
		return h.engine.db.DeleteRange(lower, upper, pebble.NoSync)
	})
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.made {
		m.recorded, m.wiped = false, true
	}
	return nil
}

func (h *handle) Close() error {
	h.closed.Store(true)
	return nil
}
