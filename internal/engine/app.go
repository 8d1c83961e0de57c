package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/engine/restore"
	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/topology"
)

// AppConfig is what an application runs by. Package stream checks it and fills in the defaults.
type AppConfig struct {
	App, Version string
	Topology     *topology.Topology
	Client       *kafka.Client
	Engine       state.Engine // of the stores on disk
	Memory       state.Engine // of the stores in memory
	Budget       *state.Budget
	Workers      int

	// ExactlyOnce makes what a worker does between two commits one transaction, which the broker aborts when it is open for
	// longer than TransactionTimeout. Instance is a part of the transactional ids: the same after a restart.
	ExactlyOnce        bool
	TransactionTimeout time.Duration
	Instance           string

	CommitInterval    time.Duration
	Linger            time.Duration // that output waits for more while there is work
	MaxTaskIdle       time.Duration // negative: never wait
	MaxProcessingTime time.Duration
	CallTimeout       time.Duration

	InboxBytes  int // per partition
	BatchBytes  int
	UnitBytes   int
	MaxBuffered int // bytes of output that wait for acknowledgement; more stop the workers
	Codec       kafka.Codec
	Fetch       kafka.FetchConfig

	InstanceID                           string
	Process                              [16]byte
	Session, Heartbeat, RebalanceTimeout time.Duration
	OffsetReset                          topology.OffsetReset // never OffsetDefault
	MetadataMaxAge                       time.Duration        // between two looks for topics that match patterns

	DeadLetters     string // topic; "": none
	Policy          *dlq.Policy
	TopicPolicy     map[string]*dlq.Policy
	KeepPartial     bool
	Twice           bool
	Replication     int16
	RestoreBytes    int64 // memory of all restores together; 0: package restore's default
	ShutdownTimeout time.Duration

	Logger   *slog.Logger
	Listener func(from, to State)
}

// App runs a topology against a cluster: workers, a fetcher, a producer, a group membership, restores. It owns every
// goroutine on a record's way but those of package kafka.
type App struct {
	cfg      AppConfig
	log      *slog.Logger
	client   *kafka.Client
	fetcher  *kafka.Fetcher
	producer *kafka.Producer // of all workers; nil with exactly once
	group    *kafka.Group
	routes   routes
	topics   atomic.Pointer[topicBook] // nil before the topics have been looked at
	tasks    *taskTable
	restores *restore.Manager
	queries  *Queries
	globals  *globals
	patterns *patterns
	shop     *Workshop
	runners  []*runner
	assignor Assignor
	numbers  atomic.Int64

	states     states
	started    atomic.Bool
	stop       context.CancelCauseFunc // ends the run with an error
	failed     atomic.Pointer[error]
	io         sync.WaitGroup // fetcher, producer, commits, restores
	ioCtx      context.Context
	closing    atomic.Bool
	rebalances atomic.Int64
	warned     atomic.Int64 // rebalances + 1 when a refused commit was warned of

	live         sync.Mutex // of the next two, for others to see
	running      []*runner
	globalRunner *runner
}

// NewApp makes an application that was not started.
func NewApp(cfg AppConfig) *App {
	a := &App{cfg: cfg, log: cfg.Logger, client: cfg.Client, routes: routes{byTP: map[record.TopicPartition]route{}}}
	if a.log == nil {
		a.log = slog.Default()
	}
	a.log = a.log.With("app", cfg.App)
	a.states.init(cfg.Listener)
	a.tasks = newTaskTable(a)
	a.globals = newGlobals(a)
	a.patterns = newPatterns(a)
	a.routes.failed = a.patterns.fetchFailed
	a.queries = NewQueries(cfg.Topology, residents{a}, cfg.Engine, cfg.Memory)
	return a
}

func (a *App) nowMs() int64 { return time.Now().UnixMilli() }

func (a *App) commitDue() bool { return a.cfg.Budget != nil && a.cfg.Budget.CommitDue() }

// fail stops the application with an error. The first one counts.
func (a *App) fail(err error) {
	if err == nil || !a.failed.CompareAndSwap(nil, &err) {
		return
	}
	a.log.Error("the application stops", "err", err)
	a.stop(err)
}

// Err returns the error that stopped the application, or nil.
func (a *App) Err() error {
	if p := a.failed.Load(); p != nil {
		return *p
	}
	return nil
}

var errRunTwice = errors.New("the application was run before: make a new one")

// Run works until ctx ends, then commits, leaves the group and returns nil, when everything it started has ended. It
// returns an error if it could not start or had to stop by itself.
func (a *App) Run(ctx context.Context) (err error) {
	if !a.started.CompareAndSwap(false, true) {
		return errRunTwice
	}
	run, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	a.stop = stop
	a.states.to(StateRebalancing)
	defer func() { err = errors.Join(err, a.closeQueries(), a.globals.close()) }()
	if err := a.prepare(run); err != nil {
		if ctx.Err() != nil && errors.Is(err, context.Cause(run)) {
			a.states.to(StatePendingShutdown)
			a.states.to(StateNotRunning)
			return nil
		}
		a.states.to(StateError)
		return err
	}
	if err = a.runAll(run); err == nil {
		a.states.to(StateNotRunning)
		return nil
	}
	a.states.to(StateError)
	return err
}

// closeQueries ends the queries: what they read is closed when Run has returned.
func (a *App) closeQueries() error {
	ctx, cancel := context.WithTimeout(context.Background(), a.cfg.ShutdownTimeout)
	defer cancel()
	return a.queries.Close(ctx)
}

