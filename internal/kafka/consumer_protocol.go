package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// The bytes that members of a consumer group exchange are Kafka's ConsumerProtocolSubscription (version 2: with owned
// partitions and their generation) and ConsumerProtocolAssignment, so that brokers and tools can read them. What others
// send is parsed by hand: it comes from another process, of another version, and must not cost more memory than it has
// bytes, times a small number.

const (
	subscriptionVersion = 2
	assignmentVersion   = 0
	// maxAssignments bounds the assignments of one group: all of them, with the members' metadata, are one record of
	// about 1 MB in __consumer_offsets, and too large a one is answered with an error that names nothing.
	maxAssignments = 900_000
)

var errProtocol = errors.New("malformed consumer protocol")

func appendSubscription(b []byte, m *Member) []byte {
	b = binary.BigEndian.AppendUint16(b, subscriptionVersion)
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.Topics)))
	for _, t := range m.Topics {
		b = appendString(b, t)
	}
	b = appendNullableBytes(b, m.UserData)
	b = appendPartitions(b, m.Owned)
	return binary.BigEndian.AppendUint32(b, uint32(m.Generation))
}

func appendAssignment(b []byte, a *Assignment) []byte {
	b = binary.BigEndian.AppendUint16(b, assignmentVersion)
	b = appendPartitions(b, a.Partitions)
	return appendNullableBytes(b, a.UserData)
}

// checkPlan refuses a plan that the group's record cannot hold.
func checkPlan(plan map[string]Assignment) error {
	total := 0
	for id, a := range plan {
		total += len(id) + len(appendAssignment(nil, &a))
	}
	if total > maxAssignments {
		return fmt.Errorf("the assignments of %d members have %d bytes, and the brokers keep at most %d for a group: use fewer partitions or less user data",
			len(plan), total, maxAssignments)
	}
	return nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func appendNullableBytes(b, v []byte) []byte {
	if v == nil {
		return binary.BigEndian.AppendUint32(b, math.MaxUint32) // −1
	}
	return append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
}

// appendPartitions writes an array of topics with an array of partitions each, in order.
func appendPartitions(b []byte, tps []record.TopicPartition) []byte {
	tps = slices.SortedFunc(slices.Values(tps), compareTP)
	count := len(b)
	b = binary.BigEndian.AppendUint32(b, 0)
	topics := uint32(0)
	for len(tps) > 0 {
		n := 1
		for n < len(tps) && tps[n].Topic == tps[0].Topic {
			n++
		}
		b = appendString(b, tps[0].Topic)
		b = binary.BigEndian.AppendUint32(b, uint32(n))
		for _, tp := range tps[:n] {
			b = binary.BigEndian.AppendUint32(b, uint32(tp.Partition))
		}
		tps = tps[n:]
		topics++
	}
	binary.BigEndian.PutUint32(b[count:], topics)
	return b
}

// readSubscription reads what a member said. Versions above ours have fields added at the end, which are left unread.
func readSubscription(b []byte) (Member, error) {
	r := protocolReader{b: b}
	m := Member{Generation: -1}
	version := r.int16()
	for n := r.count(2); n > 0 && r.ok(); n-- {
		m.Topics = append(m.Topics, r.string())
	}
	m.UserData = r.nullableBytes()
	if version >= 1 && r.ok() && len(r.b) > 0 { // Java tolerates a version 1 without the field
		m.Owned = r.partitions()
	}
	if version >= 2 && r.ok() {
		m.Generation = r.int32()
	}
	if version < 0 || !r.ok() {
		return Member{}, fmt.Errorf("subscription of %d bytes, version %d: %w", len(b), version, errProtocol)
	}
	return m, nil
}

// readAssignment reads what the leader gave us. No bytes mean nothing: the leader does not know us yet.
func readAssignment(b []byte) (Assignment, error) {
	if len(b) == 0 {
		return Assignment{}, nil
	}
	r := protocolReader{b: b}
	version := r.int16()
	a := Assignment{Partitions: r.partitions()}
	a.UserData = r.nullableBytes()
	if version < 0 || !r.ok() {
		return Assignment{}, fmt.Errorf("assignment of %d bytes, version %d: %w", len(b), version, errProtocol)
	}
	return a, nil
}

// protocolReader reads big-endian fields. After the first that does not fit, all are zero.
type protocolReader struct {
	b      []byte
	failed bool
}

func (r *protocolReader) ok() bool { return !r.failed }

func (r *protocolReader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.failed, r.b = true, nil
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *protocolReader) int16() int16 {
	if v := r.take(2); v != nil {
		return int16(binary.BigEndian.Uint16(v))
	}
	return 0
}

func (r *protocolReader) int32() int32 {
	if v := r.take(4); v != nil {
		return int32(binary.BigEndian.Uint32(v))
	}
	return 0
}

// count reads the length of an array whose elements have at least size bytes. −1 is an empty one.
func (r *protocolReader) count(size int) int {
	n := int(r.int32())
	if n < -1 || n > len(r.b)/size {
		r.take(-1)
	}
	if r.failed || n < 0 {
		return 0
	}
	return n
}

func (r *protocolReader) string() string { return string(r.take(int(r.int16()))) }

func (r *protocolReader) nullableBytes() []byte {
	n := int(r.int32())
	if n == -1 || r.failed {
		return nil
	}
	return append([]byte{}, r.take(n)...)
}

func (r *protocolReader) partitions() (tps []record.TopicPartition) {
	for n := r.count(6); n > 0 && r.ok(); n-- {
		topic := r.string()
		parts := r.count(4)
		tps = slices.Grow(tps, parts)
		for ; parts > 0 && r.ok(); parts-- {
			p := r.int32()
			if p < 0 {
				r.take(-1)
			}
			tps = append(tps, record.TopicPartition{Topic: topic, Partition: p})
		}
	}
	return tps
}
