package node

import (
	"fmt"
	"math"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// Suppression is what a suppress step does.
type Suppression struct {
	Wait       int64 // ms of stream time that a row is held after the time it is ordered by
	MaxRecords int64 // rows that the buffer holds at most, NoLimit for any number
	MaxBytes   int64 // of them
	Stop       bool  // a full buffer stops the application; else it sends its first row early
	Final      bool  // a deletion that was never sent is none: what is deleted when its time has come is dropped
}

// NoLimit is a limit that no buffer reaches.
const NoLimit = math.MaxInt64

// BufferFullError says that a suppress buffer that must not send rows early is full.
type BufferFullError struct {
	Node                string
	Records, MaxRecords int64
	Bytes, MaxBytes     int64
}

func (e *BufferFullError) Error() string {
	limit := func(n int64) string {
		if n == NoLimit {
			return "any number of"
		}
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("the buffer is full: it holds %d of %s rows and %d of %s bytes; allow more with MaxRecords or MaxBytes, or "+
		"leave the limit away", e.Records, limit(e.MaxRecords), e.Bytes, limit(e.MaxBytes))
}

// Suppress holds back the changes of a table and sends only the newest of each row, when its time has come.
//
//	U1  A row is ordered by the time that timeOf gives its first change, and is due when the stream time of the step has reached
//	    that time and Wait. Later changes replace its value, time and headers, not its place.
//	U2  Rows that are due leave in the order of that time, then of key bytes; then, while the buffer is over a limit, those that
//	    come first leave early.
//	U3  The old value of what is sent is what downstream saw last, not the one before the last change: Kafka Streams sends the
//	    latter, so that a group that follows subtracts a value that it has never added.
//	U4  A row that is due is a unit of its own, under the coordinates of the record that its last change came with. It has left the
//	    buffer whether or not it can be read and sent (KAFKA-7895): else it would fail every record that follows.
func Suppress[K, V any](t *Task, at *Info, how Suppression, store *state.ChangeBuffer[K, V], timeOf func(k K, time int64) int64,
	next Proc[K, Change[V]]) Proc[K, Change[V]] {
	s := &suppressor[K, V]{task: t, at: at, how: how, store: store, clock: t.NewClock(store.Name()), next: next}
	return func(r *Rec[K, Change[V]]) error {
		s.clock.Advance(r.Time)
		in := state.RecordContext{Coordinates: t.Input.Coordinates, Time: r.Time, Headers: r.Headers}
		t.At, t.Doing = at, DoingState
		if err := store.Put(r.Key, timeOf(r.Key, r.Time), r.Value.New, r.Value.Old, &in); err != nil {
			return t.stateError(at, err)
		}
		t.Doing = DoingFunction
		for store.Len() > 0 && store.MinTime() <= s.clock.Now()-how.Wait && t.Room() {
			if err := s.release(); err != nil {
				return err
			}
		}
		for s.full() {
			if how.Stop {
				return t.Fail(dlq.StageProcess, at, dlq.Fatal(&BufferFullError{at.Name, int64(store.Len()), how.MaxRecords, store.Bytes(),
					how.MaxBytes}))
			}
			if err := s.release(); err != nil {
				return err
			}
		}
		return nil
	}
}

type suppressor[K, V any] struct {
	task  *Task
	at    *Info
	how   Suppression
	store *state.ChangeBuffer[K, V]
	clock *Clock
	next  Proc[K, Change[V]]
	row   state.BufferedChange[K, V] // on its way
	err   error                      // why it cannot be taken apart
	out   Rec[K, Change[V]]
}

func (s *suppressor[K, V]) full() bool {
	return int64(s.store.Len()) > s.how.MaxRecords || s.store.Bytes() > s.how.MaxBytes
}

// release takes the first row off the buffer and sends it on. It is decoded in its own unit (U4).
func (s *suppressor[K, V]) release() error {
	s.task.At, s.task.Doing = s.at, DoingState
	s.row, _, s.err = s.store.First()
	s.task.Doing = DoingFunction
	s.store.RemoveFirst()
	if s.err == nil && s.how.Final && s.row.Raw.Value == nil {
		return nil
	}
	return s.task.Emit(s)
}

// Info implements [Due].
func (s *suppressor[K, V]) Info() *Info { return s.at }

// Input implements [Due].
func (s *suppressor[K, V]) Input() Input {
	return Input{Coordinates: s.row.Context.Coordinates, Raw: &s.row.Raw}
}

// Emit implements [Due]. The nodes that follow see the record that the row came with.
func (s *suppressor[K, V]) Emit() error {
	s.task.Doing = DoingState
	if s.err == nil {
		s.err = s.store.Decode(&s.row)
	}
	if s.err != nil {
		return s.task.stateError(s.at, s.err)
	}
	s.task.Doing = DoingFunction
	s.task.Input = s.Input()
	s.out = Rec[K, Change[V]]{Key: s.row.Key, Value: Change[V]{New: s.row.New, Old: s.row.Prior}, Time: s.row.Context.Time,
		Headers: s.row.Context.Headers}
	return s.next(&s.out)
}

// SuppressGetter reads a suppressed table: of a row that is held back what downstream saw last, with an unknown time; else the row of
// the table above.
func SuppressGetter[K, V any](t *Task, at *Info, store *state.ChangeBuffer[K, V], from Getter[K, V]) Getter[K, V] {
	return func(k K) (Row[V], error) {
		t.At, t.Doing = at, DoingState
		prior, held, err := store.Prior(k)
		t.Doing = DoingFunction
		if err != nil {
			return Row[V]{}, t.stateError(at, err)
		}
		if held {
			v, ok := prior.Get()
			return Row[V]{v, -1, ok}, nil
		}
		return from(k)
	}
}

// RecordTime orders rows by the times of their first changes.
func RecordTime[K any](_ K, time int64) int64 { return time }

// WindowEnd orders rows by the ends of their windows.
func WindowEnd[K any](k record.Windowed[K], _ int64) int64 { return k.End.UnixMilli() }
