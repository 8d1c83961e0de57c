package node

import (
	"errors"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// Sink encodes records and writes them to one topic. partition chooses among n partitions; nil leaves it to the key's hash.
func Sink[K, V any](t *Task, at *Info, topic string, d Dest, key serde.Serde[K], value serde.Serde[V],
	partition func(k K, v V, n int32) int32) Proc[K, V] {
	var kbuf, vbuf []byte
	return func(r *Rec[K, V]) error {
		t.At = at
		var k, v []byte
		var err error
		if !r.NullKey {
			if kbuf, err = key.Append(kbuf[:0], r.Key); err != nil {
				return t.fail(&dlq.Failure{Stage: dlq.StageSerializeKey, Node: at.Name, Topic: topic, Err: err})
			}
			k = notNil(kbuf)
		}
		if !r.Null {
			if vbuf, err = value.Append(vbuf[:0], r.Value); err != nil {
				return t.fail(&dlq.Failure{Stage: dlq.StageSerializeValue, Node: at.Name, Topic: topic, Err: err})
			}
			v = notNil(vbuf)
		}
		p := ByKey
		if partition != nil {
			p = partition(r.Key, r.Value, t.Out.Partitions(d))
		}
		if err = t.Out.Send(d, p, r.Time, k, v, r.Headers); err == nil {
			return nil
		}
		if f := (*dlq.Failure)(nil); errors.As(err, &f) {
			f.Node, f.Topic = at.Name, topic
			return t.fail(f)
		}
		return err
	}
}

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
