package kafka

import (
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// OffsetOutOfRangeError says that the leader no longer has, or never had, the offset that was to be read. The fetcher
// never moves a position by itself: what to do is the receiver's policy.
type OffsetOutOfRangeError struct {
	record.TopicPartition
	Offset int64
}

func (e *OffsetOutOfRangeError) Error() string {
	return fmt.Sprintf("%s@%d: offset out of range: the partition's log starts later or ends earlier", e.TopicPartition, e.Offset)
}

// FetchError says why a partition can no longer be fetched.
type FetchError struct {
	At  record.Coordinates
	Err error
}

func (e *FetchError) Error() string { return fmt.Sprintf("%s: %v", e.At, e.Err) }

func (e *FetchError) Unwrap() error { return e.Err }

// fetchError says that p stops at its position, and why.
func fetchError(p *fetchPart, err error) error {
	return &FetchError{At: record.Coordinates{TopicPartition: p.tp, Offset: p.position}, Err: err}
}

// fetchClass tells what an error code of a partition in a fetch answer asks for.
type fetchClass int

const (
	fetchCodeFatal fetchClass = iota // stop the partition
	fetchCodeRetry                   // wait, look the leader up, ask again
	fetchCodeRange                   // the position is not in the log
)

func fetchCodeClass(code Code) fetchClass {
	switch {
	case code == codeOffsetOutOfRange:
		return fetchCodeRange
	case code == 2: // CORRUPT_MESSAGE: the broker's log is damaged there, and stays so
		return fetchCodeFatal
	case code == -1: // UNKNOWN_SERVER_ERROR: a broker in trouble; it may be better, or another may lead
		return fetchCodeRetry
	case actionFor(fetchKey, code).Has(Retry):
		return fetchCodeRetry
	default:
		return fetchCodeFatal
	}
}
