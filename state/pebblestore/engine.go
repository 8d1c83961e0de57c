package pebblestore

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// Engine implements [state.Engine] on disk.
type Engine struct {
	opts   Options
	dir    string
	id     string
	fs     *guardFS
	health *health
	pebble *pebble.Options
	db     *pebble.DB
	lock   io.Closer
	names  *names

	mu     sync.Mutex
	spaces map[record.TaskID]*space

	gate     gate
	closing  sync.Mutex // one Close at a time
	closed   bool       // guarded by closing
	iters    atomic.Int64
	dirty    atomic.Bool // something was committed since the last flush
	ingested atomic.Int64
	tables   atomic.Int64 // numbers of tables that are being built
	buffers  sync.Pool    // *[]byte, for keys
	flusher  sync.WaitGroup
}

var _ state.Engine = (*Engine)(nil)

// Open opens the state of an application, and makes it where there is none.
func Open(o Options) (*Engine, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	fs, dir, err := makeDir(o)
	if err != nil {
		return nil, err
	}
	e := &Engine{opts: o, dir: dir, fs: fs, health: newHealth(dir, fs, o.Log), spaces: map[record.TaskID]*space{}}
	e.buffers.New = func() any { return new([]byte) }
	if err := e.openDir(); err != nil {
		return nil, err
	}
	if err := e.openDB(); err != nil {
		if cerr := e.shut(); cerr != nil {
			o.Log.Warn("state engine: close after a failed open", "err", cerr)
		}
		return nil, err
	}
	e.flusher.Add(1)
	go e.flushLoop()
	return e, nil
}

// openDir locks the directory and removes what an unfinished ingest has left.
func (e *Engine) openDir() error {
	l, err := lock(e.fs, e.dir)
	if err != nil {
		return err
	}
	e.lock = l
	tables := e.fs.PathJoin(e.dir, ingestDir)
	err = e.fs.RemoveAll(tables)
	if err == nil {
		err = e.fs.MkdirAll(tables, 0o700)
	}
	if err == nil {
		e.id, err = instanceID(e.fs, e.dir)
	}
	if err == nil {
		err = syncDir(e.fs, e.dir)
	}
	if err != nil {
		l.Close()
		return e.health.broke(nil, "", "open", err)
	}
	return nil
}

// openDB opens Pebble and reads what is about the whole database.
func (e *Engine) openDB() error {
	e.pebble = e.opts.pebble(e.fs, e.health)
	opened := make(chan *pebble.DB, 1)
	err := e.bounded(nil, "", "open", func() error {
		db, err := pebble.Open(e.fs.PathJoin(e.dir, dbDir), e.pebble)
		if err == nil {
			opened <- db
		}
		return err
	})
	select {
	case e.db = <-opened:
		e.health.opened.Store(true)
	default:
	}
	if err != nil {
		return err
	}
	if err := e.checkFormat(); err != nil {
		return err
	}
	e.names = &names{engine: e}
	return e.names.load()
}

// bounded runs a call that may wait for the disk; see health.
func (e *Engine) bounded(task *record.TaskID, store, op string, f func() error) error {
	if err := e.gate.enter(); err != nil {
		return e.wrap(task, store, op, err)
	}
	return e.health.bounded(e.opts.StuckAfter, task, store, op, f, e.gate.leave)
}

// read runs a call that reads, on the caller's goroutine.
func (e *Engine) read(task *record.TaskID, store, op string, f func() error) error {
	if err := e.gate.enter(); err != nil {
		return e.wrap(task, store, op, err)
	}
	defer e.gate.leave()
	if err := e.health.check(task, store, op); err != nil {
		return err
	}
	if err := guarded(f); err != nil {
		return e.health.broke(task, store, op, err)
	}
	return nil
}

// wrap puts coordinates before an error that is no trouble of the engine.
func (e *Engine) wrap(task *record.TaskID, store, op string, err error) error {
	switch {
	case store != "":
		return fmt.Errorf("task %s: store %q: %s: %w", task, store, op, err)
	case task != nil:
		return fmt.Errorf("task %s: %s: %w", task, op, err)
	}
	return fmt.Errorf("state directory %s: %s: %w", e.dir, op, err)
}

// InstanceID is the id of this instance. It is the same whenever this directory is opened.
func (e *Engine) InstanceID() string { return e.id }

// Failed is closed when the engine has failed; Err says why.
func (e *Engine) Failed() <-chan struct{} { return e.health.failed }

