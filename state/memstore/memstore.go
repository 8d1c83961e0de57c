package memstore

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// Engine implements [state.Engine] in memory.
type Engine struct {
	mu     sync.Mutex
	spaces map[record.TaskID]*space
	closed atomic.Bool
	iters  atomic.Int64 // open iterators
}

var _ state.Engine = (*Engine)(nil)

// New returns an empty engine.
func New() *Engine { return &Engine{spaces: map[record.TaskID]*space{}} }

// Space implements [state.Engine].
func (e *Engine) Space(id record.TaskID) (state.Space, error) {
	if err := e.open("space"); err != nil {
		return nil, err
	}
	if id.Sub < 0 || id.Partition < 0 {
		return nil, fmt.Errorf("task %s: a task id has no negative part", id)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.spaces[id]
	if s == nil {
		s = &space{engine: e, id: id, made: map[string]madeStore{}}
		s.now.Store(&content{})
		e.spaces[id] = s
	}
	return &handle{space: s}, nil
}

// Tasks implements [state.Engine].
func (e *Engine) Tasks() ([]record.TaskID, error) {
	if err := e.open("tasks"); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var ids []record.TaskID
	for id, s := range e.spaces {
		if len(s.now.Load().stores) > 0 {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, record.TaskID.Compare)
	return ids, nil
}

// Flush implements [state.Engine]. Memory has nothing to flush.
func (e *Engine) Flush() error { return e.open("flush") }

// Close implements [state.Engine].
func (e *Engine) Close() error {
	if n := e.iters.Load(); n > 0 {
		return fmt.Errorf("state in memory: close: %d iterators are open", n)
	}
	if e.closed.Swap(true) {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.spaces {
		s.now.Store(&content{})
	}
	return nil
}

func (e *Engine) open(op string) error {
	if e.closed.Load() {
		return fmt.Errorf("state in memory: %s: %w", op, state.ErrClosed)
	}
	return nil
}

// space holds a task's state: an immutable content that each commit replaces (M1).
type space struct {
	engine *Engine
	id     record.TaskID
	now    atomic.Pointer[content]

	mu   sync.Mutex           // serialises commits
	made map[string]madeStore // guarded by mu
}

// madeStore is a store that Store has made, committed or not. It stays known over a wipe, so that who holds it can write
// again, but may then be made anew with another kind.
type madeStore struct {
	kind  state.Kind
	wiped bool
}

type content struct {
	stores map[string]storeContent
}

type storeContent struct {
	kind      state.Kind
	rows      tree
	offset    state.StoredOffset
	hasOffset bool
}

// update replaces the content by what f makes of a copy of it.
func (s *space) update(f func(stores map[string]storeContent)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.engine.open("commit"); err != nil {
		return fmt.Errorf("task %s: %w", s.id, err)
	}
	stores := maps.Clone(s.now.Load().stores)
	if stores == nil {
		stores = map[string]storeContent{}
	}
	f(stores)
	s.now.Store(&content{stores})
	return nil
}

// handle is a space as one caller has opened it.
type handle struct {
	*space
	closed atomic.Bool
}

func (h *handle) check(op string) error {
	if h.closed.Load() {
		return fmt.Errorf("task %s: %s: space %w", h.id, op, state.ErrClosed)
	}
	return h.engine.open(op)
}

func (h *handle) Store(name string, kind state.Kind) (state.EngineStore, error) {
	if err := h.check("store"); err != nil {
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
	if had, ok := h.made[name]; ok && !had.wiped && had.kind != kind {
		return nil, fmt.Errorf("task %s: store %q exists as a %s store and cannot be opened as a %s store", h.id, name, had.kind, kind)
	}
	h.made[name] = madeStore{kind: kind}
	return &store{space: h.space, handle: h, name: name, kind: kind}, nil
}

func (h *handle) Offset(name string) (state.StoredOffset, bool, error) {
	if err := h.check("offset"); err != nil {
		return state.StoredOffset{}, false, err
	}
	c := h.now.Load().stores[name]
	o := c.offset
	o.Position = slices.Clone(o.Position)
	return o, c.hasOffset, nil
}

func (h *handle) Wipe() error {
	if err := h.check("wipe"); err != nil {
		return err
	}
	h.mu.Lock()
	for name, m := range h.made {
		m.wiped = true
		h.made[name] = m
	}
	h.mu.Unlock()
	return h.update(func(stores map[string]storeContent) { clear(stores) })
}

func (h *handle) Close() error {
	h.closed.Store(true)
	return nil
}
