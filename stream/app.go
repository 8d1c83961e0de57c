package stream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/oxbow-streams/oxbow/internal/engine"
	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/memstore"
	"github.com/oxbow-streams/oxbow/topology"
)

// State is the state of an application, with Kafka Streams' names.
type State = engine.State

// The states.
const (
	Created         = engine.StateCreated
	Rebalancing     = engine.StateRebalancing
	Running         = engine.StateRunning
	PendingShutdown = engine.StatePendingShutdown
	NotRunning      = engine.StateNotRunning
	Errored         = engine.StateError
)

// Stats are what an application has counted so far.
type Stats = engine.Snapshot

var codecs = map[Codec]kafka.Codec{"": kafka.None, NoCompression: kafka.None, Gzip: kafka.Gzip, Snappy: kafka.Snappy,
	LZ4: kafka.LZ4, Zstd: kafka.Zstd}

// App is an application: a program with a configuration. [App.Run] runs it, once.
type App struct {
	cfg  Config
	topo *topology.Topology

	mu     sync.Mutex
	engine *engine.App // nil until Run
	ran    bool
	states chan struct{} // closed when engine is set

	metricsAddr string // once served
}

// New compiles the program and checks the configuration. All mistakes of both are reported at once.
func New(b *Builder, c Config) (*App, error) {
	id := c.ApplicationID
	if id == "" {
		id = "unnamed" // reported below
	}
	topo, err := b.Build(id)
	if err = errors.Join(c.Validate(), err); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	topo.Unbuffered = c.CacheMaxBytes < 0
	return &App{cfg: c, topo: topo, states: make(chan struct{})}, nil
}

// Topology returns the compiled program.
func (a *App) Topology() *topology.Topology { return a.topo }

// Run works until ctx ends: then it commits, leaves the group, and returns nil when everything it started has ended. An error
// says why it could not start, or had to stop.
func (a *App) Run(ctx context.Context) (err error) {
	a.mu.Lock()
	if a.ran {
		a.mu.Unlock()
		return fmt.Errorf("application %s was run before: make a new one with New", a.cfg.ApplicationID)
	}
	a.ran = true
	a.mu.Unlock()
	c := a.cfg
	client, err := kafka.Open(kafka.Config{Brokers: c.Brokers, ClientID: c.ClientID, TLS: c.TLS, SASL: c.SASL, Dial: c.Dial,
		Logger: c.Logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	disk := c.StateEngine
	if disk == nil {
		if disk, err = a.openState(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, disk.Close()) }()
	}
	memory := memstore.New()
	defer func() { err = errors.Join(err, memory.Close()) }()
	app := engine.NewApp(a.engineConfig(client, disk, memory))
	a.mu.Lock()
	a.engine = app
	close(a.states)
	a.mu.Unlock()
	stop, err := a.serve(ctx, app)
	if err != nil {
		return err
	}
	err = app.Run(ctx)
	return errors.Join(err, stop())
}

func (a *App) engineConfig(client *kafka.Client, disk, memory state.Engine) engine.AppConfig {
	c := &a.cfg
	policy, topics := c.policies()
	return engine.AppConfig{
		App: c.ApplicationID, Version: c.Version, Topology: a.topo, Client: client, Engine: disk, Memory: memory,
		Budget: state.NewBudget(c.DirtyMaxBytes, max(c.CacheMaxBytes, 0), c.StateCacheBytes), Workers: c.Workers,
		ExactlyOnce: c.Guarantee == ExactlyOnce, TransactionTimeout: c.TransactionTimeout, Instance: instanceOf(disk),
		CommitInterval: c.CommitInterval, Linger: 5 * time.Millisecond, MaxTaskIdle: c.MaxTaskIdle,
		MaxProcessingTime: c.MaxProcessingTime, CallTimeout: c.CallTimeout,
		InboxBytes: 2 * c.FetchPartitionBytes, BatchBytes: 256 << 10, UnitBytes: c.MaxUnitBytes, MaxBuffered: 64 * mib,
		Codec: codecs[c.Compression],
		Fetch: kafka.FetchConfig{MaxWait: c.FetchWait, PartitionBytes: int32(c.FetchPartitionBytes),
			BrokerBytes: int32(c.FetchBrokerBytes), Logger: c.Logger},
		InstanceID: c.InstanceID, Session: c.Session, Heartbeat: c.Heartbeat, RebalanceTimeout: c.RebalanceTimeout,
		OffsetReset: c.OffsetReset, MetadataMaxAge: c.MetadataMaxAge, DeadLetters: c.DeadLetterTopic, Policy: policy, TopicPolicy: topics,
		KeepPartial: c.KeepPartial, Twice: c.CheckUnits, Replication: int16(c.Replication),
		ShutdownTimeout: c.ShutdownTimeout, Logger: c.Logger, Listener: c.Listener,
	}
}

// instanceOf names the instance: by what its state directory says, so that it has the same name after a restart.
func instanceOf(e state.Engine) string {
	if named, ok := e.(interface{ InstanceID() string }); ok {
		return named.InstanceID()
	}
	return rand.Text()
}

// stateDir is where the state of applications is kept.
func (a *App) stateDir() (string, error) {
	if a.cfg.StateDir != "" {
		return a.cfg.StateDir, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("config: StateDir is empty, and there is no cache directory of the user: %w: set StateDir", err)
	}
	return filepath.Join(cache, "oxbow"), nil
}

// State returns the state of the application.
func (a *App) State() State {
	if app := a.running(); app != nil {
		now, _ := app.State()
		return now
	}
	return Created
}

// Await waits until the application is in a state, or ctx ends. It returns an error if the state cannot be reached any more.
func (a *App) Await(ctx context.Context, want State) error {
	select {
	case <-a.states:
	case <-ctx.Done():
		return ctx.Err()
	}
	app := a.running()
	for {
		now, changed := app.State()
		if now == want {
			return nil
		}
		if now == NotRunning || now == Errored {
			return fmt.Errorf("application %s is %s, not %s", a.cfg.ApplicationID, now, want)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (a *App) running() *engine.App {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.engine
}

// Stats returns what was counted so far.
func (a *App) Stats() Stats {
	if app := a.running(); app != nil {
		return app.Snapshot()
	}
	return Stats{}
}

// buildVersion is the revision that the Go toolchain has stamped on the program.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return info.Main.Version
}
