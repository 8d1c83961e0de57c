package state_test

import (
	"errors"
	"testing"

	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// A task opens its stores before they are restored: what they take from the engine at the opening is taken again then.
func TestWindowStoreIsOpenWhileItIsRestored(t *testing.T) {
	spec := state.WindowSpec("s", serde.String, num{}, state.WindowConfig{Size: 10, Retention: 100})
	p, s := storePlace(t, spec, nil)
	for i := range int64(3) {
		setWindow(t, s.(*state.WindowTable[string, int64]), "k", i*10, i)
		p.units.Commit()
	}
	p.commit(t, s)
	q, s2 := storePlace(t, spec, nil)
	w := s2.(*state.WindowTable[string, int64])
	r := state.NewRestorer(q.engine, &spec, state.StoredOffset{}, 0)
	for i, rec := range p.log.recs {
		rec.Offset = int64(i)
		if err := r.Add(rec, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(r.Finish(state.StoredOffset{Changelog: 3}), w.Restored()); err != nil {
		t.Fatal(err)
	}
	if v, ok, err := w.Window("k", 10); err != nil || !ok || v != 1 {
		t.Errorf("the window at 10 holds %d (%t, %v), not 1", v, ok, err)
	}
	c, err := w.Fetch("k", 0, 100, false)
	if got := windows(t, c, err); got != "k@0-10=0 k@10-20=1 k@20-30=2" {
		t.Errorf("got %s", got)
	}
	if w.StreamTime() != 20 {
		t.Errorf("stream time is %d, not 20", w.StreamTime())
	}
}
