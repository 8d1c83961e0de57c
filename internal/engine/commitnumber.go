package engine

import "github.com/oxbow-streams/oxbow/internal/record"

// commitName is the entry of the offset metadata that tells one transaction of a task from every other.
const commitName = "oxbow.commit"

// A commit number counts a task's transactions. Its lower bits are drawn anew whenever the task begins somewhere, so that two owners
// that count on from the same committed number do not mean the same transaction by the next.
const saltBits = 24

func nextNumber(n int64, salt uint32) int64 {
	return (n>>saltBits+1)<<saltBits | int64(salt)&(1<<saltBits-1)
}

// numberOf returns the commit number in the metadata of an offset, 0 for none.
func numberOf(metadata string) int64 {
	m, err := DecodeOffsetMetadata(metadata)
	if err != nil {
		return 0
	}
	return m.Named[commitName]
}

// landed tells whether a transaction whose outcome nobody has heard was committed: the group holds its offsets, which have the
// numbers of its tasks. It is asked when nothing is pending any more. If the tasks have other owners by now, who have committed since,
// it says no: what is forgotten then is no longer ours.
func landed(sent, found map[record.TopicPartition]Offset) bool {
	for tp, o := range sent {
		if n := numberOf(o.Metadata); n != 0 && numberOf(found[tp].Metadata) == n {
			return true
		}
	}
	return false
}
