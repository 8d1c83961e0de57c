package node

import (
	"errors"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// Partition chooses among n partitions; [ByKey] leaves it to the key's hash. An error fails the record.
type Partition[K, V any] func(r *Rec[K, V], n int32) (int32, error)

// Sink encodes records and writes them to one topic. partition is nil for the key's hash.
func Sink[K, V any](t *Task, at *Info, topic string, d Dest, key serde.Serde[K], value serde.Serde[V],
	partition Partition[K, V]) Proc[K, V] {
	enc := newEncoder(t, at, key, value, partition)
	return func(r *Rec[K, V]) error { return enc.send(r, topic, d) }
}

// SinkTo writes each record to the topic that choose names. check refuses names that no topic can have.
func SinkTo[K, V any](t *Task, at *Info, choose func(r *Rec[K, V]) (string, error), check func(string) error,
	key serde.Serde[K], value serde.Serde[V], partition Partition[K, V]) Proc[K, V] {
	enc := newEncoder(t, at, key, value, partition)
	dests := map[string]Dest{}
	return func(r *Rec[K, V]) error {
		t.At = at
		topic, err := choose(r)
		if err != nil {
			at.Stats.In++
			return t.userError(at, err)
		}
		d, ok := dests[topic]
		if !ok {
			if err = check(topic); err != nil {
				return t.userError(at, err)
			}
			if d, err = t.Out.Dest(topic); err != nil {
				return enc.failed(err, topic)
			}
			dests[topic] = d
		}
		return enc.send(r, topic, d)
	}
}

// encoder turns the records of a sink into bytes.
type encoder[K, V any] struct {
	task       *Task
	at         *Info
	key        serde.Serde[K]
	value      serde.Serde[V]
	isNullKey  func(K) bool
	isNull     func(V) bool
	partition  Partition[K, V]
	byKey      int32 // of records for which partition does not choose
	kbuf, vbuf []byte
}

func newEncoder[K, V any](t *Task, at *Info, key serde.Serde[K], value serde.Serde[V],
	partition Partition[K, V]) *encoder[K, V] {
	e := &encoder[K, V]{task: t, at: at, key: key, value: value, partition: partition, byKey: ByKey}
	if n := serde.WindowBytes(key); n > 0 {
		e.byKey = ByKeyWithout(n)
	}
	if n, ok := key.(serde.Nullable[K]); ok {
		e.isNullKey = n.IsNull
	}
	if n, ok := value.(serde.Nullable[V]); ok {
		e.isNull = n.IsNull
	}
	return e
}

func (e *encoder[K, V]) send(r *Rec[K, V], topic string, d Dest) (err error) {
	t := e.task
	t.At = e.at
	e.at.Stats.In++
	var k, v []byte
	t.Doing = DoingEncodeKey
	if !r.NullKey && (e.isNullKey == nil || !e.isNullKey(r.Key)) {
		if e.kbuf, err = e.key.Append(e.kbuf[:0], r.Key); err != nil {
			return t.fail(&dlq.Failure{Stage: dlq.StageSerializeKey, Node: e.at.Name, Topic: topic, Err: err})
		}
		k = notNil(e.kbuf)
	}
	t.Doing = DoingEncodeValue
	if !r.Null && (e.isNull == nil || !e.isNull(r.Value)) {
		if e.vbuf, err = e.value.Append(e.vbuf[:0], r.Value); err != nil {
			return t.fail(&dlq.Failure{Stage: dlq.StageSerializeValue, Node: e.at.Name, Topic: topic, Err: err})
		}
		v = notNil(e.vbuf)
	}
	t.Doing = DoingFunction
	p := e.byKey
	if e.partition != nil {
		if p, err = e.partition(r, t.Out.Partitions(d)); err != nil {
			return t.fail(&dlq.Failure{Stage: dlq.StageProduce, Node: e.at.Name, Topic: topic, Err: err})
		}
	}
	if err = t.Out.Send(d, p, r.Time, k, v, r.Headers); err != nil {
		return e.failed(err, topic)
	}
	return nil
}

// failed gives a failure of the output its place.
func (e *encoder[K, V]) failed(err error, topic string) error {
	if f := (*dlq.Failure)(nil); errors.As(err, &f) {
		f.Node, f.Topic = e.at.Name, topic
		return e.task.fail(f)
	}
	return err
}

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