// Queries reads the committed state of the instance, from any goroutine.
func (a *App) Queries() *Queries { return a.queries }

// prepare does what has to be done before the group is joined: look at the topics, make those of the application.
func (a *App) prepare(ctx context.Context) error {
	book, err := openTopicBook(ctx, a)
	if err != nil {
		return err
	}
	a.topics.Store(book)
	if err := a.globals.open(); err != nil {
		return err
	}
	a.shop = &Workshop{Topology: a.cfg.Topology, Engine: a.cfg.Engine, Memory: a.cfg.Memory, Budget: a.cfg.Budget,
		Context: ctx, CallTimeout: a.cfg.CallTimeout, Globals: a.globals.views, Space: a.globals.space}
	a.cfg.Fetch.ReadCommitted, a.routes.committed = a.cfg.ExactlyOnce, a.cfg.ExactlyOnce
	a.fetcher = a.client.NewFetcher(a.cfg.Fetch, a.routes.deliver)
	if !a.cfg.ExactlyOnce {
		a.producer = a.client.NewProducer(kafka.ProducerConfig{Codec: a.cfg.Codec}, acked)
	}
	a.restores = newRestores(a)
	if a.assignor, err = newAssignor(a); err != nil {
		return err
	}
	a.group, err = a.client.NewGroup(kafka.GroupConfig{Group: a.cfg.App, InstanceID: a.cfg.InstanceID, Session: a.cfg.Session,
		Heartbeat: a.cfg.Heartbeat, RebalanceTimeout: a.cfg.RebalanceTimeout, Assignor: a.assignor, Handler: a.tasks})
	return err
}

// runAll starts everything, waits for the end, and takes everything down in order: tasks, membership, I/O.
func (a *App) runAll(run context.Context) error {
	ioCtx, stopIO := context.WithCancel(context.WithoutCancel(run))
	defer stopIO()
	a.ioCtx = ioCtx
	a.spawn(func() { a.end(a.fetcher.Run(ioCtx)) })
	if a.producer != nil {
		a.spawn(func() { a.end(a.producer.Run(ioCtx)) })
	}
	a.spawn(func() { a.end(a.restores.Run(ioCtx)) })
	a.startRunners()
	a.spawn(func() { a.watch(ioCtx) })
	a.spawn(func() { a.end(a.patterns.run(ioCtx)) })
	a.spawn(func() { a.purge(ioCtx) })
	left := make(chan struct{})
	groupCtx, leave := context.WithCancel(context.WithoutCancel(run))
	defer leave()
	if err := a.globals.run(run); err != nil {
		a.end(err)
		close(left)
	} else {
		go func() {
			defer close(left)
			a.fail(a.group.Run(groupCtx))
		}()
	}

	<-run.Done()
	a.closing.Store(true)
	a.states.to(StatePendingShutdown)
	err := a.releaseAll()
	leave()
	<-left
	err = errors.Join(err, a.stopRunners())
	stopIO()
	a.io.Wait()
	if failed := a.Err(); failed != nil {
		return failed
	}
	return err
}

func (a *App) startRunners() {
	a.runners = make([]*runner, a.cfg.Workers)
	for i := range a.runners {
		a.runners[i] = newRunner(a, i, a.cfg.ExactlyOnce)
		a.runners[i].openProducer()
	}
	a.live.Lock()
	a.running = a.runners
	a.live.Unlock()
	for _, r := range a.runners {
		go r.run()
	}
}

// stopRunners ends the workers, that of the global stores last: tasks read them.
func (a *App) stopRunners() error {
	for _, r := range a.runners {
		r.closing.Store(true)
		r.box.post(func() {})
	}
	for _, r := range a.runners {
		<-r.done
	}
	ctx, cancel := context.WithTimeout(context.Background(), a.cfg.ShutdownTimeout)
	defer cancel()
	return a.globals.stop(ctx)
}

// allRunners are the workers, with that of the global stores.
func (a *App) allRunners() []*runner {
	a.live.Lock()
	defer a.live.Unlock()
	if a.globalRunner == nil {
		return a.running
	}
	return append(slices.Clip(a.running), a.globalRunner)
}

func (a *App) spawn(f func()) {
	a.io.Add(1)
	go func() {
		defer a.io.Done()
		f()
	}()
}

// end takes what a part of the application returned.
func (a *App) end(err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		a.fail(err)
	}
}

// watch looks for workers that are stuck in a user's function.
func (a *App) watch(ctx context.Context) {
	if a.cfg.MaxProcessingTime <= 0 {
		return
	}
	t := time.NewTicker(max(a.cfg.MaxProcessingTime/10, time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if err := a.Live(); err != nil {
				a.fail(err)
				return
			}
		}
	}
}

// Live returns an error if a worker has made no progress for longer than MaxProcessingTime although it has work.
func (a *App) Live() error {
	for _, r := range a.allRunners() {
		since := r.busy.Load()
		if since == 0 || a.cfg.MaxProcessingTime <= 0 {
			continue
		}
		if took := time.Since(time.Unix(0, since)); took > a.cfg.MaxProcessingTime {
			return fmt.Errorf("worker %d has worked on one batch for %s, MaxProcessingTime is %s: a function of the topology blocks",
				r.id, took.Round(time.Millisecond), a.cfg.MaxProcessingTime)
		}
	}
	return nil
}
