package stream

import (
	"reflect"
	"time"

	"github.com/oxbow-streams/oxbow/topology"
)

// read is an option of topics that the application reads.
type read func(*settings)

func (o read) source(s *settings) { o(s) }
func (o read) table(s *settings)  { o(s) }

// Timestamps extracts the timestamp of each record. partitionTime is the largest one of the partition so far, the zero time
// before the first. An error sets the record aside, [Skip] drops it.
func Timestamps[K, V any](f func(r Record[K, V], partitionTime time.Time) (time.Time, error)) read {
	return func(s *settings) { s.timestamps = typed{f, reflect.TypeOf(f).String()} }
}

// WallClockTime takes the time of processing for the timestamp.
func WallClockTime() read { return func(s *settings) { s.wallClock = true } }

// PartitionTimeOnInvalid takes the partition's time for records whose own timestamp is negative.
func PartitionTimeOnInvalid() read { return func(s *settings) { s.partitionTime = true } }

// OffsetPolicy says where to begin in a partition for which no offset is committed.
type OffsetPolicy = topology.OffsetReset

// The policies for [Offset].
const (
	Earliest OffsetPolicy = topology.OffsetEarliest
	Latest   OffsetPolicy = topology.OffsetLatest
	// NoReset makes a missing offset an error.
	NoReset OffsetPolicy = topology.OffsetNone
)

// Offset sets the policy of this source. Without it the application's holds.
func Offset(p OffsetPolicy) read { return func(s *settings) { s.offset = p } }
