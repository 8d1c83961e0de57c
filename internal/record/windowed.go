package record

import (
	"math"
	"time"
)

// Windowed is a key in a window: of a grid, around a session, or without end. Start and End are in UTC, so that two equal
// windowed keys are == if their keys are. The End of an unlimited window is time.UnixMilli(math.MaxInt64).
type Windowed[K any] struct {
	Key        K
	Start, End time.Time
}

// MakeWindowed returns a windowed key of times in ms.
func MakeWindowed[K any](k K, start, end int64) Windowed[K] {
	return Windowed[K]{Key: k, Start: time.UnixMilli(start).UTC(), End: time.UnixMilli(end).UTC()}
}

// WindowEnd is where a window of a size ends. One that would end beyond all times is unlimited.
func WindowEnd(start, size int64) int64 {
	if size > math.MaxInt64-max(start, 0) {
		return math.MaxInt64
	}
	return start + size
}
