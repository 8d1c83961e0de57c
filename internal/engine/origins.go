package engine

import (
	"sort"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// refusedAt names what wrote a record that a broker refuses: the unit of an input record, or an emission of it.
type refusedAt struct {
	record.Coordinates
	emission int32 // its number; 0: the unit itself
}

// origins remember which unit wrote which record of a batch, so that a record that the broker refuses leads to the input
// record that is at fault. Units of consecutive offsets that write one record each share an entry.
type origins struct {
	list []origin
}

// origin is a run of units: unit i has offset+i and wrote the record start+i; the last one may have written more. What an
// emission has written is an entry of its own.
type origin struct {
	task     *Task
	input    record.TopicPartition
	start    int
	at       int64
	units    int
	emission int32
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

// note begins a unit of t, or a part of it, whose first record is number start.
func (o *origins) note(t *Task, start int) {
	in := &t.node.Input.Coordinates
	if t.nested.begun != 0 {
		o.notePart(t, start)
		return
	}
	if n := len(o.list); n > 0 {
		r := &o.list[n-1]
		if r.start+r.units == start && r.at+int64(r.units) == in.Offset && r.task == t && r.input == in.TopicPartition &&
			r.emission == 0 {
			r.units++
			return
		}
	}
	o.list = append(o.list, origin{t, in.TopicPartition, start, in.Offset, 1, 0})
}

// notePart begins what an emission writes, or what the unit writes after one.
func (o *origins) notePart(t *Task, start int) {
	at := t.nested.at
	o.list = append(o.list, origin{t, at.TopicPartition, start, at.Offset, 1, t.nested.now})
}

// findOrigin returns who wrote record number i. Offset −1 is a punctuation or a row.
func findOrigin(list []origin, i int) (*Task, refusedAt, bool) {
	n := sort.Search(len(list), func(j int) bool { return list[j].start > i })
	if n == 0 {
		return nil, refusedAt{}, false
	}
	r := list[n-1]
	at := record.Coordinates{TopicPartition: r.input, Offset: r.at + int64(min(i-r.start, r.units-1))}
	return r.task, refusedAt{at, r.emission}, true
}
