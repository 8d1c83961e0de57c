package serde

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// TimeWindowed is the serde of keys in time windows and sliding windows, as Kafka Streams writes them to topics: the key's
// bytes, then the start of the window. The end is not written, so that size, the windows' length, is needed to read it. Size 0 is
// that of windows without end.
//
// A topic that such keys are written to is partitioned by the key's own bytes: all windows of a key lie together.
func TimeWindowed[K any](key Serde[K], size time.Duration) Serde[record.Windowed[K]] {
	ms := size.Milliseconds()
	if size == 0 {
		ms = math.MaxInt64
	}
	return timeWindowed[K]{key, ms}
}

// SlidingWindowed is [TimeWindowed] for sliding windows, whose length may be 0.
func SlidingWindowed[K any](key Serde[K], difference time.Duration) Serde[record.Windowed[K]] {
	return timeWindowed[K]{key, difference.Milliseconds()}
}

// SessionWindowed is the serde of keys in session windows, as Kafka Streams writes them to topics: the key's bytes, then end and
// start of the session. Partitions are chosen as of [TimeWindowed].
func SessionWindowed[K any](key Serde[K]) Serde[record.Windowed[K]] { return sessionWindowed[K]{key} }

type timeWindowed[K any] struct {
	key  Serde[K]
	size int64
}

func (s timeWindowed[K]) Append(dst []byte, k record.Windowed[K]) ([]byte, error) {
	dst, err := s.key.Append(dst, k.Key)
	return binary.BigEndian.AppendUint64(dst, uint64(k.Start.UnixMilli())), err
}

func (s timeWindowed[K]) Decode(b []byte) (k record.Windowed[K], err error) {
	at := len(b) - 8
	if at < 0 {
		return k, fmt.Errorf("a key in a time window has %d bytes, want 8 or more", len(b))
	}
	key, err := s.key.Decode(b[:at:at])
	if err != nil {
		return k, err
	}
	start := int64(binary.BigEndian.Uint64(b[at:]))
	return record.MakeWindowed(key, start, record.WindowEnd(start, s.size)), nil
}

type sessionWindowed[K any] struct{ key Serde[K] }

func (s sessionWindowed[K]) Append(dst []byte, k record.Windowed[K]) ([]byte, error) {
	dst, err := s.key.Append(dst, k.Key)
	dst = binary.BigEndian.AppendUint64(dst, uint64(k.End.UnixMilli()))
	return binary.BigEndian.AppendUint64(dst, uint64(k.Start.UnixMilli())), err
}

func (s sessionWindowed[K]) Decode(b []byte) (k record.Windowed[K], err error) {
	at := len(b) - 16
	if at < 0 {
		return k, fmt.Errorf("a key in a session window has %d bytes, want 16 or more", len(b))
	}
	key, err := s.key.Decode(b[:at:at])
	if err != nil {
		return k, err
	}
	end, start := int64(binary.BigEndian.Uint64(b[at:])), int64(binary.BigEndian.Uint64(b[at+8:]))
	return record.MakeWindowed(key, start, end), nil
}

func (s timeWindowed[K]) windowBytes() int    { return 8 }
func (s sessionWindowed[K]) windowBytes() int { return 16 }
func (s optSerde[T]) windowBytes() int        { return WindowBytes(s.some) }

// WindowBytes tells how many bytes at the end of a key say in which window it is; 0 for keys that are in none.
func WindowBytes(s any) int {
	if w, ok := s.(interface{ windowBytes() int }); ok {
		return w.windowBytes()
	}
	return 0
}
