package pebblestore

import (
	"encoding/binary"
	"errors"
	iofs "io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/oxbow-streams/oxbow/state"
)

func onDisk(dir string) Options {
	o := small(nil)
	o.Dir = dir
	return o
}

func trouble(err error) state.Trouble {
	if e := state.AsEngineError(err); e != nil {
		return e.Trouble
	}
	return 0
}

// D9: nobody else can read the state, whatever the umask.
func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "parent", "state")
	e, err := Open(onDisk(dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := newWorkload(1).run(e, 60); err != nil {
		t.Fatal(err)
	}
	walk := func() (n int) {
		err := filepath.WalkDir(filepath.Join(dir, "app"), func(path string, d iofs.DirEntry, err error) error {
			if errors.Is(err, iofs.ErrNotExist) {
				return nil // Pebble has just removed it
			}
			if err != nil {
				return err
			}
			fi, err := d.Info()
			if errors.Is(err, iofs.ErrNotExist) {
				return nil
			}
			if err == nil && fi.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %s", path, fi.Mode())
			}
			n++
			return err
		})
		if err != nil {
			t.Error(err)
		}
		return n
	}
	walk()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if n := walk(); n < 8 {
		t.Errorf("only %d files were looked at", n)
	}
	if err := os.Chmod(filepath.Join(dir, "app"), 0o755); err != nil {
		t.Fatal(err)
	}
	if e, err = Open(onDisk(dir)); err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	walk() // an open directory is closed again
}

