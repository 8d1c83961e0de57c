package node

import (
	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// Rec is a record on its way between nodes (N3).
type Rec[K, V any] struct {
	Key     K
	Value   V
	NullKey bool // the key is null; Key is the zero K
	Null    bool // the value is null; Value is the zero V
	Time    int64
	Headers record.Headers
}

// Proc takes a record. Its error is described by N2.
type Proc[K, V any] func(r *Rec[K, V]) error

// Change is what flows between the nodes of tables: the new value of a row and, where somebody downstream asked for it, the
// value that was there before.
type Change[V any] struct {
	New, Old record.Opt[V]
	// Stale says that a newer version of the row exists already (out-of-order update of a versioned table).
	Stale bool
}

// Info is what is known of a node beside its types.
type Info struct {
	ID     int         // index in the topology
	Name   string      // as in Describe
	Policy *dlq.Policy // OnError of the node; nil: that of the topic or the app
	Stats  *Stats      // of this node in this task
}

// Stats are plain counters, written by the task's goroutine and published per batch.
type Stats struct {
	In      int64 // records seen
	Dropped [NumDrops]int64
	Failed  int64
}

// Drop is why a record went no further although nothing failed.
type Drop uint8

// The reasons to drop a record, as labels of the metric oxbow_records_dropped_total.
const (
	DropNullKey Drop = iota
	DropNullValue
	DropLate
	DropExpired
	DropNullJoinKey
	DropTimestamp
	DropStale // out of order in a versioned table, or an answer to a value that is no more
	NumDrops
)

// Join makes one Proc of the nodes after a node. procs hold Proc[K, V]; the types are looked at here and never again.
func Join[K, V any](procs []any) Proc[K, V] {
	switch len(procs) {
	case 0:
		return func(*Rec[K, V]) error { return nil }
	case 1:
		return procs[0].(Proc[K, V])
	}
	to := make([]Proc[K, V], len(procs))
	for i, p := range procs {
		to[i] = p.(Proc[K, V])
	}
	return func(r *Rec[K, V]) error {
		for _, p := range to {
			if err := p(r); err != nil {
				return err
			}
		}
		return nil
	}
}
