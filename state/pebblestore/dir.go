package pebblestore

import (
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	iofs "io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/oxbow-streams/oxbow/state"
)

// What lies in the state directory of an application.
const (
	lockFile     = "LOCK"     // one owner (D8)
	instanceFile = "instance" // the id of the instance
	dbDir        = "db"       // Pebble's files
	ingestDir    = "ingest"   // tables that are being built
)

// makeDir makes the directory of the application, durably.
func makeDir(o Options) (fs *guardFS, dir string, err error) {
	under, dir := o.FS, filepath.Join(o.Dir, o.Name)
	bad := func(err error) error {
		return &state.EngineError{Trouble: state.TroubleAccess, Dir: dir, Op: "open", Err: err}
	}
	if under == nil {
		if dir, err = filepath.Abs(dir); err != nil {
			return nil, "", bad(err)
		}
		under = vfs.Default
	}
	// All directories that are made here must be synced in the one above.
	top := under.PathDir(dir)
	for top != under.PathDir(top) {
		if _, err := under.Stat(top); err == nil {
			break
		}
		top = under.PathDir(top)
	}
	fs = &guardFS{FS: under, root: dir, modes: o.FS == nil}
	if o.FS == nil {
		err = prepareDisk(filepath.Dir(dir), o.Name)
	} else if err = fs.MkdirAll(dir, 0o700); err != nil {
		err = &state.EngineError{Trouble: newHealth(dir, fs, o.Log).classify(err), Dir: dir, Op: "open", Err: err}
	}
	if err != nil {
		return nil, "", err
	}
	for d := dir; d != top; {
		d = under.PathDir(d)
		if err := syncDir(fs, d); err != nil {
			return nil, "", &state.EngineError{Trouble: newHealth(dir, fs, o.Log).classify(err), Dir: dir, Op: "open", Err: err}
		}
	}
	return fs, dir, nil
}

// prepareDisk makes the directory of the application, and refuses one that is not ours (D9).
func prepareDisk(dir, name string) error {
	bad := func(format string, args ...any) error {
		return &state.EngineError{
			Trouble: state.TroubleAccess, Dir: filepath.Join(dir, name), Op: "open", Err: fmt.Errorf(format, args...),
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return bad("%w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return bad("%w", err)
	}
	defer root.Close()
	if err := root.Mkdir(name, 0o700); err != nil && !errors.Is(err, iofs.ErrExist) {
		return bad("%w", err)
	}
	for _, sub := range []string{name, filepath.Join(name, dbDir), filepath.Join(name, ingestDir)} {
		fi, err := root.Lstat(sub)
		switch {
		case errors.Is(err, iofs.ErrNotExist) && sub != name:
			continue
		case err != nil:
			return bad("%w", err)
		case fi.Mode()&iofs.ModeSymlink != 0:
			return bad("%s is a symbolic link: put the state directory itself there, or set another one", sub)
		case !fi.IsDir():
			return bad("%s is not a directory", sub)
		case !ownedByUs(fi):
			return bad("%s belongs to another user: change its owner, or set another state directory", sub)
		}
		if fi.Mode().Perm() != 0o700 {
			if err := root.Chmod(sub, 0o700); err != nil {
				return bad("%w", err)
			}
		}
	}
	return nil
}

// lock makes the caller the only owner of the directory.
func lock(fs vfs.FS, dir string) (io.Closer, error) {
	c, err := fs.Lock(fs.PathJoin(dir, lockFile))
	if err != nil {
		return nil, &state.EngineError{
			Trouble: state.TroubleLocked, Dir: dir, Op: "open",
			Err: fmt.Errorf("another process, or another app in this one, uses it (%w): give each instance on a machine its own state directory", err),
		}
	}
	return c, nil
}

// instanceID reads the id of the instance, and makes one where there is none or where it is not readable: it only names the
// instance to the group, and a new name is always right.
func instanceID(fs vfs.FS, dir string) (string, error) {
	path := fs.PathJoin(dir, instanceFile)
	if f, err := fs.Open(path); err == nil {
		b, err := io.ReadAll(io.LimitReader(f, 1<<10))
		f.Close()
		if id, ok := parseInstance(string(b)); err == nil && ok {
			return id, nil
		}
	} else if !errors.Is(err, iofs.ErrNotExist) {
		return "", err
	}
	var u [16]byte
	rand.Read(u[:])
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	id := fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
	return id, writeFile(fs, dir, instanceFile, formatInstance(id))
}

func formatInstance(id string) string {
	return fmt.Sprintf("oxbow instance 1\n%s\n%08x\n", id, crc32.ChecksumIEEE([]byte(id)))
}

func parseInstance(s string) (id string, ok bool) {
	lines := strings.Split(s, "\n")
	if len(lines) != 4 || len(lines[1]) != 36 {
		return "", false
	}
	return lines[1], s == formatInstance(lines[1])
}

// writeFile replaces a file by a new one, durably.
func writeFile(fs vfs.FS, dir, name, content string) error {
	path := fs.PathJoin(dir, name)
	f, err := fs.Create(path+".tmp", vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(content))
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = fs.Rename(path+".tmp", path)
	}
	if err == nil {
		err = syncDir(fs, dir)
	}
	return err
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}
