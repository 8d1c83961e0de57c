package state

import (
	"encoding/binary"

	"github.com/oxbow-streams/oxbow/internal/invariant"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// notes is the emission buffer of a cache: which slots downstream must see, in which order. The rest stands in the slots.
type notes struct {
	noted []uint32 // slots noted since the drain began, in the order of their first note; taken ones may stand here still
	queue []item   // what the running drain has left, by sequence number of the note
	at    int
	seq   uint64 // of the last note
	hdr   span   // headers of the row taken last
}

// note says that downstream must see the slot. old is what it saw last; it is kept at the first note after a drain.
func (c *cache[X]) note(i uint32, old X, hasOld bool, ts int64, h record.Headers) {
	s := c.slot(i)
	ch := c.before(i, s)
	if s.meta&slotNoted == 0 {
		c.notes.noted = append(c.notes.noted, i)
		s.meta |= slotNoted
		if hasOld {
			s.old = old
			s.meta |= slotOld
		}
		n := c.perSlot
		if !c.plain {
			n += c.extra(&s.old)
		}
		c.acct.addBuffered(n)
	}
	c.notes.seq++
	s.meta = s.meta&^seqMask | c.notes.seq<<slotSeq
	s.noteTs = ts
	if h.Len() > 0 || c.hdrs != nil {
		c.noteHeaders(ch, i, h)
	}
}

// noteHeaders keeps a copy of the headers: their number, then the wire form.
func (c *cache[X]) noteHeaders(ch *change[X], i uint32, h record.Headers) {
	if n := len(c.chunks) * chunkLen; len(c.hdrs) < n {
		c.hdrs = append(c.hdrs, make([]span, n-len(c.hdrs))...)
	}
	was := c.hdrs[i]
	if h.Len() == 0 && was.n == 0 {
		return
	}
	if ch.what&changedHeaders == 0 {
		ch.what |= changedHeaders
		ch.hdr = was
	} else {
		c.mem.release(was)
	}
	var now span
	if h.Len() > 0 {
		c.scratch = binary.AppendUvarint(c.scratch[:0], uint64(h.Len()))
		c.scratch = append(c.scratch, h.Raw()...)
		now = c.mem.put(c.scratch)
	}
	c.hdrs[i] = now
	c.acct.addBuffered(int64(now.n) - int64(was.n))
	c.acct.setTotal(c.footprint())
}

// unnote takes back the first note of a slot, which was the last slot to be noted.
func (c *cache[X]) unnote(i uint32, s *slot[X]) {
	n := len(c.notes.noted) - 1
	if invariant.Enabled {
		invariant.Check(c.notes.noted[n] == i, "undo of slot %d, but %d was the last to be noted", i, c.notes.noted[n])
	}
	c.notes.noted = c.notes.noted[:n]
	c.clearOld(s)
}

// clearOld takes the old value out of a slot that is noted no longer.
func (c *cache[X]) clearOld(s *slot[X]) {
	n := c.perSlot
	if !c.plain {
		n += c.extra(&s.old)
		c.drop(s.meta&slotOld != 0, s.old)
	}
	c.acct.addBuffered(-n)
	var zero X
	s.old = zero
}

// nextNote returns the next slot that downstream must see, in the order of last notes; its note is still on it. A slot that is
// noted again while the drain runs comes at its new place.
func (c *cache[X]) nextNote() (i uint32, ok bool) {
	nt := &c.notes
	for {
		for nt.at < len(nt.queue) {
			it := nt.queue[nt.at]
			if nt.at%WarmMost == 0 {
				c.warmItems(nt.queue[nt.at:])
			}
			nt.at++
			s := c.slot(it.i)
			if s.meta&slotNoted == 0 {
				continue
			}
			if s.meta>>slotSeq != it.key {
				nt.noted = append(nt.noted, it.i)
				continue
			}
			return it.i, true
		}
		nt.queue, nt.at = nt.queue[:0], 0
		if len(nt.noted) == 0 {
			nt.seq = 0
			return 0, false
		}
		for _, i := range nt.noted {
			if c.slot(i).meta&slotNoted == 0 {
				continue
			}
			nt.queue = append(nt.queue, item{c.slot(i).meta >> slotSeq, i})
		}
		nt.noted = nt.noted[:0]
		nt.queue = sortItems(nt.queue)
	}
}

// takeNote removes the note of a slot. Its headers live until the next note is taken.
func (c *cache[X]) takeNote(i uint32) record.Headers {
	s := c.slot(i)
	c.clearOld(s)
	s.meta &^= slotNoted | slotOld | seqMask
	s.noteTs = 0
	c.mem.release(c.notes.hdr)
	c.notes.hdr = span{}
	if c.hdrs == nil || int(i) >= len(c.hdrs) || c.hdrs[i].n == 0 {
		return record.Headers{}
	}
	c.notes.hdr, c.hdrs[i] = c.hdrs[i], span{}
	c.acct.addBuffered(-int64(c.notes.hdr.n))
	b := c.mem.bytes(c.notes.hdr)
	n, w := binary.Uvarint(b)
	return record.MakeHeaders(b[w:], int(n))
}
