package engine

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// twice is the mode that proves units undoable: every unit is run, undone and run again. When it is undone, stores and clocks must
// be what they were before it; when it has run again, they must be what the first run made of them, and what it sent, in order, the
// same. A change that escapes the undo (a cached value that was written to in place, a store without a log, an operator clock)
// makes one of them differ.
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
	before, err := t.digest()
	if err != nil {
		return err
	}
	first := unit()
	sum, n := w.sum, w.n
	after, err := t.digest()
	if err != nil {
		return err
	}
	t.undo()
	if err := t.holds(before, "undone"); err != nil {
		return err
	}
	t.node.StreamTime, t.sender.sent = streamTime, 0
	w.reset()
	w.runs++
	second := unit()
	if first == nil && second == nil {
		if err := t.holds(after, "run again"); err != nil {
			return err
		}
	}
	if (first == nil) != (second == nil) || first == nil && (sum != w.sum || n != w.n) {
		return fmt.Errorf("task %s: a unit that was undone and run again differs: %d records (%x, error %v), then %d (%x, error %v)",
			t.ID, n, sum, first, w.n, w.sum, second)
	}
	return second
}

// digest sums up the state of each store that can, and of each clock.
func (t *Task) digest() (sums []uint64, err error) {
	for _, s := range t.prog.Stores {
		var sum uint64
		if d, ok := s.Store.(interface{ Digest() (uint64, error) }); ok {
			if sum, err = d.Digest(); err != nil {
				return nil, err
			}
		}
		sums = append(sums, sum)
	}
	for _, c := range t.clocks.list {
		sums = append(sums, uint64(c.Now()))
	}
	return sums, nil
}

// holds compares the state with what it was.
func (t *Task) holds(want []uint64, what string) error {
	got, err := t.digest()
	if err != nil {
		return err
	}
	for i, sum := range got {
		if sum == want[i] {
			continue
		}
		if n := len(t.prog.Stores); i >= n {
			return fmt.Errorf("task %s: a unit that was %s leaves clock %s at %d, not at %d", t.ID, what, t.clocks.list[i-n].Name(),
				int64(sum), int64(want[i]))
		}
		return fmt.Errorf("task %s: a unit that was %s leaves another state in store %s", t.ID, what, t.prog.Stores[i].Store.Name())
	}
	return nil
}
