package engine

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// What a task reads changes while it runs: topics that match the pattern of a source come and go. A step of the worker falls
// between units, so that nothing but a unit that waits for its next attempt can belong to a partition that goes.

func (w *Worker) addInput(ev AddInput) {
	o := w.find(ev.ID)
	if o == nil || w.byTP[ev.TP] != nil {
		return
	}
	if err := o.openInputs([]record.TopicPartition{ev.TP}); err != nil {
		w.fail(err)
		return
	}
	// Metadata that cannot be read leaves the offset valid: the partition time begins anew.
	_ = o.Seek(ev.TP, ev.From, ev.Metadata)
	w.byTP[ev.TP] = o
	if o.state == taskRunning {
		w.do(Fetch{ev.TP, ev.From, w.generation(o, ev.TP)})
	}
}

func (w *Worker) dropInput(ev DropInput) {
	o := w.find(ev.ID)
	if o == nil || w.byTP[ev.TP] != o {
		return
	}
	if o.state == taskRunning {
		w.do(Unfetch{ev.TP})
	}
	delete(w.byTP, ev.TP)
	delete(o.generation, ev.TP)
	o.closeInput(ev.TP)
}

func (t *Task) openInputs(inputs []record.TopicPartition) error {
	if len(t.inputs) == 1 && len(inputs) > 0 {
		t.inputs[0].pass = nil
	}
	for _, tp := range inputs {
		src := t.prog.Source(tp.Topic)
		if src == nil {
			return fmt.Errorf("task %s: no source reads %s", t.ID, tp)
		}
		p := &input{tp: tp, src: src, end: -1, time: -1, idleSince: -1, frozen: inputMark{0, -1}, applied: inputMark{0, -1},
			savedTime: -1}
		p.head = &p.own
		if s, ok := src.(interface{ Extracts() bool }); ok {
			p.plain = !s.Extracts()
		}
		t.inputs = append(t.inputs, p)
	}
	slices.SortFunc(t.inputs, func(a, b *input) int {
		return cmp.Or(cmp.Compare(a.tp.Topic, b.tp.Topic), cmp.Compare(a.tp.Partition, b.tp.Partition))
	})
	if len(t.node.Stores) > 0 {
		for _, p := range t.inputs {
			if p.ahead == nil {
				p.ahead = &lookahead{stores: t.node.Stores}
			}
		}
	}
	t.onlyInput()
	return nil
}

// onlyInput lets batches of the only input of a task be sent on whole, where they can be.
func (t *Task) onlyInput() {
	if len(t.inputs) == 1 {
		t.inputs[0].pass = t.passesBy(t.inputs[0])
	}
}

// closeInput ends a partition. A record of it that waits for its next attempt is undone; it does not come again.
func (t *Task) closeInput(tp record.TopicPartition) {
	i := slices.IndexFunc(t.inputs, func(p *input) bool { return p.tp == tp })
	if i < 0 {
		return
	}
	p := t.inputs[i]
	if t.unit.kind == unitRecord && t.unit.input == p {
		t.Counts.untake()
		t.unit, t.parked, t.retry, t.sequence = unit{}, nil, parked{}, 0
	}
	if p.touched { // what came of it is in no commit yet
		t.worked = true
	}
	p.clear()
	t.inputs = slices.Delete(t.inputs, i, i+1)
	t.onlyInput()
}
