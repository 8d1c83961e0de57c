package pebblestore

import (
	"bytes"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"github.com/oxbow-streams/oxbow/state"
)

// comparer orders keys, and says which part of a key is its prefix, on which bloom filters are built and by which Pebble
// can seek. It is part of the format on disk and can never change under its name.
//
//	rest of the key         kinds without suffix   key
//	                        kinds with suffix      key without suffix, 0, suffix, length of the suffix + 1
//
// follows the 12 bytes of keys.go, the last of which is the kind. In kinds with suffix, the last byte tells whether a key
// has one: it is the length, or the 0 that ends a prefix. So a prefix is itself a key, of prefix only, and sorts before
// all keys that begin with it; Pebble wants that. Any other string of bytes is taken as prefix only, which makes the
// order total.
//
// Pebble also asks that a prefix without its leading bytes be valid, for synthetic prefixes, which are a matter of tables
// that are shared or external. We have none, and the kind stays where it is.
var comparer = &pebble.Comparer{
	Name:                 "oxbow.1",
	Compare:              compare,
	Equal:                bytes.Equal,
	Split:                split,
	ComparePointSuffixes: bytes.Compare,
	CompareRangeSuffixes: bytes.Compare,
	AbbreviatedKey:       abbreviate,
	Separator:            separator,
	Successor:            successor,
	ImmediateSuccessor:   immediateSuccessor,
	FormatKey:            pebble.DefaultComparer.FormatKey,
}

// suffixed tells whether key is of a kind whose keys have a suffix.
func suffixed(key []byte) bool {
	return len(key) > prefixLen && state.Kind(key[prefixLen-1]).SuffixLen() > 0
}

func split(key []byte) int {
	if !suffixed(key) {
		return len(key)
	}
	n := state.Kind(key[prefixLen-1]).SuffixLen() + 1
	at := len(key) - n
	if int(key[len(key)-1]) != n || at <= prefixLen || key[at-1] != 0 {
		return len(key)
	}
	return at
}

func compare(a, b []byte) int {
	if !suffixed(a) || !suffixed(b) {
		// The kinds differ, within the first 12 bytes, or neither has a suffix: bytes decide.
		return bytes.Compare(a, b)
	}
	na, nb := split(a), split(b)
	if c := bytes.Compare(a[:na], b[:nb]); c != 0 {
		return c
	}
	return bytes.Compare(a[na:], b[nb:])
}

func abbreviate(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var b [8]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:])
}

// separator shortens within the prefix, where order is bytewise, and keeps a if that gives no key in between.
func separator(dst, a, b []byte) []byte {
	n := len(dst)
	pa, pb := a[:split(a)], b[:split(b)]
	if bytes.Compare(pa, pb) < 0 && len(pa) > 0 && len(pb) > 0 {
		dst = pebble.DefaultComparer.Separator(dst, pa, pb)
		if suffixed(dst[n:]) && len(dst)-n < len(a) {
			dst = append(dst, 0) // ends a prefix
		}
		if k := dst[n:]; len(k) < len(a) && compare(a, k) <= 0 && compare(k, b) < 0 {
			return dst
		}
	}
	return append(dst[:n], a...)
}

func successor(dst, a []byte) []byte {
	n := len(dst)
	dst = pebble.DefaultComparer.Successor(dst, a[:split(a)])
	if suffixed(dst[n:]) && len(dst)-n < len(a) {
		dst = append(dst, 0)
	}
	if k := dst[n:]; len(k) < len(a) && compare(a, k) <= 0 {
		return dst
	}
	return append(dst[:n], a...)
}

// immediateSuccessor returns the least prefix that is greater than the prefix a.
func immediateSuccessor(dst, a []byte) []byte {
	return append(append(dst, a...), 0)
}
