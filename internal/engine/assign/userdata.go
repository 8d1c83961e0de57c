package assign

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// Versions of the user data. A writer says which version a reader must know at least.
const (
	version    = 1
	leastKnown = 1
)

const maxWorkers = 1 << 16

// SubscriptionData is what a member tells the leader.
type SubscriptionData struct {
	Process  [16]byte // of the app instance, kept on its disk
	Workers  int
	Topology uint64 // see Fingerprint
	State    []TaskState
	// Coming is what the assignment of generation ComingOf said; −1 if there was none.
	Coming   []record.TaskID
	ComingOf int32
}

// Refusal says why a member gets nothing. Numbers are part of the format.
type Refusal uint8

const (
	Accepted      Refusal = 0
	OtherTopology Refusal = 1 // than the leader's
)

func (r Refusal) String() string {
	switch r {
	case Accepted:
		return "accepted"
	case OtherTopology:
		return "this instance runs another topology than the leader of its group, so it gets no tasks: run the same program in " +
			"all instances, or choose another application id"
	}
	return fmt.Sprintf("the leader of the group gives this instance no tasks, for reason %d, which is newer than this program", uint8(r))
}

// AssignmentData is what the leader tells a member, beside the partitions.
type AssignmentData struct {
	Refused Refusal
	Coming  []record.TaskID // meant for this member; their owners have to give them up first
	Standby []record.TaskID // empty so far
	Warmup  []record.TaskID // empty so far
}

// Encode appends the wire form.
func (d *SubscriptionData) Encode(b []byte) []byte {
	b = append(b, version, leastKnown)
	b = append(b, d.Process[:]...)
	b = binary.BigEndian.AppendUint64(b, d.Topology)
	b = binary.AppendUvarint(b, uint64(min(max(d.Workers, 1), maxWorkers)))
	held := slices.Clone(d.State)
	slices.SortStableFunc(held, func(a, b TaskState) int { return a.Task.Compare(b.Task) })
	held = slices.CompactFunc(held, func(a, b TaskState) bool { return a.Task == b.Task })
	ids := make([]record.TaskID, len(held))
	for i, h := range held {
		ids[i] = h.Task
	}
	b = appendTasks(b, ids)
	for _, h := range held {
		b = binary.AppendUvarint(b, uint64(min(max(h.Lag, -1), math.MaxInt64-1)+1)) // 0: unknown
	}
	b = binary.AppendUvarint(b, uint64(int64(max(d.ComingOf, -1))+1))
	return appendTasks(b, d.Coming)
}

// DecodeSubscription reads the wire form.
func DecodeSubscription(b []byte) (SubscriptionData, error) {
	r, err := newReader(b)
	if err != nil {
		return SubscriptionData{}, err
	}
	d := SubscriptionData{}
	copy(d.Process[:], r.take(len(d.Process)))
	if t := r.take(8); t != nil {
		d.Topology = binary.BigEndian.Uint64(t)
	}
	workers := r.uvarint()
	if workers < 1 || workers > maxWorkers {
		r.fail()
	}
	d.Workers = int(workers)
	for _, id := range r.tasks() {
		lag := r.uvarint()
		if lag > math.MaxInt64 {
			r.fail()
		}
		d.State = append(d.State, TaskState{id, int64(lag) - 1})
	}
	of := r.uvarint()
	if of > math.MaxInt32+1 {
		r.fail()
	}
	d.ComingOf, d.Coming = int32(int64(of)-1), r.tasks()
	if r.failed {
		return SubscriptionData{}, errMalformed
	}
	return d, nil
}

// Encode appends the wire form. The lists of tasks are sorted.
func (d *AssignmentData) Encode(b []byte) []byte {
	b = append(b, version, leastKnown, byte(d.Refused))
	b = appendTasks(b, d.Coming)
	b = appendTasks(b, d.Standby)
	return appendTasks(b, d.Warmup)
}

// DecodeAssignment reads the wire form.
func DecodeAssignment(b []byte) (AssignmentData, error) {
	r, err := newReader(b)
	if err != nil {
		return AssignmentData{}, err
	}
	d := AssignmentData{}
	if refused := r.take(1); refused != nil {
		d.Refused = Refusal(refused[0])
	}
	d.Coming, d.Standby, d.Warmup = r.tasks(), r.tasks(), r.tasks()
	if r.failed {
		return AssignmentData{}, errMalformed
	}
	return d, nil
}

// appendTasks writes, for each sub-topology, its number, how many tasks of it follow, and their partitions; numbers as
// differences to the one before.
func appendTasks(b []byte, ids []record.TaskID) []byte {
	ids = slices.Compact(slices.SortedFunc(slices.Values(ids), record.TaskID.Compare))
	subs := 0
	for i, id := range ids {
		if i == 0 || id.Sub != ids[i-1].Sub {
			subs++
		}
	}
	b = binary.AppendUvarint(b, uint64(subs))
	last := int32(0)
	for len(ids) > 0 {
		sub, n := ids[0].Sub, 1
		for n < len(ids) && ids[n].Sub == sub {
			n++
		}
		b = binary.AppendUvarint(b, uint64(sub-last))
		b = binary.AppendUvarint(b, uint64(n))
		part := int32(0)
		for _, id := range ids[:n] {
			b = binary.AppendUvarint(b, uint64(id.Partition-part))
			part = id.Partition
		}
		ids, last = ids[n:], sub
	}
	return b
}

var (
	errMalformed = errors.New("malformed user data: the member is not an Oxbow instance, or its data was damaged")
	errNone      = errors.New("no user data: the member is not an Oxbow instance; stop it, or choose another application id")
	errJava      = errors.New("user data of a Java Kafka Streams instance: stop all Java instances of the application before " +
		"Oxbow takes it over, or choose another application id")
)

// VersionError is user data that this program is too old to read.
type VersionError struct{ Version, Least byte }

func (e *VersionError) Error() string {
	return fmt.Sprintf("user data of version %d, which needs a reader of version %d, and this program reads up to version %d: "+
		"run the newer release in all instances", e.Version, e.Least, version)
}

// reader reads fields. After the first that does not fit, all are zero.
type reader struct {
	b      []byte
	failed bool
}

func newReader(b []byte) (*reader, error) {
	switch {
	case len(b) == 0:
		return nil, errNone
	case len(b) >= 4 && b[0] == 0:
		return nil, errJava
	case len(b) < 2 || b[0] == 0 || b[1] == 0 || b[1] > b[0]:
		return nil, errMalformed
	case b[1] > version:
		return nil, &VersionError{b[0], b[1]}
	}
	return &reader{b: b[2:]}, nil
}

func (r *reader) fail() { r.failed, r.b = true, nil }

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.fail()
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads the length of a list whose elements have at least size bytes each.
func (r *reader) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.b)/size) {
		r.fail()
		return 0
	}
	return int(n)
}

// next reads the difference to the number before; only the first may repeat it.
func (r *reader) next(last int32, first bool) int32 {
	d := r.uvarint()
	if d > uint64(math.MaxInt32-last) || d == 0 && !first {
		r.fail()
		return 0
	}
	return last + int32(d)
}

func (r *reader) tasks() (ids []record.TaskID) {
	sub := int32(0)
	for i := range r.count(3) {
		sub = r.next(sub, i == 0)
		n := r.count(1)
		if n == 0 {
			r.fail()
		}
		part := int32(0)
		for j := range n {
			part = r.next(part, j == 0)
			ids = append(ids, record.TaskID{Sub: sub, Partition: part})
		}
		if r.failed {
			return nil
		}
	}
	return ids
}
