package engine

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// twice is the mode that proves units undoable: every unit is run, undone and run again, and what it sent, in order, must
// be the same both times. A change that escapes the undo (a cached value that was written to in place, a store without a
// log, an operator clock) makes the second run differ.
type twice struct {
	sum  uint64
	n    int
	buf  []byte
	runs int64
}

func (w *twice) note(d node.Dest, partition int32, time int64, key, value []byte, h record.Headers) {
	b := binary.AppendVarint(w.buf[:0], int64(d))
	b = binary.AppendVarint(b, int64(partition))
	b = binary.AppendVarint(b, time)
	for _, v := range [][]byte{key, value, h.Raw()} {
		n := int64(len(v))
		if v == nil {
			n = -1
		}
		b = append(binary.AppendVarint(b, n), v...)
	}
	w.buf = b
	f := fnv.New64a()
	var sum [8]byte
	binary.BigEndian.PutUint64(sum[:], w.sum)
	f.Write(sum[:])
	f.Write(b)
	w.sum = f.Sum64()
	w.n++
}

func (w *twice) reset() { w.sum, w.n = 0, 0 }

// twiceMark is what was noted when a nested unit began.
type twiceMark struct {
	sum uint64
	n   int
}

func (w *twice) at() (m twiceMark) {
	if w != nil {
		m = twiceMark{w.sum, w.n}
	}
	return m
}

// back forgets what a nested unit has sent that is undone.
func (w *twice) back(to twiceMark) {
	if w != nil {
		w.sum, w.n = to.sum, to.n
	}
}

// runTwice runs a unit; in the checking mode it runs it, undoes it, and runs it again.
func (t *Task) runTwice(unit func() error) error {
	w := t.twice
	if w == nil {
		return unit()
	}
	w.reset()
	streamTime := t.node.StreamTime
	first := unit()
	sum, n := w.sum, w.n
	t.undo()
	t.node.StreamTime, t.sender.sent = streamTime, 0
	w.reset()
	w.runs++
	second := unit()
	if (first == nil) != (second == nil) || first == nil && (sum != w.sum || n != w.n) {
		return fmt.Errorf("task %s: a unit that was undone and run again differs: %d records (%x, error %v), then %d (%x, error %v)",
			t.ID, n, sum, first, w.n, w.sum, second)
	}
	return second
}
