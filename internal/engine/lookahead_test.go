package engine

import (
	"errors"
	"fmt"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// broken is a cursor over a batch that is corrupt behind its last record.
type broken struct {
	Cursor
	err error
}

func (c *broken) Next(r *record.Raw) (bool, error) {
	if ok, err := c.Cursor.Next(r); ok || err != nil {
		return ok, err
	}
	return false, c.err
}

type heard []string

func (h *heard) Warm(keys [][]byte) {
	for _, k := range keys {
		*h = append(*h, string(k))
	}
}

func TestLookaheadReadsAllThenTheError(t *testing.T) {
	corrupt := errors.New("corrupt")
	for n := range 2*state.WarmMost + 2 {
		var list []record.Raw
		for i := range n {
			list = append(list, record.Raw{Key: fmt.Append(nil, "k", i), Offset: int64(i)})
		}
		var store heard
		p := &input{ahead: &lookahead{stores: []node.Warmer{&store}}, cur: &broken{NewRecords(list, int64(n)).Open(0), corrupt}}
		for i := range n {
			ok, err := p.next()
			r := p.head
			if !ok || err != nil || r.Offset != int64(i) {
				t.Fatalf("%d records: next %d = %v, %v, offset %d", n, i, ok, err, r.Offset)
			}
			if len(store) <= i || store[i] != string(r.Key) {
				t.Fatalf("%d records: the store has not heard of %s before its record: %v", n, r.Key, store)
			}
		}
		for range 2 {
			if ok, err := p.next(); ok || !errors.Is(err, corrupt) {
				t.Fatalf("%d records: at the end %v, %v", n, ok, err)
			}
		}
	}
}
