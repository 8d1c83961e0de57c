package serde

import (
	"encoding/binary"
	"time"
)

// Time is the serde of instants: milliseconds since the epoch as Int64, the precision of Kafka's own timestamps. What is
// finer is cut off; Decode gives UTC.
var Time Serde[time.Time] = timeSerde{}

type timeSerde struct{}

func (timeSerde) Append(dst []byte, v time.Time) ([]byte, error) {
	return binary.BigEndian.AppendUint64(dst, uint64(v.UnixMilli())), nil
}

func (timeSerde) Decode(b []byte) (time.Time, error) {
	if len(b) != 8 {
		return time.Time{}, wrongLength(len(b), 8)
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(b))).UTC(), nil
}
