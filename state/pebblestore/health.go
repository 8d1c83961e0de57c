package pebblestore

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// health is whether the engine works. The first trouble decides: it seals the filesystem, and everything that waits for
// Pebble learns of it.
type health struct {
	dir    string
	fs     *guardFS
	log    *slog.Logger
	once   sync.Once
	err    atomic.Pointer[state.EngineError]
	failed chan struct{} // closed after err is set
	ending chan struct{} // closed when the engine is being closed

	opened atomic.Bool   // Pebble is open, and works beside us
	freeze sync.Once     // closes frozen
	frozen chan struct{} // closed when a part of Pebble was stopped for ever
}

func newHealth(dir string, fs *guardFS, log *slog.Logger) *health {
	return &health{dir: dir, fs: fs, log: log, failed: make(chan struct{}), ending: make(chan struct{}), frozen: make(chan struct{})}
}

// fail makes the engine failed, if it is not yet, and returns the error that it failed with.
func (h *health) fail(e *state.EngineError) *state.EngineError {
	h.once.Do(func() {
		e.Dir = h.dir
		h.fs.sealed.Store(true)
		h.err.Store(e)
		close(h.failed)
		h.log.Error("state engine has failed", "err", e)
	})
	return h.err.Load()
}

// broke is fail with an error of Pebble, which it classifies.
func (h *health) broke(task *record.TaskID, store, op string, err error) error {
	if e := h.err.Load(); e != nil {
		return e.At(task, store, op)
	}
	return h.fail(&state.EngineError{Trouble: h.classify(err), Task: task, Store: store, Op: op, Err: err})
}

// check returns the error that the engine failed with.
func (h *health) check(task *record.TaskID, store, op string) error {
	if e := h.err.Load(); e != nil {
		return e.At(task, store, op)
	}
	return nil
}

// classify tells an ailing disk from bad content. Pebble marks most corruption, but not what it finds while it reads its
// options, its manifest or a file name: an error is of the content if the disk has not returned any.
func (h *health) classify(err error) state.Trouble {
	disk := error(nil)
	if p := h.fs.broken.Load(); p != nil {
		disk = *p
	}
	for _, e := range []error{err, disk} {
		switch {
		case errors.Is(e, syscall.ENOSPC), errors.Is(e, syscall.EDQUOT):
			return state.TroubleFull
		case errors.Is(e, iofs.ErrPermission):
			return state.TroubleAccess
		}
	}
	var no syscall.Errno
	switch {
	case pebble.IsCorruptionError(err):
		return state.TroubleCorrupt
	case disk != nil, errors.As(err, &no):
		return state.TroubleIO
	}
	return state.TroubleCorrupt
}

// backoff is the pause before Pebble repeats what has failed, which it does for ever. Without one it takes a whole core, and
// its Close, which waits for a moment without work, finds none.
const backoff = 50 * time.Millisecond

// listener hears from Pebble what goes wrong behind a commit's back.
func (h *health) listener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			_ = h.broke(nil, "", "background", err)
			time.Sleep(backoff)
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			h.fail(&state.EngineError{Trouble: state.TroubleCorrupt, Op: "read " + info.Path, Err: info.Details})
		},
		PossibleAPIMisuse: func(info pebble.PossibleAPIMisuseInfo) {
			h.log.Warn("pebble: possible misuse", "info", info.String())
		},
	}
}

// logger gives Pebble's messages to slog. Pebble's way out of a state that it cannot continue in is Fatalf, which it
// expects not to return; it must not end the process. A failed manifest write is the one that happens.
type logger struct{ h *health }

func (l logger) Infof(format string, args ...any) {
	if l.h.log.Enabled(context.Background(), slog.LevelDebug) {
		l.h.log.Debug("pebble: " + fmt.Sprintf(format, args...))
	}
}

func (l logger) Errorf(format string, args ...any) {
	l.h.log.Warn("pebble: " + fmt.Sprintf(format, args...))
}

// fatal is what a call of ours panics with when Pebble gives up in it; guarded recovers it.
type fatal struct{ msg string }

func (l logger) Fatalf(format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	err := errors.New(msg)
	for _, a := range args {
		if e, ok := a.(error); ok {
			err = fmt.Errorf("%s: %w", "gave up", e)
		}
	}
	_ = l.h.broke(nil, "", "pebble", err)
	manifest := strings.HasPrefix(msg, "MANIFEST ")
	switch {
	case manifest && !l.h.opened.Load():
		return // Pebble returns this error from Open after it has logged it
	case !manifest && calledByUs():
		panic(fatal{msg})
	}
	// What Pebble holds in memory is no longer what it believes, and its goroutines panic when they go on with that. So this
	// one keeps its locks, on which the others then wait: nothing goes on, as if the process had ended here.
	l.h.freeze.Do(func() { close(l.h.frozen) })
	select {}
}

// calledByUs tells whether a call of ours is what runs on this goroutine.
func calledByUs() bool {
	pcs := make([]uintptr, 256)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, "pebblestore.guarded") {
			return true
		}
		if !more {
			return false
		}
	}
}

// guarded runs a call into Pebble and turns a panic into an error.
func guarded(f func() error) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case fatal:
			err = errors.New(r.msg)
		default:
			err = fmt.Errorf("pebble panicked: %v", r)
		}
	}()
	return f()
}

// bounded runs a call into Pebble that may wait for the disk. It returns when the call ends, when the engine fails, or when
// it took too long, which fails the engine. done runs when the call itself has ended.
func (h *health) bounded(limit time.Duration, task *record.TaskID, store, op string, f func() error, done func()) error {
	if err := h.check(task, store, op); err != nil {
		done()
		return err
	}
	end := make(chan error, 1)
	go func() {
		defer done()
		end <- guarded(f)
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-end:
		if err != nil {
			return h.broke(task, store, op, err)
		}
		// A call that has ended only because the filesystem was sealed has not done what it says.
		return h.check(task, store, op)
	case <-h.failed:
	case <-timer.C:
		h.fail(&state.EngineError{
			Trouble: state.TroubleStuck, Task: task, Store: store, Op: op,
			Err: fmt.Errorf("no end after %s, and no error of the disk", limit),
		})
	}
	return h.check(task, store, op)
}
