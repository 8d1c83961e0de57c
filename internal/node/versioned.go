package node

import (
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// A versioned table keeps older versions of its rows, each from its own time on (KIP-889, KIP-914).
//
//	N1  An update that is older than the row goes into the history. It is sent on as a Stale change: filters and maps pass it
//	    on, groups and joins of tables leave it alone.
//	N2  What is older than the history is dropped and counted; nothing is sent on.
//	N3  Every change is sent on at once: a versioned table has no emission buffer.
//	N4  A stream that is joined with it sees the row as of the record's time.

// Versions gives the emitter a versioned store in place of another one.
func (o *Emitter[K, V]) Versions(s *state.Versioned[K, V]) *Emitter[K, V] {
	o.versions = s
	return o
}

// materialised tells whether the table has a store.
func (o *Emitter[K, V]) materialised() bool { return o.store != nil || o.versions != nil }

// looksUp says that records of the task are looked up in the table's store.
func (o *Emitter[K, V]) looksUp() {
	switch {
	case o.store != nil:
		o.task.looksUp(o.store)
	case o.versions != nil:
		o.task.looksUp(o.versions)
	}
}

// load reads the row of a materialised table. The entry is for put.
func (o *Emitter[K, V]) load(k K) (e state.Entry, v V, ts int64, had bool, err error) {
	o.task.At, o.task.Doing = o.at, DoingState
	if o.versions != nil {
		v, ts, had, err = o.versions.Get(k)
	} else if e, err = o.store.Find(k); err == nil {
		v, ts, had, err = o.store.Value(e)
	}
	if err != nil {
		return e, v, ts, false, o.task.stateError(o.at, err)
	}
	o.task.Doing = DoingFunction
	return e, v, ts, had, nil
}

// find is load for who does not look at the row.
func (o *Emitter[K, V]) find(k K) (e state.Entry, err error) {
	if o.versions != nil {
		return e, nil
	}
	o.task.At, o.task.Doing = o.at, DoingState
	if e, err = o.store.Find(k); err != nil {
		return e, o.task.stateError(o.at, err)
	}
	return e, nil
}

// putVersion stores a version and sends the change on.
func (o *Emitter[K, V]) putVersion(k K, now record.Opt[V], time int64, h record.Headers) error {
	o.task.At, o.task.Doing = o.at, DoingState
	var old record.Opt[V]
	if o.sendOld {
		v, _, ok, err := o.versions.Get(k)
		if err != nil {
			return o.task.stateError(o.at, err)
		}
		old = record.OptOf(v, ok)
	}
	to, written, err := o.versions.Put(k, now, time)
	if err != nil {
		return o.task.stateError(o.at, err)
	}
	o.task.Doing = DoingFunction
	if !written {
		o.at.Stats.Dropped[DropExpired]++
		return nil
	}
	return o.send(k, Change[V]{New: now, Old: old, Stale: to != state.StillValid}, time, h)
}

// VersionedGetter reads a versioned table: the last version, or, if asOf is not nil, the one that was valid then.
func VersionedGetter[K, V any](t *Task, at *Info, store *state.Versioned[K, V], asOf *int64) Getter[K, V] {
	t.looksUp(store)
	if asOf == nil {
		return func(k K) (Row[V], error) {
			t.At, t.Doing = at, DoingState
			v, ts, ok, err := store.Get(k)
			t.Doing = DoingFunction
			return Row[V]{v, ts, ok}, t.stateError(at, err)
		}
	}
	return func(k K) (Row[V], error) {
		t.At, t.Doing = at, DoingState
		v, ok, err := store.GetAsOf(k, *asOf)
		t.Doing = DoingFunction
		return Row[V]{v.Value, v.From, ok}, t.stateError(at, err)
	}
}
