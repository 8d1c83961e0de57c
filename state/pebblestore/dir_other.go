//go:build !unix

package pebblestore

import iofs "io/fs"

func ownedByUs(iofs.FileInfo) bool { return true }