// D8: one owner, in this process and in others.
func TestLocked(t *testing.T) {
	for _, o := range []Options{onDisk(t.TempDir()), small(vfs.NewMem())} {
		e, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(o); trouble(err) != state.TroubleLocked {
			t.Errorf("second open: %v", err)
		}
		if err := Remove(o); trouble(err) != state.TroubleLocked {
			t.Errorf("remove of state in use: %v", err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if e, err = Open(o); err != nil {
			t.Fatalf("open after close: %v", err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// D9: nothing but a checked name becomes a path.
func TestNames(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"", ".", "..", "../x", "a/b", `a\b`, "a\x00b", "a b", "ä", "%2e%2e/", "/", strings.Repeat("a", 250)} {
		o := onDisk(dir)
		o.Name = name
		if e, err := Open(o); err == nil {
			e.Close()
			t.Errorf("%q was taken as a name", name)
		} else if !strings.Contains(err.Error(), "application id") {
			t.Errorf("%q: %v", name, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("refused names left %v %v", left, err)
	}
	elsewhere := t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(dir, "app")); err != nil {
		t.Skip(err)
	}
	if _, err := Open(onDisk(dir)); trouble(err) != state.TroubleAccess || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("a symbolic link: %v", err)
	}
	if left, _ := os.ReadDir(elsewhere); len(left) != 0 {
		t.Errorf("something was written through a symbolic link: %v", left)
	}
	g := &guardFS{FS: vfs.NewMem(), root: "/state/app"}
	for _, path := range []string{"/state/x", "/state/app/../x", "/state/application", "/"} {
		if _, err := g.Create(path, vfs.WriteCategoryUnspecified); err == nil {
			t.Errorf("%s was created", path)
		}
	}
}

func TestInstanceID(t *testing.T) {
	fs := vfs.NewMem()
	id := func() string {
		e, err := Open(small(fs))
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		return e.InstanceID()
	}
	first := id()
	if len(first) != 36 || first[14] != '4' || first == func() string { e, _ := Open(small(vfs.NewMem())); defer e.Close(); return e.id }() {
		t.Errorf("instance id %q", first)
	}
	if again := id(); again != first {
		t.Errorf("instance id %q, then %q", first, again)
	}
	if err := Remove(small(fs)); err != nil {
		t.Fatal(err)
	}
	if again := id(); again != first {
		t.Errorf("instance id %q, then %q after the state was removed", first, again)
	}
	f, err := fs.OpenReadWrite("/state/app/instance", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteAt([]byte("x"), 20)
	f.Close()
	if again := id(); again == first || len(again) != 36 {
		t.Errorf("instance id %q from a damaged file", again)
	}
}

// D10: state that is not ours to read is refused and left as it is.
func TestForeignState(t *testing.T) {
	fs := vfs.NewMem()
	write := func(key, value []byte) {
		e, err := Open(small(fs))
		if err == nil {
			err = e.ingestRow(key, value)
		}
		if err == nil {
			err = e.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write(wholeKey("other"), []byte("v"))
	o := small(fs)
	o.Name = "app2"
	if err := fs.Rename("/state/app", "/state/app2"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(o); trouble(err) != state.TroubleFormat || !strings.Contains(err.Error(), `"app"`) {
		t.Errorf("state of another application: %v", err)
	}
	if err := fs.Rename("/state/app2", "/state/app"); err != nil {
		t.Fatal(err)
	}
	write(wholeKey(formatName), append(binary.BigEndian.AppendUint32(nil, engineFormat+1), "app"...))
	for range 2 {
		if _, err := Open(small(fs)); trouble(err) != state.TroubleFormat || !strings.Contains(err.Error(), "format 2") {
			t.Errorf("state of a newer version: %v", err)
		}
	}
}

// D3: time alone makes commits durable.
func TestFlushByTime(t *testing.T) {
	fs := vfs.NewCrashableMem()
	tick := make(chan time.Time)
	o := small(fs)
	o.Ticker = func(d time.Duration) (<-chan time.Time, func()) {
		if d != 60*time.Second {
			t.Errorf("the ticker was asked for %s", d)
		}
		return tick, func() {}
	}
	e, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	s, err := e.Space(workTasks[0])
	if err != nil {
		t.Fatal(err)
	}
	es, err := s.Store("a", state.KindKeyValue)
	if err != nil {
		t.Fatal(err)
	}
	b := s.Batch()
	if err := errors.Join(b.Set(es, []byte("k"), []byte("v")), b.SetOffset("a", state.StoredOffset{Changelog: 7}), b.Commit()); err != nil {
		t.Fatal(err)
	}
	offset := func() int64 {
		c, err := Open(small(fs.CrashClone(vfs.CrashCloneCfg{})))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := c.Space(workTasks[0])
		if err != nil {
			t.Fatal(err)
		}
		o, _, err := s.Offset("a")
		if err != nil {
			t.Fatal(err)
		}
		return o.Changelog
	}
	if at := offset(); at != 0 {
		t.Errorf("offset %d survived a crash before any flush: the test shows nothing", at)
	}
	tick <- time.Time{}
	tick <- time.Time{} // the loop takes the second only when it is done with the first
	if at := offset(); at != 7 {
		t.Errorf("offset %d after a flush by time, want 7", at)
	}
}

// Restored state comes in as tables.
func TestIngestedTables(t *testing.T) {
	e, err := Open(small(vfs.NewMem()))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	s, _ := e.Space(workTasks[0])
	es, err := s.Store("a", state.KindKeyValue)
	if err != nil {
		t.Fatal(err)
	}
	before := e.IngestedTables()
	in, err := es.Ingester()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorkload(1)
	for i := range 400 {
		if err := in.Add(binary.BigEndian.AppendUint32(nil, uint32(i)), []byte(w.value(true))); err != nil {
			t.Fatal(err)
		}
	}
	if e.IngestedTables() != before {
		t.Error("tables were ingested before Finish")
	}
	if err := in.Finish(state.StoredOffset{Changelog: 1}); err != nil {
		t.Fatal(err)
	}
	if n := e.IngestedTables() - before; n < 10 {
		t.Errorf("%d tables were ingested, want many of bounded size", n)
	}
	if left, err := e.fs.List("/state/app/" + ingestDir); err != nil || len(left) != 0 {
		t.Errorf("the ingest left %v %v", left, err)
	}
	if m := e.db.Metrics(); m.Flush.Count != 0 {
		t.Errorf("an ingest into a fresh store made %d flushes", m.Flush.Count)
	}
}
