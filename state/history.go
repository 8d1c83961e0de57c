package state

import (
	"encoding/binary"
	"errors"
	"math"
)

// history is the row of a key in a segment of a versioned store: the versions that ended in the time of the segment, the
// newest first. All numbers are big endian.
//
//	8 end of the newest version   8 begin of the oldest
//	then of each version:   8 begin   4 length of the value + 1, 0 for a deletion   value
//
// A version ends where the next one begins. Begin and end of a lone deletion may be the same: then it only says when the key
// was deleted last.
type history []byte

const (
	historyHead = 16
	versionHead = 12
)

// maxVersion is the largest value that a version may have.
const maxVersion = math.MaxUint32 - 1

var errHistory = errors.New("a row of versions is cut off or has the wrong order")

// check finds rows that no store has written.
func (h history) check() error {
	if len(h) < historyHead+versionHead {
		return errHistory
	}
	end, at := h.end(), historyHead
	for at < len(h) {
		if at+versionHead > len(h) {
			return errHistory
		}
		from := h.from(at)
		if from > end || from == end && at > historyHead {
			return errHistory
		}
		end = from
		if at = h.after(at); at > len(h) || at < 0 {
			return errHistory
		}
	}
	if end != h.begin() {
		return errHistory
	}
	return nil
}

func (h history) end() int64   { return int64(binary.BigEndian.Uint64(h)) }
func (h history) begin() int64 { return int64(binary.BigEndian.Uint64(h[8:])) }

// lone tells whether the row only says when the key was deleted.
func (h history) lone() bool { return h.end() == h.begin() }

func (h history) from(at int) int64 { return int64(binary.BigEndian.Uint64(h[at:])) }

// value is nil for a deletion.
func (h history) value(at int) []byte {
	n := binary.BigEndian.Uint32(h[at+8:])
	if n == 0 {
		return nil
	}
	from := at + versionHead
	return h[from : from+int(n-1) : from+int(n-1)]
}

// after is where the next older version stands.
func (h history) after(at int) int {
	return at + versionHead + int(max(binary.BigEndian.Uint32(h[at+8:]), 1)-1)
}

// find returns the version that is valid at ts, and its end. begin <= ts < end.
func (h history) find(ts int64) (at int, end int64) {
	at, end = historyHead, h.end()
	for h.from(at) > ts {
		end = h.from(at)
		at = h.after(at)
	}
	return at, end
}

func appendVersion(dst []byte, from int64, value []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(from))
	if value == nil {
		return binary.BigEndian.AppendUint32(dst, 0)
	}
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(value))+1), value...)
}

// newHistory appends a row of one version.
func newHistory(dst []byte, from, end int64, value []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(end))
	dst = binary.BigEndian.AppendUint64(dst, uint64(from))
	return appendVersion(dst, from, value)
}

// splice appends the row with a version in place of the bytes from at to to.
func (h history) splice(dst []byte, at, to int, from int64, value []byte) []byte {
	n := len(dst)
	dst = append(dst, h[:at]...)
	dst = appendVersion(dst, from, value)
	dst = append(dst, h[to:]...)
	if to == len(h) {
		binary.BigEndian.PutUint64(dst[n+8:], uint64(from))
	}
	return dst
}

// addNewest appends the row with a version after all others. The time between is that of a deletion.
func (h history) addNewest(dst []byte, from, end int64, value []byte) []byte {
	n := len(dst)
	deleted := h.end()
	switch gap := from > deleted; {
	case h.lone() && !gap:
		return newHistory(dst, from, end, value)
	case h.lone():
		dst = binary.BigEndian.AppendUint64(dst, uint64(end))
		dst = binary.BigEndian.AppendUint64(dst, uint64(deleted))
		dst = appendVersion(dst, from, value)
		return appendVersion(dst, deleted, nil)
	case gap:
		dst = append(dst, h[:historyHead]...)
		dst = appendVersion(dst, from, value)
		dst = appendVersion(dst, deleted, nil)
		dst = append(dst, h[historyHead:]...)
	default:
		dst = h.splice(dst, historyHead, historyHead, from, value)
	}
	binary.BigEndian.PutUint64(dst[n:], uint64(end))
	return dst
}

// addOldest appends the row with a version before all others.
func (h history) addOldest(dst []byte, from int64, value []byte) []byte {
	if h.lone() {
		return newHistory(dst, from, h.end(), value)
	}
	return h.splice(dst, len(h), len(h), from, value)
}
