package node

import (
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// GraceJoin is the join of a stream and a versioned table with grace (KIP-923).
//
//	G4  A record waits in a buffer until the clock has reached its time and the grace, so that the table has heard of what was
//	    valid then: by time, key bytes and arrival. Each that leaves is a unit of its own (N7), under its own coordinates.
//	G5  The clock is that of the stream's records that are joined. One that is later than the grace is joined at once.
//	G6  A record without a value is dropped, one without a key too, unless left: then it has its result at once, without a row.
//	G7  The result has the key, time and headers of the record, whichever record lets it go.
type GraceJoin[K, L, R, O any] struct {
	Task   *Task
	At     *Info
	Clock  *Clock
	Buffer *state.GraceBuffer[K, L]
	Grace  int64 // ms
	Table  Getter[K, R]
	AsOf   *int64 // what Table looks at
	Left   bool
	Join   func(k K, l L, r record.Opt[R]) (O, error)
	Next   Proc[K, O]

	out     Rec[K, O]
	context state.RecordContext
	due     graceDue[K, L, R, O]
}

// Proc returns the node.
func (j *GraceJoin[K, L, R, O]) Proc() Proc[K, L] {
	j.due.j = j
	return j.process
}

func (j *GraceJoin[K, L, R, O]) process(r *Rec[K, L]) error {
	if r.Null || r.NullKey && !j.Left {
		j.At.Stats.Dropped[dropOf(r.NullKey)]++
		return nil
	}
	if r.NullKey || r.Time < j.Clock.Now()-j.Grace {
		return j.join(r)
	}
	j.Clock.Advance(r.Time)
	t := j.Task
	t.At, t.Doing = j.At, DoingState
	j.context = state.RecordContext{Coordinates: t.Input.Coordinates, Time: r.Time, Headers: r.Headers}
	if err := j.Buffer.Put(r.Key, r.Value, &j.context); err != nil {
		return t.stateError(j.At, err)
	}
	t.Doing = DoingFunction
	for j.Buffer.MinTime() <= j.Clock.Now()-j.Grace && t.Room() {
		var ok bool
		j.due.row, ok, j.due.err = j.Buffer.First()
		if !ok && j.due.err == nil {
			break
		}
		j.Buffer.RemoveFirst()
		if err := t.Emit(&j.due); err != nil {
			return err
		}
	}
	return nil
}

// join sends the result of a record.
func (j *GraceJoin[K, L, R, O]) join(r *Rec[K, L]) error {
	var row Row[R]
	if !r.NullKey {
		*j.AsOf = r.Time
		var err error
		if row, err = j.Table(r.Key); err != nil {
			return err
		}
	}
	if !row.OK && !j.Left {
		return nil
	}
	j.Task.At = j.At
	o, err := j.Join(r.Key, r.Value, record.OptOf(row.Value, row.OK))
	if err != nil {
		return j.Task.userError(j.At, err)
	}
	j.out = Rec[K, O]{Key: r.Key, NullKey: r.NullKey, Value: o, Time: r.Time, Headers: r.Headers}
	return j.Next(&j.out)
}

// graceDue is a record that leaves the buffer, or one that cannot be taken apart. It is decoded in its own unit.
type graceDue[K, L, R, O any] struct {
	j   *GraceJoin[K, L, R, O]
	row state.BufferedRecord[K, L]
	err error
	rec Rec[K, L]
}

// Info implements [Due].
func (d *graceDue[K, L, R, O]) Info() *Info { return d.j.At }

// Input implements [Due].
func (d *graceDue[K, L, R, O]) Input() Input {
	return Input{Coordinates: d.row.Context.Coordinates, Raw: &d.row.Raw}
}

// Emit implements [Due].
func (d *graceDue[K, L, R, O]) Emit() error {
	t := d.j.Task
	t.Doing = DoingState
	if d.err == nil {
		d.err = d.j.Buffer.Decode(&d.row)
	}
	if d.err != nil {
		return t.stateError(d.j.At, d.err)
	}
	t.Doing = DoingFunction
	d.rec = Rec[K, L]{Key: d.row.Key, Value: d.row.Value, Time: d.row.Context.Time, Headers: d.row.Context.Headers}
	return d.j.join(&d.rec)
}
