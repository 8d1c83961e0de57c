package pebblestore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/oxbow-streams/oxbow/internal/invariant"
	"github.com/oxbow-streams/oxbow/internal/seeds"
	"github.com/oxbow-streams/oxbow/state"
)

// ailing returns an error from every operation of one kind, after the first few.
type ailing struct {
	kind  errorfs.OpKind
	err   error
	after int64
	n     atomic.Int64
	well  atomic.Bool
	hits  atomic.Int64
}

func (a *ailing) String() string { return "ailing" }

func (a *ailing) MaybeError(op errorfs.Op) error {
	if op.Kind != a.kind || a.well.Load() || a.n.Add(1) <= a.after {
		return nil
	}
	a.hits.Add(1)
	return a.err
}

// D6: whichever kind of write fails, and whenever: an error that says what it is, in bounded time; a failed engine stays
// failed; and when the disk is well again the state is a prefix that lacks nothing that was flushed.
func TestDiskFault(t *testing.T) {
	first, n := seeds.Of(t, 1)
	kinds := []errorfs.OpKind{
		errorfs.OpCreate, errorfs.OpLink, errorfs.OpRemove, errorfs.OpRename, errorfs.OpMkdirAll, errorfs.OpOpenDir,
		errorfs.OpFileWrite, errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileClose, errorfs.OpFilePreallocate,
		errorfs.OpOpen, errorfs.OpFileReadAt, errorfs.OpFileRead, errorfs.OpStat, errorfs.OpFileStat, errorfs.OpList,
	}
	failed, repeats := map[string]int{}, 3
	if invariant.Enabled {
		repeats, kinds = 1, []errorfs.OpKind{errorfs.OpCreate, errorfs.OpFileWrite, errorfs.OpFileSync, errorfs.OpFileReadAt}
	}
	for s := first; s < first+uint64(n); s++ {
		rng := rand.New(rand.NewPCG(s, 3))
		for _, kind := range kinds {
			for _, err := range []error{syscall.ENOSPC, syscall.EIO} {
				for range repeats {
					a := &ailing{kind: kind, err: err, after: rng.Int64N(60)}
					if kind == errorfs.OpFileWrite {
						a.after *= 10
					}
					name := opName(kind)
					if name == "" {
						name = fmt.Sprintf("kind %d", kind)
					}
					if faulty(t, a, rng.Uint64(), fmt.Sprintf("seed %d: %v from %s %d on", s, err, name, a.after)) {
						failed[name]++
					}
				}
			}
		}
	}
	t.Logf("engines that failed, by the operation that failed: %v", failed)
	if invariant.Enabled {
		return
	}
	for _, must := range []string{"create", "write", "sync", "sync data"} {
		if failed[must] == 0 {
			t.Errorf("no engine failed by %q", must)
		}
	}
}

// faulty runs a workload on an ailing disk, then looks at what is there when it is well.
func faulty(t *testing.T, a *ailing, seed uint64, what string) (failed bool) {
	t.Helper()
	mem := vfs.NewMem()
	fs := errorfs.Wrap(mem, a)
	w := newWorkload(seed)
	start := time.Now()
	o := small(fs)
	e, err := Open(o)
	if err == nil {
		if err = w.run(e, 60); err != nil {
			checkFailed(t, e, err, a, what)
		}
		cerr := e.Close()
		if err == nil {
			err = cerr
		}
	}
	if err != nil {
		wantTrouble(t, err, a, what)
	}
	if d := time.Since(start); d > 15*time.Second {
		t.Errorf("%s: it took %s", what, d)
	}
	a.well.Store(true)
	e, rerr := Open(o)
	if rerr != nil {
		t.Fatalf("%s: reopen: %v (failed with %v)", what, rerr, err)
	}
	if verr := w.verify(e, w.done.Load()); verr != nil {
		t.Fatalf("%s: after reopen: %v (failed with %v)", what, verr, err)
	}
	if err := e.Close(); err != nil {
		t.Fatalf("%s: close after reopen: %v", what, err)
	}
	return err != nil
}

func wantTrouble(t *testing.T, err error, a *ailing, what string) {
	t.Helper()
	ee := state.AsEngineError(err)
	want := state.TroubleIO
	if a.err == syscall.ENOSPC {
		want = state.TroubleFull
	}
	if ee == nil || ee.Trouble != want || ee.Dir != "/state/app" || !errors.Is(err, a.err) && !strings.Contains(err.Error(), a.err.Error()) {
		t.Errorf("%s: %#v: %v", what, ee, err)
	}
}

// checkFailed: a failed engine answers everything with what it failed of.
func checkFailed(t *testing.T, e *Engine, err error, a *ailing, what string) {
	t.Helper()
	wantTrouble(t, err, a, what)
	select {
	case <-e.Failed():
	default:
		t.Errorf("%s: %v, but the engine has not failed", what, err)
	}
	if err := e.Flush(); err == nil || e.Err() == nil {
		t.Errorf("%s: flush of a failed engine: %v", what, err)
	}
	if _, err := e.Space(workTasks[0]); state.AsEngineError(err) == nil {
		t.Errorf("%s: space of a failed engine: %v", what, err)
	}
}

