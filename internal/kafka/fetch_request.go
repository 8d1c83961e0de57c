package kafka

import (
	"encoding/binary"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// The Fetch versions we speak. From 4 on answers carry record batches v2 and the aborted transactions; from 9 on
// requests carry the leader's epoch; 12 is the last that names topics rather than ids.
const (
	fetchKey        = 1
	fetchMinVersion = 4
	fetchMaxVersion = 12
	fetchFlexible   = 12
)

// fetchPoll is one fetch request: what one broker is asked at once. Its parts are in the order in which the broker
// should serve them.
type fetchPoll struct {
	id    uint64
	node  int32
	slot  int
	start time.Time
	wait  time.Duration
	parts []fetchPollPart
}

// fetchPollPart is one partition of a poll, as it was when the poll was made.
type fetchPollPart struct {
	tp     record.TopicPartition
	gen    uint64 // of the partition's subscription: a later Add or a Remove makes the answer void
	offset int64
	epoch  int32 // of the leader, -1 unknown
	max    int32 // bytes
}

// appendFetchRequest appends the body of a sessionless fetch request. A topic that comes back after another is written
// again: the order of partitions matters more than the size, because a broker lets only the first partition that has
// data exceed the limits.
func appendFetchRequest(dst []byte, version int16, q *fetchPoll, minBytes, maxBytes int32, readCommitted bool) []byte {
	be := binary.BigEndian
	flexible := version >= fetchFlexible
	dst = be.AppendUint32(dst, 0xffffffff) // replica id: a consumer
	dst = be.AppendUint32(dst, uint32(q.wait.Milliseconds()))
	dst = be.AppendUint32(dst, uint32(minBytes))
	dst = be.AppendUint32(dst, uint32(maxBytes))
	if readCommitted {
		dst = append(dst, 1)
	} else {
		dst = append(dst, 0)
	}
	if version >= 7 { // no session
		dst = be.AppendUint32(dst, 0)
		dst = be.AppendUint32(dst, 0xffffffff)
	}
	dst = appendCount(dst, flexible, topicRuns(q.parts))
	for i := 0; i < len(q.parts); {
		n := topicRun(q.parts[i:])
		name := q.parts[i].tp.Topic
		if flexible {
			dst = binary.AppendUvarint(dst, uint64(len(name))+1)
		} else {
			dst = be.AppendUint16(dst, uint16(len(name)))
		}
		dst = append(dst, name...)
		dst = appendCount(dst, flexible, n)
		for _, p := range q.parts[i : i+n] {
			dst = appendFetchPart(dst, version, &p)
		}
		if flexible {
			dst = append(dst, 0)
		}
		i += n
	}
	if version >= 7 { // forgotten topics: none
		dst = appendCount(dst, flexible, 0)
	}
	if version >= 11 { // rack: none
		if flexible {
			dst = append(dst, 1)
		} else {
			dst = be.AppendUint16(dst, 0)
		}
	}
	if flexible {
		dst = append(dst, 0)
	}
	return dst
}

func appendFetchPart(dst []byte, version int16, p *fetchPollPart) []byte {
	be := binary.BigEndian
	dst = be.AppendUint32(dst, uint32(p.tp.Partition))
	if version >= 9 {
		dst = be.AppendUint32(dst, uint32(p.epoch))
	}
	dst = be.AppendUint64(dst, uint64(p.offset))
	if version >= 12 {
		dst = be.AppendUint32(dst, 0xffffffff) // last fetched epoch: not checked
	}
	if version >= 5 {
		dst = be.AppendUint64(dst, 0xffffffffffffffff) // log start: only followers send theirs
	}
	dst = be.AppendUint32(dst, uint32(p.max))
	if version >= fetchFlexible {
		dst = append(dst, 0)
	}
	return dst
}

func appendCount(dst []byte, compact bool, n int) []byte {
	if compact {
		return binary.AppendUvarint(dst, uint64(n)+1)
	}
	return binary.BigEndian.AppendUint32(dst, uint32(n))
}

// topicRun returns how many leading parts are of one topic.
func topicRun(parts []fetchPollPart) int {
	n := 1
	for n < len(parts) && parts[n].tp.Topic == parts[0].tp.Topic {
		n++
	}
	return n
}

func topicRuns(parts []fetchPollPart) int {
	runs := 0
	for len(parts) > 0 {
		parts = parts[topicRun(parts):]
		runs++
	}
	return runs
}
