package pebblestore

import (
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// guardFS is the filesystem as the engine and Pebble see it. It forces the mode of files, refuses to write outside of the
// state directory, remembers whether the disk has ever returned an error, and can be sealed.
//
// A sealed filesystem swallows all writes: they succeed and do nothing. So nothing that Pebble still does after a failure
// can reach the disk, whatever state it is in, and what waits for the disk inside Pebble ends, so that it can be closed.
// Nobody is misled: a failed engine answers every call with its error.
type guardFS struct {
	vfs.FS
	root   string
	modes  bool // the disk: force modes
	sealed atomic.Bool
	broken atomic.Pointer[error] // first error of the disk
	writes atomic.Int64          // writes that are under way below

	mu    sync.Mutex
	locks []io.Closer // of the locks that were taken
}

var (
	_ vfs.FS = (*guardFS)(nil)

	errSealed = errors.New("the engine has failed: its state directory is not used any more")
)

// note remembers the disk's first error. That a file does not exist and that one has been read to its end are answers.
func (g *guardFS) note(err error) error {
	if err != nil && !errors.Is(err, iofs.ErrNotExist) && !errors.Is(err, io.EOF) && !errors.Is(err, vfs.ErrUnsupported) {
		g.broken.CompareAndSwap(nil, &err)
	}
	return err
}

// write runs a change of the filesystem, unless it is sealed. ok tells whether it ran.
func (g *guardFS) write(path string, f func() error) (ok bool, err error) {
	g.writes.Add(1)
	defer g.writes.Add(-1)
	if g.sealed.Load() {
		return false, nil
	}
	if !g.inside(path) {
		return false, fmt.Errorf("%s is not inside of the state directory %s", path, g.root)
	}
	return true, g.note(f())
}

// drained waits until no write is under way, and tells whether that was so in time. The filesystem is sealed, so no write
// begins.
func (g *guardFS) drained(limit time.Duration) bool {
	for end := time.Now().Add(limit); g.writes.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

func (g *guardFS) inside(path string) bool {
	rel, err := filepath.Rel(g.root, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// chmod forces the mode of a file that was just opened for writing.
func (g *guardFS) chmod(name string) error {
	if !g.modes {
		return nil
	}
	return os.Chmod(name, 0o600)
}

func (g *guardFS) open(name string, create func() (vfs.File, error)) (vfs.File, error) {
	var f vfs.File
	ok, err := g.write(name, func() (err error) {
		if f, err = create(); err != nil {
			return err
		}
		if err = g.chmod(name); err != nil {
			f.Close()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if !ok {
		return &guardFile{File: vfs.NewMemFile(nil), fs: g, void: true}, nil
	}
	return &guardFile{File: f, fs: g}, nil
}

// Create syncs the directory before it makes a marker, the file by whose name Pebble finds its manifest. Pebble syncs it
// only afterwards, manifest and marker at once, so a crash could keep the marker and lose the manifest, and with it all.
func (g *guardFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(g.PathBase(name), "marker.") {
		if err := syncDir(g, g.PathDir(name)); err != nil {
			return nil, err
		}
	}
	return g.open(name, func() (vfs.File, error) { return g.FS.Create(name, c) })
}

func (g *guardFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return g.open(name, func() (vfs.File, error) { return g.FS.OpenReadWrite(name, c, opts...) })
}

func (g *guardFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return g.open(newname, func() (vfs.File, error) { return g.FS.ReuseForWrite(oldname, newname, c) })
}

func (g *guardFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := g.FS.Open(name, opts...)
	return g.opened(f, err)
}

func (g *guardFS) OpenDir(name string) (vfs.File, error) {
	f, err := g.FS.OpenDir(name)
	return g.opened(f, err)
}

func (g *guardFS) opened(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		if g.sealed.Load() {
			return nil, errSealed // the file may be one that was swallowed: Pebble takes a missing file for a reason to die
		}
		return nil, g.note(err)
	}
	return &guardFile{File: f, fs: g}, nil
}

func (g *guardFS) Link(oldname, newname string) error {
	_, err := g.write(newname, func() error { return g.FS.Link(oldname, newname) })
	return err
}

func (g *guardFS) Remove(name string) error {
	_, err := g.write(name, func() error { return g.FS.Remove(name) })
	return err
}

func (g *guardFS) RemoveAll(name string) error {
	_, err := g.write(name, func() error { return g.FS.RemoveAll(name) })
	return err
}

func (g *guardFS) Rename(oldname, newname string) error {
	_, err := g.write(newname, func() error { return g.FS.Rename(oldname, newname) })
	return err
}

func (g *guardFS) MkdirAll(dir string, _ os.FileMode) error {
	_, err := g.write(dir, func() error { return g.FS.MkdirAll(dir, 0o700) })
	return err
}

func (g *guardFS) Lock(name string) (io.Closer, error) {
	c, err := g.FS.Lock(name)
	if err != nil {
		return nil, err
	}
	if err := g.chmod(name); err != nil {
		c.Close()
		return nil, g.note(err)
	}
	l := &onceCloser{c: c}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.locks = append(g.locks, l)
	return l, nil
}

// unlock gives up all locks, also those that a Pebble has left behind which could not be closed.
func (g *guardFS) unlock() (err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := len(g.locks) - 1; i >= 0; i-- {
		err = errors.Join(err, g.locks[i].Close())
	}
	g.locks = nil
	return err
}

// onceCloser lets a lock be closed by two owners.
type onceCloser struct {
	once sync.Once
	c    io.Closer
	err  error
}

func (o *onceCloser) Close() error {
	o.once.Do(func() { o.err = o.c.Close() })
	return o.err
}

func (g *guardFS) List(dir string) ([]string, error) {
	names, err := g.FS.List(dir)
	return names, g.note(err)
}

func (g *guardFS) Stat(name string) (vfs.FileInfo, error) {
	fi, err := g.FS.Stat(name)
	if err != nil && g.sealed.Load() {
		return nil, errSealed
	}
	return fi, g.note(err)
}

func (g *guardFS) Unwrap() vfs.FS { return g.FS }

// guardFile is a file of a guardFS. A void one was created when the filesystem was sealed already.
type guardFile struct {
	vfs.File
	fs   *guardFS
	void bool
}

func (f *guardFile) write(op func() error) error {
	f.fs.writes.Add(1)
	defer f.fs.writes.Add(-1)
	if f.void || f.fs.sealed.Load() {
		return nil
	}
	return f.fs.note(op())
}

func (f *guardFile) Write(p []byte) (n int, err error) {
	n = len(p)
	err = f.write(func() (err error) { n, err = f.File.Write(p); return err })
	return n, err
}

func (f *guardFile) WriteAt(p []byte, off int64) (n int, err error) {
	n = len(p)
	err = f.write(func() (err error) { n, err = f.File.WriteAt(p, off); return err })
	return n, err
}

func (f *guardFile) Preallocate(off, n int64) error {
	return f.write(func() error { return f.File.Preallocate(off, n) })
}

func (f *guardFile) Sync() error     { return f.write(f.File.Sync) }
func (f *guardFile) SyncData() error { return f.write(f.File.SyncData) }

func (f *guardFile) SyncTo(n int64) (full bool, err error) {
	err = f.write(func() (err error) { full, err = f.File.SyncTo(n); return err })
	return full, err
}

func (f *guardFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	return n, f.fs.note(err)
}

func (f *guardFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	return n, f.fs.note(err)
}

func (f *guardFile) Close() error { return f.fs.note(f.File.Close()) }
