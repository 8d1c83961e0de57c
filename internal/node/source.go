package node

import (
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
}

type source[K, V any] struct {
	task  *Task
	at    *Info
	key   serde.Serde[K]
	value serde.Serde[V]
	next  Proc[K, V]
	rec   Rec[K, V]

	repartition bool // the last header may be an origin
}

// NewSource decodes the records of a topic for next.
func NewSource[K, V any](t *Task, at *Info, key serde.Serde[K], value serde.Serde[V], next Proc[K, V]) Source {
	return &source[K, V]{task: t, at: at, key: key, value: value, next: next}
}

func (s *source[K, V]) Time(r *record.Raw, partitionTime int64) (int64, error) { return r.Time, nil }

func (s *source[K, V]) Process(r *record.Raw, time int64) error {
	s.task.At = s.at
	headers := r.Headers
	s.task.Input.Origin = nil
	if s.repartition {
		headers, s.task.Input.Origin = cutOrigin(headers)
	}
	rec := &s.rec
	rec.NullKey, rec.Null = r.Key == nil, r.Value == nil
	var err error
	if rec.NullKey {
		var zero K
		rec.Key = zero
	} else if rec.Key, err = s.key.Decode(r.Key); err != nil {
		return &dlq.Failure{Stage: dlq.StageDeserializeKey, Node: s.at.Name, Err: err}
	}
	if rec.Null {
		var zero V
		rec.Value = zero
	} else if rec.Value, err = s.value.Decode(r.Value); err != nil {
		return &dlq.Failure{Stage: dlq.StageDeserializeValue, Node: s.at.Name, Err: err}
	}
	rec.Time, rec.Headers = time, headers
	return s.next(rec)
}
