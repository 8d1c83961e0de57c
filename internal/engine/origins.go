package engine

import (
	"hash/maphash"
	"sort"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// origins remember which unit wrote which record of a batch, so that a record that the broker refuses leads to the input
// record that is at fault. Units of consecutive offsets that write one record each share an entry.
//
// What is not a record's own output (of an emission, a row, a punctuation) has no coordinates: another record may make it due
// when the task has begun anew. It is known by what it writes first.
type origins struct {
	list []origin
	room int // how many the list before this one had: it will need as many
}

// origin is a run of units: unit i has offset+i and wrote the record start+i; the last one may have written more. What is derived
// has an entry of its own.
type origin struct {
	task    *Task
	input   record.TopicPartition
	start   int
	at      int64
	units   int
	derived uint64 // sum of its first record; 0: it is the output of the unit of an input record
}

type originsMark struct {
	n, units int
}

func (o *origins) mark() originsMark {
	if n := len(o.list); n > 0 {
		return originsMark{n, o.list[n-1].units}
	}
	return originsMark{}
}

func (o *origins) undo(m originsMark) {
	o.list = o.list[:m.n]
	if m.n > 0 {
		o.list[m.n-1].units = m.units
	}
}

// note begins a unit of t, or a part of it, whose first record is number start. derived is its sum, 0 for the unit of a record.
func (o *origins) note(t *Task, start int, derived uint64) {
	in := &t.node.Input.Coordinates
	if t.nested.begun != 0 {
		in = &t.nested.at
	} else if n := len(o.list); n > 0 && derived == 0 {
		r := &o.list[n-1]
		if r.start+r.units == start && r.at+int64(r.units) == in.Offset && r.task == t && r.input == in.TopicPartition &&
			r.derived == 0 {
			r.units++
			return
		}
	}
	if o.list == nil {
		o.list = make([]origin, 0, o.room)
	}
	o.list = append(o.list, origin{t, in.TopicPartition, start, in.Offset, 1, derived})
}

// culprit names who wrote a record: the unit of an input record, or, if derived is not 0, what begins with a record of that sum.
type culprit struct {
	record.Coordinates
	derived uint64
}

// findOrigin returns who wrote record number i.
func findOrigin(list []origin, i int) (*Task, culprit, bool) {
	n := sort.Search(len(list), func(j int) bool { return list[j].start > i })
	if n == 0 {
		return nil, culprit{}, false
	}
	r := list[n-1]
	if r.derived != 0 {
		return r.task, culprit{node.NoCoordinates(), r.derived}, true
	}
	return r.task, culprit{Coordinates: record.Coordinates{TopicPartition: r.input,
		Offset: r.at + int64(min(i-r.start, r.units-1))}}, true
}

var sumSeed = maphash.MakeSeed()

// sumOf is how a derived record is known again. It is never 0.
func sumOf(tp record.TopicPartition, time int64, key, value []byte) uint64 {
	const odd = 0x9E3779B97F4A7C15
	sum := maphash.String(sumSeed, tp.Topic) + uint64(tp.Partition)
	for _, n := range [...]uint64{uint64(time), maphash.Bytes(sumSeed, key), maphash.Bytes(sumSeed, value)} {
		sum = (sum ^ n) * odd
		sum ^= sum >> 29
	}
	return sum | 1
}
