package engine

import (
	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// lookahead reads the records of a batch some at a time, so that the stores hear of their keys before they are looked up. Where
// the store is larger than the processor's caches, that is most of what a record costs. While a group of records is worked on, the
// one after it has been read and announced.
type lookahead struct {
	stores  []node.Warmer
	recs    [2 * group]record.Raw
	keys    [group][]byte // of those read last; a field, since what a store is shown may escape
	at, end int           // records handed out and read, since the batch was opened
	over    bool          // the cursor has come to its end, or to an error
}

const group = state.WarmMost

// next returns the next record, nil when none is left: the end and the error of the cursor come after the records before them, and
// stay with it. The record lives until next has been called again.
func (l *lookahead) next(cur Cursor) *record.Raw {
	if l.at%group == 0 {
		for !l.over && l.end-l.at <= group {
			l.read(cur)
		}
	}
	if l.at == l.end {
		return nil
	}
	r := &l.recs[l.at%len(l.recs)]
	l.at++
	return r
}

// read reads a group.
func (l *lookahead) read(cur Cursor) {
	n := 0
	for ; n < group; n++ {
		r := &l.recs[(l.end+n)%len(l.recs)]
		if ok, _ := cur.Next(r); !ok {
			l.over = true
			break
		}
		l.keys[n] = r.Key
	}
	l.end += n
	for _, s := range l.stores {
		s.Warm(l.keys[:n])
	}
}

// clear is called when the batch ends.
func (l *lookahead) clear() { l.at, l.end, l.over = 0, 0, false }
