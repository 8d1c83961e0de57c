package engine

import (
	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// outPart collects what goes to one partition. It takes part in the units of the task that writes (record.Undoer).
//
// A unit may send more than one batch holds; the batches it has filled wait in full until it ends.
type outPart struct {
	out  *Out
	tp   record.TopicPartition
	b    Builder
	full []Builder

	log    []outMark // of the running unit: log[0] is its start
	writer int32     // emission that wrote last, 0: the unit itself
	since  int64     // wall time of the oldest record in b
	listed bool      // in out.pending
	ripe   bool      // in out.ripe

	origins // of what is in b and full
}

// outMark is a place in an outPart: mark of the builder that was the open one when full had that length, and who wrote.
type outMark struct {
	full, mark int
	origins    originsMark
	writer     int32
}

func (p *outPart) mark() outMark { return outMark{len(p.full), p.b.Mark(), p.origins.mark(), p.writer} }

// Mark implements record.Undoer.
func (p *outPart) Mark() int {
	p.log = append(p.log, p.mark())
	return len(p.log) - 1
}

// Undo implements record.Undoer.
func (p *outPart) Undo(mark int) {
	m := p.log[mark]
	if m.full < len(p.full) {
		p.out.recycle(p.b)
		for _, b := range p.full[m.full+1:] {
			p.out.recycle(b)
		}
		p.b = p.full[m.full]
		clear(p.full[m.full:])
		p.full = p.full[:m.full]
	}
	p.b.Truncate(m.mark)
	p.log, p.writer = p.log[:mark], m.writer
	p.origins.undo(m.origins)
	if mark == 0 {
		p.end()
	}
}

// Release implements record.Undoer.
func (p *outPart) Release() {
	p.log = p.log[:0]
	p.end()
}

func (p *outPart) end() {
	p.b.Forget()
	for _, b := range p.full {
		b.Forget()
	}
	if !p.ripe && (len(p.full) > 0 || p.b.Len() >= p.out.cfg.BatchBytes) {
		p.ripe = true
		p.out.ripe = append(p.out.ripe, p)
	}
}

// records counts what was not handed over yet.
func (p *outPart) records() int {
	n := p.b.Count()
	for _, b := range p.full {
		n += b.Count()
	}
	return n
}

// append adds a record of task t's running unit.
func (p *outPart) append(t *Task, time int64, key, value []byte, h record.Headers) error {
	if len(p.log) == 0 {
		t.node.Units.Touch(p)
		p.log = append(p.log, p.mark())
		if p.b.Count() == 0 {
			p.begin(t.node.WallTime)
		}
		if err := p.by(t, time, key, value); err != nil {
			return err
		}
	} else if p.writer != t.nested.now {
		if err := p.by(t, time, key, value); err != nil {
			return err
		}
	}
	if n := p.b.Len(); n > 0 && n+len(key)+len(value)+len(h.Raw()) > p.out.cfg.BatchBytes {
		p.full = append(p.full, p.b)
		p.b = p.out.builder(p.tp)
	}
	return p.b.Append(time, key, value, h)
}

// by notes who writes from now on. What a broker has refused before is refused here.
func (p *outPart) by(t *Task, time int64, key, value []byte) error {
	p.writer = t.nested.now
	var derived uint64
	if p.writer != 0 || t.node.Input.Offset < 0 {
		derived = sumOf(p.tp, time, key, value)
		if len(t.marked) > 0 {
			if err := t.marked[culprit{node.NoCoordinates(), derived}]; err != nil {
				return refused(err)
			}
		}
	}
	p.origins.note(t, p.records(), derived)
	return nil
}

// begin notes that p holds records from now on.
func (p *outPart) begin(now int64) {
	p.since = now
	if !p.listed {
		p.listed = true
		p.out.pending = append(p.out.pending, p)
	}
}
