//go:build unix

package pebblestore

import (
	iofs "io/fs"
	"os"
	"syscall"
)

// ownedByUs tells whether a file belongs to the user that runs the process.
func ownedByUs(fi iofs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return !ok || int(st.Uid) == os.Geteuid()
}
