package state

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// windowKeys is the serde of the keys of window stores and of their changelogs: key, start, sequence number 0. The end is not
// there: windows have a size.
type windowKeys[K any] struct {
	keys serde.Serde[K]
	size int64
}

func (w windowKeys[K]) Append(dst []byte, k record.Windowed[K]) ([]byte, error) {
	dst, err := w.keys.Append(dst, k.Key)
	return appendWindow(dst, k.Start.UnixMilli(), 0), err
}

func (w windowKeys[K]) Decode(b []byte) (k record.Windowed[K], err error) {
	key, start, _, err := splitWindow(b)
	if err != nil {
		return k, err
	}
	inner, err := w.keys.Decode(key)
	if err != nil {
		return k, err
	}
	return record.MakeWindowed(inner, start, record.WindowEnd(start, w.size)), nil
}

func appendWindow(dst []byte, start int64, seq uint32) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(start))
	return binary.BigEndian.AppendUint32(dst, seq)
}

// splitWindow takes the key of a window store apart.
func splitWindow(b []byte) (key []byte, start int64, seq uint32, err error) {
	at := len(b) - 12
	if at < 0 {
		return nil, 0, 0, fmt.Errorf("%d bytes, too few for window start and sequence number", len(b))
	}
	return b[:at:at], int64(binary.BigEndian.Uint64(b[at:])), binary.BigEndian.Uint32(b[at+8:]), nil
}

// sessionKeys is the serde of the keys of session stores and of their changelogs: key, end, start.
type sessionKeys[K any] struct{ keys serde.Serde[K] }

func (w sessionKeys[K]) Append(dst []byte, k record.Windowed[K]) ([]byte, error) {
	dst, err := w.keys.Append(dst, k.Key)
	return appendSession(dst, k.Start.UnixMilli(), k.End.UnixMilli()), err
}

func (w sessionKeys[K]) Decode(b []byte) (k record.Windowed[K], err error) {
	key, start, end, err := splitSession(b)
	if err != nil {
		return k, err
	}
	inner, err := w.keys.Decode(key)
	if err != nil {
		return k, err
	}
	return record.MakeWindowed(inner, start, end), nil
}

func appendSession(dst []byte, start, end int64) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(end))
	return binary.BigEndian.AppendUint64(dst, uint64(start))
}

// splitSession takes the key of a session store apart.
func splitSession(b []byte) (key []byte, start, end int64, err error) {
	at := len(b) - 16
	if at < 0 {
		return nil, 0, 0, fmt.Errorf("%d bytes, too few for session end and start", len(b))
	}
	return b[:at:at], int64(binary.BigEndian.Uint64(b[at+8:])), int64(binary.BigEndian.Uint64(b[at:])), nil
}

// windowSpan returns a function that sets the times of a windowed key by a key of the store.
func windowSpan[K any](size int64) func(k *record.Windowed[K], key []byte) {
	return func(k *record.Windowed[K], key []byte) {
		start := int64(binary.BigEndian.Uint64(key[len(key)-12:]))
		k.Start, k.End = time.UnixMilli(start).UTC(), time.UnixMilli(record.WindowEnd(start, size)).UTC()
	}
}

// sessionSpan is the same for sessions.
func sessionSpan[K any](k *record.Windowed[K], key []byte) {
	at := len(key) - 16
	k.End = time.UnixMilli(int64(binary.BigEndian.Uint64(key[at:]))).UTC()
	k.Start = time.UnixMilli(int64(binary.BigEndian.Uint64(key[at+8:]))).UTC()
}
