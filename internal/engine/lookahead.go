package engine

import (
	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// lookahead reads the records of a batch some at a time, so that the stores hear of their keys before they are looked up. Where
// the store is larger than the processor's caches, that is most of what a record costs.
type lookahead struct {
	stores []node.Warmer
	recs   [state.WarmMost]record.Raw
	keys   [state.WarmMost][]byte // of recs; a field, since what a store is shown may escape
	at, n  int
}

// next is that of the cursor, whose end and error come after the records before them: both stay.
func (l *lookahead) next(cur Cursor, r *record.Raw) (bool, error) {
	if l.at == l.n {
		if ok, err := l.read(cur); !ok {
			return false, err
		}
	}
	*r = l.recs[l.at]
	l.at++
	return true, nil
}

func (l *lookahead) read(cur Cursor) (bool, error) {
	l.clear()
	for l.n < len(l.recs) {
		ok, err := cur.Next(&l.recs[l.n])
		if !ok && l.n == 0 {
			return false, err
		}
		if !ok {
			break
		}
		l.keys[l.n] = l.recs[l.n].Key
		l.n++
	}
	for _, s := range l.stores {
		s.Warm(l.keys[:l.n])
	}
	return true, nil
}

func (l *lookahead) clear() { l.at, l.n = 0, 0 }