// Err returns the *state.EngineError that the engine failed with, or nil.
func (e *Engine) Err() error { return e.health.check(nil, "", "") }

// IngestedTables counts the tables that ingests have brought since the engine was opened.
func (e *Engine) IngestedTables() int64 { return e.ingested.Load() }

// Tasks implements [state.Engine]. It seeks from task to task.
func (e *Engine) Tasks() (ids []record.TaskID, err error) {
	err = e.read(nil, "", "tasks", func() error {
		it, err := e.db.NewIter(&pebble.IterOptions{UpperBound: wholeKey("")})
		if err != nil {
			return err
		}
		for ok := it.First(); ok; {
			id := taskOf(it.Key())
			ids = append(ids, id)
			_, next := taskRange(id)
			ok = it.SeekGE(next)
		}
		return errors.Join(it.Error(), it.Close())
	})
	return ids, err
}

// Flush implements [state.Engine].
func (e *Engine) Flush() error {
	e.dirty.Store(false)
	return e.bounded(nil, "", "flush", func() error { return e.db.Flush() })
}

// flushLoop bounds how much a crash can take away.
func (e *Engine) flushLoop() {
	defer e.flusher.Done()
	tick, stop := e.opts.Ticker(e.opts.FlushEvery)
	defer stop()
	for {
		select {
		case <-tick:
			if e.dirty.Load() {
				_ = e.Flush() // an error has failed the engine, which the next call says
			}
		case <-e.health.failed:
			return
		case <-e.health.ending:
			return
		}
	}
}

// Close implements [state.Engine]. A failed engine is closed too, and then returns nil: its error has been said.
func (e *Engine) Close() error {
	e.closing.Lock()
	defer e.closing.Unlock()
	if e.closed {
		return nil
	}
	if err := e.health.check(nil, "", ""); err == nil {
		if err := e.Flush(); err == nil {
			if n := e.iters.Load(); n > 0 {
				return fmt.Errorf("state directory %s: close: %d iterators are open", e.dir, n)
			}
		}
	}
	flushed := e.health.check(nil, "", "close")
	e.closed = true
	err := e.shut()
	if flushed != nil {
		return flushed
	}
	return err
}

// closeWait bounds how long a failed engine waits for what is still running in it.
const closeWait = 5 * time.Second

// shut ends everything and gives the directory up.
func (e *Engine) shut() error {
	e.gate.shut()
	close(e.health.ending)
	e.flusher.Wait()
	limit := e.opts.StuckAfter
	if e.health.err.Load() != nil {
		limit = min(limit, closeWait)
	}
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	// Calls that have not ended keep Pebble open: it is unsafe to close it under them.
	idle := e.gate.wait(deadline.C, e.health.frozen)
	err := error(nil)
	if idle && e.db != nil {
		ended := make(chan error, 1)
		go func() { ended <- guarded(e.db.Close) }()
		select {
		case err = <-ended:
		case <-deadline.C:
			idle = false
		case <-e.health.frozen:
			idle = false
		}
	}
	failed := e.health.err.Load()
	if idle && e.pebble != nil {
		e.pebble.Cache.Unref()
	}
	if !idle {
		// What Pebble still does must not reach a directory that is given up.
		e.health.fail(&state.EngineError{Trouble: state.TroubleStuck, Op: "close", Err: errors.New("Pebble does not end")})
		if !e.fs.drained(closeWait) {
			return fmt.Errorf("state directory %s: close: a write to the disk does not end; the directory stays locked until the process ends", e.dir)
		}
	}
	lerr := e.fs.unlock()
	switch {
	case failed != nil:
		return nil
	case err != nil:
		return e.health.broke(nil, "", "close", err)
	case lerr != nil:
		return e.health.broke(nil, "", "close", lerr)
	}
	return e.health.check(nil, "", "close")
}

// Remove deletes the state of an application, but not its instance id: for state that is corrupt. It takes the lock.
func Remove(o Options) error {
	o, err := o.withDefaults()
	if err != nil {
		return err
	}
	fs, dir, err := makeDir(o)
	if err != nil {
		return err
	}
	l, err := lock(fs, dir)
	if err != nil {
		return err
	}
	err = fs.RemoveAll(fs.PathJoin(dir, dbDir))
	if err == nil {
		err = syncDir(fs, dir)
	}
	if cerr := l.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return &state.EngineError{Trouble: state.TroubleIO, Dir: dir, Op: "remove", Err: err}
	}
	return nil
}
