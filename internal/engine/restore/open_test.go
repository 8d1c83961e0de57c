package restore

import (
	"maps"
	"runtime"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state/memstore"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A transaction that has been decided but whose marker is not written yet looks like an open one: the end of what is committed lies before
// it. A restore goes up to the high watermark, so it waits for the marker.
func TestRestoreWaitsForMarkers(t *testing.T) {
	r := newRig(t, memstore.New(), Config{Fetch: kafka.FetchConfig{ReadCommitted: true}}, kgo.TransactionalID("tx"))
	if err := r.writer.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	r.write(0, "a=1", "b=2")
	s := r.store(0)
	done := make(chan error, 1)
	go func() {
		_, err := r.manager.Restore(t.Context(), record.TaskID{Sub: 1}, []Store{s})
		done <- err
	}()
	for waits := false; !waits; runtime.Gosched() {
		select {
		case err := <-done:
			t.Fatalf("restored before the transaction has ended, with %d rows: %v", len(rows(t, s.Engine)), err)
		default:
		}
		waits = r.manager.Progress().Remaining == 2
	}
	if err := r.writer.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := rows(t, s.Engine); !maps.Equal(got, r.want[0]) {
		t.Errorf("%v, want %v", got, r.want[0])
	}
}