// D6: a disk that neither works nor returns an error.
func TestStuckDisk(t *testing.T) {
	mem := vfs.NewMem()
	hold := make(chan struct{})
	var stuck atomic.Bool
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileWrite && stuck.Load() {
			<-hold
		}
		return nil
	}))
	o := small(fs)
	o.StuckAfter = 300 * time.Millisecond
	w := newWorkload(1)
	e, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.run(e, 20); err != nil {
		t.Fatal(err)
	}
	stuck.Store(true)
	err = w.run(e, 1000)
	if ee := state.AsEngineError(err); ee == nil || ee.Trouble != state.TroubleStuck {
		t.Fatalf("a disk that stands still: %v", err)
	}
	if err := e.Close(); err == nil || !strings.Contains(err.Error(), "stuck") && !strings.Contains(err.Error(), "locked") {
		t.Errorf("close: %v", err)
	}
	if _, err := Open(o); state.AsEngineError(err) == nil || state.AsEngineError(err).Trouble != state.TroubleLocked {
		t.Errorf("the directory was given up while a write to it was under way: %v", err)
	}
	stuck.Store(false)
	close(hold)
}

// D7: one bit, a cut, or zeroes anywhere in the files of a closed database: an error that says corrupt, or the data of a
// commit; never another value.
func TestCorruption(t *testing.T) {
	seed := seeds.Single(t)
	rng := rand.New(rand.NewPCG(seed, 4))
	outcomes := map[string]int{}
	flips, each := 200*seeds.Count(t, seeds.Many, 1), 50 // of one database
	if invariant.Enabled {
		flips, each = 40, 10 // the race detector makes Pebble check itself, slowly
	}
	var w *workload
	var fs *vfs.MemFS
	for i := range flips {
		if i%each == 0 {
			w, fs = newWorkload(seed+uint64(i)), vfs.NewCrashableMem()
			e, err := Open(small(fs))
			if err != nil {
				t.Fatal(err)
			}
			if err := w.run(e, 60); err != nil {
				t.Fatal(err)
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
		}
		c := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng})
		what := damage(t, c, rng)
		if what == "" {
			continue
		}
		outcomes[observe(t, w, c, fmt.Sprintf("seed %d: damage %d, %s", seed, i, what))]++
	}
	t.Logf("outcomes: %v", outcomes)
	if outcomes["corrupt"] < flips/4 {
		t.Errorf("only %d of %d were found corrupt", outcomes["corrupt"], flips)
	}
}

// damage changes one file and says how.
func damage(t *testing.T, fs vfs.FS, rng *rand.Rand) string {
	t.Helper()
	dir := "/state/app/" + dbDir
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	if rng.IntN(15) == 0 {
		dir, names = "/state/app", []string{instanceFile}
	}
	path := fs.PathJoin(dir, names[rng.IntN(len(names))])
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	f.Close()
	if err != nil || len(b) == 0 {
		return ""
	}
	was, at, how := bytes.Clone(b), rng.IntN(len(b)), ""
	switch rng.IntN(6) {
	case 0:
		b, how = b[:at], "cut"
	case 1:
		clear(b[at:min(len(b), at+1+rng.IntN(5000))])
		how = "zeroes"
	default:
		b[at] ^= 1 << rng.IntN(8)
		how = "flip"
	}
	if bytes.Equal(was, b) {
		return ""
	}
	if f, err = fs.Create(path, vfs.WriteCategoryUnspecified); err != nil {
		t.Fatal(err)
	}
	f.Write(b)
	f.Close()
	return fmt.Sprintf("%s at %d of %s (%d bytes)", how, at, path, len(was))
}

// observe opens and reads damaged state, and restores it if it is corrupt.
func observe(t *testing.T, w *workload, fs vfs.FS, what string) string {
	t.Helper()
	o := small(fs)
	e, err := Open(o)
	if err == nil {
		err = w.verify(e, 0)
		if cerr := e.Close(); err == nil && cerr != nil {
			err = cerr
		}
	}
	if err == nil {
		return "a commit"
	}
	ee := state.AsEngineError(err)
	if ee == nil {
		t.Fatalf("%s: wrong read: %v", what, err)
	}
	if ee.Trouble != state.TroubleCorrupt && ee.Trouble != state.TroubleFormat {
		t.Fatalf("%s: %v", what, err)
	}
	if err := Remove(o); err != nil {
		t.Fatalf("%s: remove: %v", what, err)
	}
	if e, err = Open(o); err != nil {
		t.Fatalf("%s: open after remove: %v", what, err)
	}
	if err := newWorkload(1).run(e, 3); err != nil {
		t.Fatalf("%s: after remove: %v", what, err)
	}
	if err := e.Close(); err != nil {
		t.Fatalf("%s: close after remove: %v", what, err)
	}
	return ee.Trouble.String()
}
