package pebblestore

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// Every key begins with 12 bytes, big endian, so that a task, and in it a store, is one range of keys:
//
//	4 sub-topology   4 partition   3 number of the store   1 kind
//
// A store's record (format, kind, offset) has the kind 0xff and ends the store's range. So an ingest of rows and record is
// one range that touches no other store. The area of the whole database has the sub-topology 0xffffffff, which no task
// has.
const (
	prefixLen  = 12
	kindRecord = 0xff
	areaWhole  = math.MaxUint32
	maxStore   = 1<<24 - 1
)

type prefix [prefixLen]byte

func makePrefix(id record.TaskID, store uint32, kind byte) (p prefix) {
	binary.BigEndian.PutUint32(p[0:], uint32(id.Sub))
	binary.BigEndian.PutUint32(p[4:], uint32(id.Partition))
	binary.BigEndian.PutUint32(p[8:], store<<8|uint32(kind))
	return p
}

// taskRange returns the bounds of all keys of a task. Neither part of an id is negative, so that the end exists.
func taskRange(id record.TaskID) (lower, upper []byte) {
	return binary.BigEndian.AppendUint64(nil, taskNumber(id)), binary.BigEndian.AppendUint64(nil, taskNumber(id)+1)
}

func taskNumber(id record.TaskID) uint64 {
	return uint64(uint32(id.Sub))<<32 | uint64(uint32(id.Partition))
}

func taskOf(key []byte) record.TaskID {
	return record.TaskID{Sub: int32(binary.BigEndian.Uint32(key)), Partition: int32(binary.BigEndian.Uint32(key[4:]))}
}

// wholeKey is a key in the area of the whole database.
func wholeKey(name string) []byte {
	k := make([]byte, prefixLen, prefixLen+len(name))
	binary.BigEndian.PutUint32(k, areaWhole)
	return append(k, name...)
}

// encodedLen is the length of a store's key in the database.
func encodedLen(suffix int, key []byte) int {
	if suffix > 0 {
		return prefixLen + len(key) + 2
	}
	return prefixLen + len(key)
}

// putKey writes a store's key into dst, which has its encoded length.
func putKey(dst []byte, p *prefix, suffix int, key []byte) {
	copy(dst, p[:])
	dst = dst[prefixLen:]
	if suffix == 0 {
		copy(dst, key)
		return
	}
	n := copy(dst, key[:len(key)-suffix])
	dst[n] = 0
	copy(dst[n+1:], key[n:])
	dst[len(dst)-1] = byte(suffix + 1)
}

func appendKey(dst []byte, p *prefix, suffix int, key []byte) []byte {
	n := len(dst)
	dst = slices.Grow(dst, encodedLen(suffix, key))[:n+encodedLen(suffix, key)]
	putKey(dst[n:], p, suffix, key)
	return dst
}

// storeKey returns the store's key of a database key. If it has a suffix, it is put together in buf.
func storeKey(buf *[]byte, suffix int, key []byte) []byte {
	if suffix == 0 {
		return key[prefixLen:]
	}
	at := len(key) - suffix - 2
	*buf = append(append((*buf)[:0], key[prefixLen:at]...), key[at+1:len(key)-1]...)
	return *buf
}

// storeFormat is the version of the layout of a store's rows and record.
const storeFormat = 1

// storeRecord is what is known of a store in a space.
type storeRecord struct {
	format    byte
	kind      state.Kind
	hasOffset bool
	offset    state.StoredOffset
}

const recordLen = 3 + 8 + 8

func (r storeRecord) len() int { return recordLen + len(r.offset.Position) }

func (r storeRecord) put(dst []byte) {
	dst[0], dst[1], dst[2] = r.format, byte(r.kind), 0
	if r.hasOffset {
		dst[2] = 1
	}
	binary.BigEndian.PutUint64(dst[3:], uint64(r.offset.Changelog))
	binary.BigEndian.PutUint64(dst[11:], uint64(r.offset.BrokerTime))
	copy(dst[recordLen:], r.offset.Position)
}

func parseRecord(b []byte) (r storeRecord, err error) {
	if len(b) < 2 || b[0] == storeFormat && (len(b) < recordLen || b[2] > 1) {
		return r, fmt.Errorf("store record %x is malformed", b)
	}
	r.format, r.kind = b[0], state.Kind(b[1])
	if r.format != storeFormat {
		return r, nil // of its layout nothing else is known
	}
	r.hasOffset = b[2] == 1
	r.offset.Changelog = int64(binary.BigEndian.Uint64(b[3:]))
	r.offset.BrokerTime = int64(binary.BigEndian.Uint64(b[11:]))
	if len(b) > recordLen {
		r.offset.Position = slices.Clone(b[recordLen:])
	}
	return r, nil
}
