package restore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// Config configures a Manager. The zero value has the documented defaults.
type Config struct {
	// Memory is shared by all restores: an eighth of it waits to be loaded, the rest is sorted in. Default 256 MiB.
	Memory int64
	// Parallel is how many stores are read at a time. Default GOMAXPROCS: what each waits for has been fetched meanwhile.
	Parallel int
	Fetch    kafka.FetchConfig
	Now      func() int64 // ms since the epoch; default: the system's clock
	Logger   *slog.Logger // default: none
}

// Store is a store to be restored.
type Store struct {
	Name      string
	Spec      *state.Spec
	Space     state.Space
	Engine    state.EngineStore
	Changelog record.TopicPartition
	// DeleteRetention is delete.retention.ms of the changelog; 0: Kafka's default, a day.
	DeleteRetention int64
	// Source says that Changelog is the topic that the store's table is read from: the state ends at To, where the task begins to
	// read.
	Source bool
	To     int64
}

// Error says which store could not be restored, and where in its changelog.
type Error struct {
	Task  record.TaskID
	Store string
	At    record.Coordinates
	Err   error
}

func (e *Error) Error() string {
	return fmt.Sprintf("task %s: store %s: %s: restore: %v", e.Task, e.Store, e.At, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// ErrStopped is the cause when the manager's Run has ended.
var ErrStopped = errors.New("restores have been stopped")

// client is what a manager needs of kafka.Client.
type client interface {
	ListOffsets(ctx context.Context, at map[record.TopicPartition]int64, iso kafka.Isolation) (map[record.TopicPartition]kafka.OffsetResult, error)
	NewFetcher(cfg kafka.FetchConfig, deliver func([]kafka.Fetched)) *kafka.Fetcher
}

var _ client = (*kafka.Client)(nil)

// Manager restores stores. All methods may be called from any goroutine.
type Manager struct {
	client  client
	cfg     Config
	fetcher *kafka.Fetcher
	slots   chan struct{}
	stopped chan struct{}
	stop    sync.Once

	records, bytes, wipes atomic.Int64

	mu      sync.Mutex
	loads   map[record.TopicPartition]*load
	byStore map[string]int64 // records
}

const (
	defaultMemory    = 256 << 20
	defaultRetention = 24 * 3600 * 1000
)

// New returns a manager. Restores begin to read when Run runs.
func New(c client, cfg Config) *Manager {
	cfg.Memory = cmp.Or(cfg.Memory, defaultMemory)
	cfg.Parallel = cmp.Or(cfg.Parallel, runtime.GOMAXPROCS(0))
	if cfg.Now == nil {
		cfg.Now = func() int64 { return time.Now().UnixMilli() }
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Manager{
		client: c, cfg: cfg, slots: make(chan struct{}, cfg.Parallel), stopped: make(chan struct{}),
		loads: map[record.TopicPartition]*load{}, byStore: map[string]int64{},
	}
	m.fetcher = c.NewFetcher(cfg.Fetch, m.deliver)
	return m
}

// Run reads for the restores until ctx ends. Those under way then fail with ErrStopped. It can be called once.
func (m *Manager) Run(ctx context.Context) error {
	defer m.stop.Do(func() { close(m.stopped) })
	return m.fetcher.Run(ctx)
}

// Restore brings the stores of a task up to the ends of their changelogs, beside one another, and returns how far each has
// come, in their order. When ctx ends it returns context.Cause soon; what has reached the engine stays (R2).
func (m *Manager) Restore(ctx context.Context, task record.TaskID, stores []Store) ([]state.StoredOffset, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	reached := make([]state.StoredOffset, len(stores))
	errs := make([]error, len(stores))
	var wg sync.WaitGroup
	for i := range stores {
		wg.Go(func() {
			reached[i], errs[i] = m.restore(ctx, task, &stores[i])
			if errs[i] != nil {
				cancel(errs[i]) // the others are of no use any more
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return reached, nil
}

func (m *Manager) restore(ctx context.Context, task record.TaskID, s *Store) (state.StoredOffset, error) {
	l := &load{m: m, task: task, Store: s, wake: make(chan struct{}, 1)}
	wrap := func(err error) error {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return &Error{task, s.Name, record.Coordinates{TopicPartition: s.Changelog, Offset: l.position.Load()}, err}
	}
	var err error
	if l.stored, l.ok, err = s.Space.Offset(s.Name); err != nil {
		return state.StoredOffset{}, wrap(err)
	}
	l.limited, l.limit = s.Source, s.To
	l.retention = cmp.Or(s.DeleteRetention, defaultRetention)
	l.position.Store(l.stored.Changelog)
	if err := m.enter(l); err != nil {
		return state.StoredOffset{}, wrap(err)
	}
	defer m.exit(l)
	select {
	case m.slots <- struct{}{}:
		defer func() { <-m.slots }()
	case <-m.stopped:
		return state.StoredOffset{}, wrap(ErrStopped)
	case <-ctx.Done():
		return state.StoredOffset{}, context.Cause(ctx)
	}
	o, err := l.run(ctx)
	if err != nil {
		return state.StoredOffset{}, wrap(err)
	}
	return o, nil
}

func (m *Manager) enter(l *load) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if other := m.loads[l.Changelog]; other != nil {
		return fmt.Errorf("its changelog is being restored already, by store %s of task %s", other.Name, other.task)
	}
	m.loads[l.Changelog] = l
	m.byStore[l.Name] += 0 // listed from now on
	return nil
}

func (m *Manager) exit(l *load) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.loads, l.Changelog)
}

// share is what one load may use.
func (m *Manager) share() int64 { return m.cfg.Memory / int64(m.cfg.Parallel) }

// waits is what it may keep waiting, room what it may sort in: the more, the fewer rounds there are, which have to be merged.
func (m *Manager) waits() int64 { return m.share() / 8 }
func (m *Manager) room() int64  { return m.share() - m.waits() }

// deliver hands the fetcher's answers to the loads.
func (m *Manager) deliver(answer []kafka.Fetched) {
	for _, f := range answer {
		m.mu.Lock()
		l := m.loads[f.TP]
		m.mu.Unlock()
		if l == nil {
			release(f.Batches)
			continue
		}
		l.put(f)
	}
}

// Progress tells how restores go.
type Progress struct {
	Records, Bytes int64 // read so far, by all restores
	Wipes          int64 // stores that were wiped
	Stores         int   // being restored, or waiting for their turn
	Remaining      int64 // offsets that those being restored are behind their ends
}

// Progress returns how restores go.
func (m *Manager) Progress() Progress {
	p := Progress{Records: m.records.Load(), Bytes: m.bytes.Load(), Wipes: m.wipes.Load()}
	m.mu.Lock()
	defer m.mu.Unlock()
	p.Stores = len(m.loads)
	for _, l := range m.loads {
		p.Remaining += max(0, l.goal.Load()-l.position.Load())
	}
	return p
}

// StoreProgress tells how the restores of the stores of one name go, of all tasks.
type StoreProgress struct {
	Store     string
	Records   int64           // read so far
	Remaining map[int32]int64 // offsets that those being restored are behind their ends, by partition
}

// ByStore returns how restores go, by store. Stores of which nothing was ever restored are not listed.
func (m *Manager) ByStore() []StoreProgress {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]StoreProgress, 0, len(m.byStore))
	for _, name := range slices.Sorted(maps.Keys(m.byStore)) {
		p := StoreProgress{name, m.byStore[name], map[int32]int64{}}
		for tp, l := range m.loads {
			if l.Name == name {
				p.Remaining[tp.Partition] += max(0, l.goal.Load()-l.position.Load())
			}
		}
		list = append(list, p)
	}
	return list
}

// count adds up what was read for a store.
func (m *Manager) count(store string, records, bytes int64) {
	m.records.Add(records)
	m.bytes.Add(bytes)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.byStore[store] += records
}

func release(batches []*kafka.Batch) {
	for _, b := range batches {
		b.Release()
	}
}
