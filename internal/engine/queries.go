package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/topology"
)

// Queries reads the committed state of the tasks that are here. It may be used by any goroutine, at any time: what is not here,
// or not ready, is a typed error.
//
// Reads go to the engine and never to a task's cache, so they see what was committed and nothing else, and hold nobody up. The
// state of a task is open to queries from the end of its restore until the task is closed.
type Queries struct {
	Topology *topology.Topology

	tasks  Residents
	engine state.Engine // of the stores on disk
	memory state.Engine

	mu      sync.Mutex
	stores  map[residence]state.EngineStore
	spaces  map[spaceOf]state.Space
	changed chan struct{} // closed at the next change; nil while nobody waits
	open    int           // queries under way
	idle    chan struct{} // closed when the last of them has ended; nil before Close
	ended   atomic.Pointer[error]
}

// Residents are the tasks of an instance, as queries see them.
type Residents interface {
	// Resident returns a task that is here.
	Resident(id record.TaskID) (Resident, bool)
	// Tasks is how many tasks a sub-topology has, in all instances together.
	Tasks(sub int32) int32
	// Running returns an error if no task can be here.
	Running() error
}

// Resident is a task that is here.
type Resident struct {
	Restoring bool
	// Start are the offsets at which it began to read: its state includes what lies before.
	Start map[record.TopicPartition]int64
}

type (
	residence struct {
		id    record.TaskID
		store string
	}
	spaceOf struct {
		id     record.TaskID
		memory bool
	}
)

// NewQueries returns the queries of an instance.
func NewQueries(t *topology.Topology, tasks Residents, disk, memory state.Engine) *Queries {
	return &Queries{Topology: t, tasks: tasks, engine: disk, memory: memory, stores: map[residence]state.EngineStore{},
		spaces: map[spaceOf]state.Space{}}
}

// Query is a query under way. The state stays open until its End.
type Query struct{ q *Queries }

// Begin begins a query.
func (q *Queries) Begin() (Query, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e := q.ended.Load(); e != nil {
		return Query{}, *e
	}
	if err := q.tasks.Running(); err != nil {
		return Query{}, &NotRunningError{Err: err}
	}
	q.open++
	return Query{q}, nil
}

// Err returns an error once the state is to be closed. Who iterates asks for each row.
func (x Query) Err() error {
	if e := x.q.ended.Load(); e != nil {
		return *e
	}
	return nil
}

// End ends the query.
func (x Query) End() {
	q := x.q
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open--; q.open == 0 && q.idle != nil {
		close(q.idle)
	}
}

// Close refuses queries from now on, and waits for those under way. Iterations end with an error at their next row.
func (q *Queries) Close(ctx context.Context) error {
	var ended error = &NotRunningError{Err: errors.New("it has been stopped"), Ended: true}
	q.mu.Lock()
	if q.idle != nil {
		q.mu.Unlock()
		return nil
	}
	q.idle = make(chan struct{})
	q.ended.Store(&ended)
	if q.open == 0 {
		close(q.idle)
	}
	q.mu.Unlock()
	q.Changed()
	var err error
	select {
	case <-q.idle:
	case <-ctx.Done():
		q.mu.Lock()
		if q.open > 0 {
			err = fmt.Errorf("%d queries have not ended: a loop over the rows of a store is still running", q.open)
		}
		q.mu.Unlock()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if err != nil {
		return err // what they read stays open: they end with an error at their next row
	}
	for _, s := range q.spaces {
		err = errors.Join(err, s.Close())
	}
	return err
}

// Changed says that something was committed, or that a task has come or gone.
func (q *Queries) Changed() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.changed != nil {
		close(q.changed)
		q.changed = nil
	}
}

// Change is closed at the next change.
func (q *Queries) Change() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.changed == nil {
		q.changed = make(chan struct{})
	}
	return q.changed
}

// Part is what is here of a store: the rows of one task.
type Part struct {
	ID    record.TaskID
	Rows  state.EngineStore
	store string
	space state.Space
	start map[record.TopicPartition]int64
}

// Tasks is how many tasks share a store, in all instances together.
func (q *Queries) Tasks(st *topology.Store) int32 { return q.tasks.Tasks(int32(st.Sub)) }

// Here lists the partitions of a store that are here. The others are restoring, or in other instances.
func (q *Queries) Here(st *topology.Store) (ready, restoring []int32) {
	for p := range q.Tasks(st) {
		r, ok := q.tasks.Resident(record.TaskID{Sub: int32(st.Sub), Partition: p})
		switch {
		case !ok:
		case r.Restoring:
			restoring = append(restoring, p)
		default:
			ready = append(ready, p)
		}
	}
	return ready, restoring
}

// Part returns one partition of a store. stale takes one that is restoring as well.
func (q *Queries) Part(st *topology.Store, partition int32, stale bool) (Part, error) {
	id := record.TaskID{Sub: int32(st.Sub), Partition: partition}
	r, ok := q.tasks.Resident(id)
	switch {
	case !ok:
		ready, restoring := q.Here(st)
		here := append(ready, restoring...)
		slices.Sort(here)
		return Part{}, &StoreNotHereError{Store: st.Name, Partition: partition, Partitions: q.Tasks(st), Here: here}
	case r.Restoring && !stale:
		return Part{}, &RestoringError{Store: st.Name, Partition: partition}
	}
	return q.openPart(st, id, r)
}

// Parts returns all partitions of a store that are here, in order. None is an error; so is one that is restoring, unless stale
// takes it as it is.
func (q *Queries) Parts(st *topology.Store, stale bool) ([]Part, error) {
	var parts []Part
	for p := range q.Tasks(st) {
		id := record.TaskID{Sub: int32(st.Sub), Partition: p}
		r, ok := q.tasks.Resident(id)
		switch {
		case !ok:
			continue
		case r.Restoring && !stale:
			return nil, &RestoringError{Store: st.Name, Partition: p}
		}
		part, err := q.openPart(st, id, r)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return nil, &StoreNotHereError{Store: st.Name, Partition: -1, Partitions: q.Tasks(st)}
	}
	return parts, nil
}

func (q *Queries) openPart(st *topology.Store, id record.TaskID, r Resident) (Part, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	space, err := q.spaceOf(id, st.Spec.InMemory)
	if err != nil {
		return Part{}, err
	}
	at := residence{id, st.Name}
	es := q.stores[at]
	if es == nil {
		if es, err = space.Store(st.Name, st.Spec.Kind); err != nil {
			return Part{}, err
		}
		q.stores[at] = es
	}
	return Part{ID: id, Rows: es, store: st.Name, space: space, start: r.Start}, nil
}

// spaceOf opens the state of a task for queries, once.
func (q *Queries) spaceOf(id record.TaskID, memory bool) (state.Space, error) {
	at := spaceOf{id, memory}
	if s := q.spaces[at]; s != nil {
		return s, nil
	}
	engine := q.engine
	if memory {
		engine = q.memory
	}
	s, err := engine.Space(id)
	if err == nil {
		q.spaces[at] = s
	}
	return s, err
}
