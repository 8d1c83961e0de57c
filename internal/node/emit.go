package node

import (
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// Emitter sends the changes of one table on: at once, or, if the table's store has an emission buffer, the newest of each key
// at the next drain.
//
//	E1  The old value of a change is the value last sent on, not the one last stored. It is sent only if a node downstream
//	    needs it.
//	E2  A row that came and went between two drains is not sent at all.
//	E3  A row is sent with its own timestamp, a deletion with that of the record that caused it; headers are those of the
//	    newest record.
type Emitter[K, V any] struct {
	task     *Task
	at       *Info
	store    *state.Table[K, V]     // nil: not materialised, or in versions
	versions *state.Versioned[K, V] // the store of a versioned table; else nil
	buffered bool
	sendOld  bool
	next     Proc[K, Change[V]]
	out      Rec[K, Change[V]]
	row      state.Row[K, V] // taken off the buffer
	keys     serde.Serde[K]
	values   serde.Serde[V]
}

// NewEmitter makes the emitter of a table's node. store is nil if the table is not materialised; buffered says that its rows wait
// for [Emitter.Take]. sendOld says that a node downstream needs old values.
func NewEmitter[K, V any](t *Task, at *Info, store *state.Table[K, V], buffered, sendOld bool,
	next Proc[K, Change[V]]) *Emitter[K, V] {
	return &Emitter[K, V]{task: t, at: at, store: store, buffered: buffered && store != nil, sendOld: sendOld, next: next}
}

// Describes sets the serdes by which [Emitter.Input] shows a row in a dead letter.
func (o *Emitter[K, V]) Describes(keys serde.Serde[K], values serde.Serde[V]) *Emitter[K, V] {
	o.keys, o.values = keys, values
	return o
}

// put stores a row and sends the change on. stored is the row's timestamp, time that of the record.
func (o *Emitter[K, V]) put(e state.Entry, k K, now record.Opt[V], stored, time int64, h record.Headers) error {
	if o.versions != nil {
		return o.putVersion(k, now, stored, h)
	}
	o.task.At, o.task.Doing = o.at, DoingState
	v, ok := now.Get()
	if ok {
		time = stored
	}
	// The old value is the store's, not taken from the caller: its function may have changed what it was given.
	var old record.Opt[V]
	if o.buffered {
		o.store.NoteRow(e, time, h)
	} else if o.sendOld {
		v, _, ok, err := o.store.Value(e)
		if err != nil {
			return o.task.stateError(o.at, err)
		}
		old = record.OptOf(v, ok)
	}
	if !ok {
		if err := o.store.Delete(e, time); err != nil {
			return o.task.stateError(o.at, err)
		}
	} else if err := o.store.Set(e, v, stored); err != nil {
		return o.task.stateError(o.at, err)
	}
	o.task.Doing = DoingFunction
	if o.buffered {
		return nil
	}
	return o.send(k, Change[V]{New: now, Old: old}, time, h)
}

// keep stores a row and sends nothing on.
func (o *Emitter[K, V]) keep(e state.Entry, now record.Opt[V], ts int64) error {
	o.task.At, o.task.Doing = o.at, DoingState
	var err error
	if v, ok := now.Get(); ok {
		err = o.store.Set(e, v, ts)
	} else {
		err = o.store.Delete(e, ts)
	}
	if err != nil {
		return o.task.stateError(o.at, err)
	}
	o.task.Doing = DoingFunction
	return nil
}

// deletedAt is the time of a deletion by a record of that time, of a row that would have had the timestamp stored. Kafka Streams'
// record cache, which knows the record but not the row, sends another one than its stores do.
func (o *Emitter[K, V]) deletedAt(stored, time int64) int64 {
	if o.buffered {
		return time
	}
	return stored
}

func (o *Emitter[K, V]) send(k K, c Change[V], time int64, h record.Headers) error {
	if !o.sendOld {
		c.Old = record.Opt[V]{}
	}
	o.out = Rec[K, Change[V]]{Key: k, Value: c, Time: time, Headers: h}
	return o.next(&o.out)
}

// Drain empties an emission buffer row by row. It hides the types of a table from the task.
type Drain interface {
	// Info is the node whose table it is.
	Info() *Info
	// Noted tells how many rows wait at most.
	Noted() int
	// Take takes the next row off the buffer, between units; ok is false if none is left. The row stays the current one until the
	// next Take, however often Emit fails and is undone.
	Take() (ok bool, err error)
	// Emit sends the current row on: a unit.
	Emit() error
	// Row shows the current row as bytes, for a dead letter.
	Row() record.Raw
}

// Info implements [Drain].
func (o *Emitter[K, V]) Info() *Info { return o.at }

// Noted implements [Drain].
func (o *Emitter[K, V]) Noted() int {
	if !o.buffered {
		return 0
	}
	return o.store.Noted()
}

// Take implements [Drain].
func (o *Emitter[K, V]) Take() (ok bool, err error) {
	if !o.buffered {
		return false, nil
	}
	o.row, ok, err = o.store.NextRow()
	return ok, err
}

// Emit implements [Drain].
func (o *Emitter[K, V]) Emit() error {
	return o.send(o.row.Key, Change[V]{New: o.row.New, Old: o.row.Old}, o.row.Time, o.row.Headers)
}

// Row implements [Drain]. What cannot be encoded is left null: the row is on its way to the dead-letter topic already.
func (o *Emitter[K, V]) Row() record.Raw {
	return o.describe(o.row.Key, o.row.New, o.row.Time, o.row.Headers)
}

// describe shows a row as bytes, for a dead letter.
func (o *Emitter[K, V]) describe(k K, now record.Opt[V], time int64, h record.Headers) record.Raw {
	raw := record.Raw{Time: time, Offset: -1, Headers: h}
	if o.keys != nil {
		if b, err := o.keys.Append([]byte{}, k); err == nil {
			raw.Key = b
		}
	}
	if v, ok := now.Get(); ok && o.values != nil {
		if b, err := o.values.Append([]byte{}, v); err == nil {
			raw.Value = b
		}
	}
	return raw
}
