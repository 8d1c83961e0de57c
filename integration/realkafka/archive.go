package realkafka

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ensureArchive makes the class data archive if there is none for this Java: one broker is started, gets ready and is
// stopped, and the JVM writes the classes it loaded as it exits. Later starts take two seconds in place of four.
//
// A JVM that cannot make one leaves an empty file, so that it is not asked again; brokers then start without.
func (in *install) ensureArchive(ctx context.Context) error {
	key, err := javaKey(in.java)
	if err != nil {
		return err
	}
	archive := filepath.Join(in.dir, "classes-"+key+".jsa")
	info, err := os.Stat(archive)
	if errors.Is(err, os.ErrNotExist) {
		if info, err = in.makeArchive(ctx, archive); err != nil {
			return fmt.Errorf("real kafka: class data archive: %w", err)
		}
	}
	if err != nil {
		return fmt.Errorf("real kafka: class data archive: %w", err)
	}
	if info.Size() > 0 {
		in.archive = archive
	}
	return nil
}

func (in *install) makeArchive(ctx context.Context, archive string) (os.FileInfo, error) {
	partial := archive + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return nil, err
	}
	c, err := newCluster(in, Options{})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.brokers[0].jvm = []string{"-XX:ArchiveClassesAtExit=" + partial}
	if err := c.launch(ctx); err != nil {
		return nil, err
	}
	if err := c.Stop(0); err != nil {
		return nil, err
	}
	if _, err := os.Stat(partial); errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(partial, nil, 0o644); err != nil {
			return nil, err
		}
	}
	if err := os.Rename(partial, archive); err != nil {
		return nil, err
	}
	return os.Stat(archive)
}

// javaKey is another one after Java was upgraded: an archive is only valid for the JVM that made it.
func javaKey(java string) (string, error) {
	path, err := filepath.EvalSymlinks(java)
	if err != nil {
		return "", fmt.Errorf("real kafka: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("real kafka: %w", err)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", path, info.Size(), info.ModTime().UnixNano()))
	return hex.EncodeToString(sum[:4]), nil
}
