package engine

import "github.com/oxbow-streams/oxbow/internal/record"

// send hands a batch over, or keeps it back while a transaction ends.
func (o *Out) send(tp record.TopicPartition, b Sealed, sent *Sent) {
	if !o.holding {
		o.cfg.Send(tp, b, sent)
		return
	}
	o.held = append(o.held, Send{tp, b, sent})
	o.heldBytes += bytesOf(b, sent)
}

// bytesOf is what a batch takes in memory.
func bytesOf(b Sealed, sent *Sent) int {
	if m, ok := b.(interface{ Bytes() int }); ok {
		return m.Bytes()
	}
	return sent.Bytes
}

// hold keeps back what is sealed from now on.
func (o *Out) hold() { o.holding = true }

// unhold hands over what was kept back.
func (o *Out) unhold() {
	o.holding = false
	for i, h := range o.held {
		o.cfg.Send(h.TP, h.Batch, h.Sent)
		o.held[i] = Send{}
	}
	o.held, o.heldBytes = o.held[:0], 0
}

// drop forgets everything that was not handed over. No unit runs.
func (o *Out) drop() {
	for i, h := range o.held {
		o.acked(h.Sent)
		if s, ok := h.Batch.(interface{ Release() }); ok {
			s.Release()
		}
		o.held[i] = Send{}
	}
	o.held, o.heldBytes = o.held[:0], 0
	for i, p := range o.pending {
		for _, b := range p.full {
			o.recycle(b)
		}
		clear(p.full)
		p.full = p.full[:0]
		p.b.Reset()
		p.origins = origins{room: p.origins.room}
		p.listed, p.ripe = false, false
		o.pending[i] = nil
	}
	o.pending, o.ripe = o.pending[:0], o.ripe[:0]
}

// Held is how many bytes are kept back.
func (o *Out) Held() int { return o.heldBytes }
