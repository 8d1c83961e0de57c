package pebblestore

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/oxbow-streams/oxbow/internal/invariant"
	"github.com/oxbow-streams/oxbow/internal/seeds"
)

// image is the disk as a crash has left it.
type image struct {
	fs      *vfs.MemFS
	durable int64 // what had been flushed at that time
	percent int   // of what was not synced that is there all the same
	op      string
}

// crasher takes an image at every k-th change of the filesystem, before the change.
type crasher struct {
	fs       *vfs.MemFS
	workload *workload
	every    int

	link   sync.Mutex
	mu     sync.Mutex
	rng    *rand.Rand
	n      int
	images []image
}

// disk is the filesystem from which images are taken. MemFS.Link takes its clone lock twice, for reading, and so would
// wait for ever for a clone that begins in between.
func (c *crasher) disk() vfs.FS { return errorfs.Wrap(&linkFS{FS: c.fs, mu: &c.link}, c) }

type linkFS struct {
	vfs.FS
	mu *sync.Mutex
}

func (f *linkFS) Link(oldname, newname string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.FS.Link(oldname, newname)
}

func (c *crasher) String() string { return "crasher" }

func (c *crasher) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() == errorfs.OpIsRead {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	if c.n%c.every == 0 {
		c.take(opName(op.Kind))
	}
	return nil
}

func (c *crasher) take(op string) {
	percent := []int{0, 50, 100}[c.rng.IntN(3)]
	durable := c.workload.done.Load()
	c.link.Lock()
	defer c.link.Unlock()
	c.images = append(c.images, image{
		fs:      c.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: c.rng}),
		durable: durable, percent: percent, op: op,
	})
}

// D1-D5: whatever the moment of a crash and whatever of the unsynced data survives, the engine opens and holds a prefix
// of the commits with the offset that belongs to it, and no less than had been flushed.
func TestCrash(t *testing.T) {
	first, n := seeds.Of(t, 2)
	if invariant.Enabled {
		n = 1
	}
	kinds, ops, percents, images := map[string]int{}, map[string]int{}, map[int]int{}, 0
	for s := first; s < first+uint64(n); s++ {
		w := newWorkload(s)
		c := &crasher{fs: vfs.NewCrashableMem(), workload: w, rng: rand.New(rand.NewPCG(s, 2))}
		c.every = 2 + c.rng.IntN(9)
		for range 3 { // clean restarts in between
			e, err := Open(small(c.disk()))
			if err != nil {
				t.Fatalf("seed %d: %v", s, err)
			}
			if err := w.run(e, 25); err != nil {
				t.Fatalf("seed %d: %v", s, err)
			}
			c.mu.Lock()
			c.take("memory only")
			c.mu.Unlock()
			if err := e.Close(); err != nil {
				t.Fatalf("seed %d: %v", s, err)
			}
			w.done.Store(w.n)
		}
		c.mu.Lock()
		c.take("after close")
		c.mu.Unlock()
		for i, im := range c.images {
			if invariant.Enabled && i%25 != 0 {
				continue // the race detector makes Pebble check itself, a hundred times slower
			}
			check(t, w, im, s, i)
			ops[im.op]++
			percents[im.percent]++
		}
		for k, n := range w.kinds {
			kinds[k] += n
		}
		images += len(c.images)
	}
	t.Logf("%d images; writes %v; crashes before %v; unsynced percent %v", images, kinds, ops, percents)
	for _, k := range []string{"batch", "batch larger than a memtable holds", "ingest", "wipe", "flush"} {
		if kinds[k] == 0 {
			t.Errorf("there was no %s", k)
		}
	}
	if images < 60*n {
		t.Errorf("only %d images", images)
	}
}

// check opens an image, and in some crashes again while it is being opened and written to.
func check(t *testing.T, w *workload, im image, seed uint64, i int) {
	t.Helper()
	again := &crasher{fs: im.fs, workload: w, every: 5, rng: rand.New(rand.NewPCG(seed, uint64(i)))}
	fs := vfs.FS(im.fs)
	if i%8 == 0 {
		fs = again.disk()
	}
	e, err := Open(small(fs))
	if err != nil {
		t.Fatalf("seed %d: image %d, %d %% unsynced, before %s: open: %v", seed, i, im.percent, im.op, err)
	}
	if err := w.verify(e, im.durable); err != nil {
		t.Fatalf("seed %d: image %d, %d %% unsynced, before %s: %v", seed, i, im.percent, im.op, err)
	}
	if err := e.Close(); err != nil {
		t.Fatalf("seed %d: image %d: close: %v", seed, i, err)
	}
	for j, im2 := range again.images {
		im2.durable = im.durable
		e, err := Open(small(im2.fs))
		if err != nil {
			t.Fatalf("seed %d: image %d.%d: open: %v", seed, i, j, err)
		}
		if err := w.verify(e, im.durable); err != nil {
			t.Fatalf("seed %d: image %d.%d: %v", seed, i, j, err)
		}
		if err := e.Close(); err != nil {
			t.Fatalf("seed %d: image %d.%d: close: %v", seed, i, j, err)
		}
	}
}

func opName(k errorfs.OpKind) string {
	names := map[errorfs.OpKind]string{
		errorfs.OpCreate: "create", errorfs.OpLink: "link", errorfs.OpRemove: "remove", errorfs.OpRemoveAll: "remove all",
		errorfs.OpRename: "rename", errorfs.OpReuseForWrite: "reuse", errorfs.OpMkdirAll: "mkdir", errorfs.OpLock: "lock",
		errorfs.OpFileClose: "close", errorfs.OpFileWrite: "write", errorfs.OpFileWriteAt: "write at",
		errorfs.OpFileSync: "sync", errorfs.OpFileSyncData: "sync data", errorfs.OpFileSyncTo: "sync to",
		errorfs.OpFilePreallocate: "preallocate", errorfs.OpOpenDir: "open dir", errorfs.OpFileFlush: "file flush",
	}
	return names[k]
}
