package node

import (
	"fmt"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// Source is where a task hands in the records of a topic. It hides the types of the topology from the task.
type Source interface {
	// Time returns the timestamp of a record, as extracted. partitionTime is the largest one of the partition so far, −1 for
	// none. A timestamp that cannot be used is a *dlq.Failure of stage timestamp.
	Time(r *record.Raw, partitionTime int64) (int64, error)
	// Process decodes the record and sends it through the nodes. time is what Time returned.
	Process(r *record.Raw, time int64) error
	// Origin returns the coordinates of the user's input behind a record of a repartition topic, nil for other topics.
	Origin(r *record.Raw) []byte
}

// Extract finds the timestamp of a record. rec is the decoded record with its own timestamp; partitionTime is −1 for none.
type Extract[K, V any] func(rec *Rec[K, V], partitionTime int64) (int64, error)

type source[K, V any] struct {
	task     *Task
	at       *Info
	key      serde.Serde[K]
	value    serde.Serde[V]
	seesNull bool // the value's type holds null itself
	seesNone bool // the key's
	extract  Extract[K, V]
	next     Proc[K, V]
	rec      Rec[K, V]

	// The key and the value of rec if they are views (serde.BytesView), else nil: what a call through the serde would put there.
	keyView, valueView *[]byte

	repartition bool // the last header may be an origin
}

// NewSource decodes the records of a topic for next. Their timestamps are their own.
func NewSource[K, V any](t *Task, at *Info, key serde.Serde[K], value serde.Serde[V], next Proc[K, V]) Source {
	return newSource(t, at, key, value, nil, next)
}

// NewTimedSource is [NewSource] with timestamps that are extracted.
func NewTimedSource[K, V any](t *Task, at *Info, key serde.Serde[K], value serde.Serde[V], extract Extract[K, V],
	next Proc[K, V]) Source {
	return newSource(t, at, key, value, extract, next)
}

func newSource[K, V any](t *Task, at *Info, key serde.Serde[K], value serde.Serde[V], extract Extract[K, V],
	next Proc[K, V]) *source[K, V] {
	_, seesNone := key.(serde.Nullable[K])
	_, seesNull := value.(serde.Nullable[V])
	s := &source[K, V]{task: t, at: at, key: key, value: value, seesNone: seesNone, seesNull: seesNull, extract: extract,
		next: next}
	if isView(key) {
		s.keyView = any(&s.rec.Key).(*[]byte)
	}
	if isView(value) {
		s.valueView = any(&s.rec.Value).(*[]byte)
	}
	return s
}

func isView[T any](s serde.Serde[T]) bool { return any(s) == any(serde.BytesView) }

// Extracts tells whether timestamps are extracted: if not, Time returns that of the record.
func (s *source[K, V]) Extracts() bool { return s.extract != nil }

func (s *source[K, V]) Time(r *record.Raw, partitionTime int64) (int64, error) {
	time := r.Time
	if s.extract != nil {
		s.task.At = s.at
		if err := s.decode(r); err != nil {
			return 0, err
		}
		s.rec.Time = r.Time
		s.task.Doing = DoingTimestamp
		var err error
		if time, err = s.extract(&s.rec, partitionTime); err != nil {
			return 0, &dlq.Failure{Stage: dlq.StageTimestamp, Node: s.at.Name, Err: err}
		}
		s.task.Doing = DoingFunction
	}
	if time < 0 {
		return 0, &dlq.Failure{Stage: dlq.StageTimestamp, Node: s.at.Name,
			Err: fmt.Errorf("timestamp %d is negative: set one when producing, or extract one with Timestamps", time)}
	}
	return time, nil
}

func (s *source[K, V]) Process(r *record.Raw, time int64) error {
	s.task.At = s.at
	s.at.Stats.In++
	s.task.Input.Origin = nil
	if err := s.decode(r); err != nil {
		return err
	}
	s.rec.Time = time
	if s.repartition {
		s.rec.Headers, s.task.Input.Origin = cutOrigin(r.Headers)
	}
	return s.next(&s.rec)
}

func (s *source[K, V]) Origin(r *record.Raw) []byte {
	if !s.repartition {
		return nil
	}
	_, origin := cutOrigin(r.Headers)
	return origin
}

func (s *source[K, V]) decode(r *record.Raw) (err error) {
	rec := &s.rec
	if s.keyView != nil && s.valueView != nil && r.Key != nil && r.Value != nil {
		*s.keyView, *s.valueView = r.Key, r.Value
		rec.NullKey, rec.Null, rec.Headers = false, false, r.Headers
		return nil
	}
	s.task.Doing = DoingDecodeKey
	if r.Key == nil {
		var zero K
		rec.Key, rec.NullKey = zero, !s.seesNone
	} else if rec.Key, err = s.key.Decode(r.Key); err != nil {
		return &dlq.Failure{Stage: dlq.StageDeserializeKey, Node: s.at.Name, Err: err}
	} else {
		rec.NullKey = false
	}
	s.task.Doing = DoingDecodeValue
	if r.Value == nil {
		var zero V
		rec.Value, rec.Null = zero, !s.seesNull
	} else if rec.Value, err = s.value.Decode(r.Value); err != nil {
		return &dlq.Failure{Stage: dlq.StageDeserializeValue, Node: s.at.Name, Err: err}
	} else {
		rec.Null = false
	}
	rec.Headers = r.Headers
	s.task.Doing = DoingFunction
	return nil
}
