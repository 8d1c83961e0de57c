package streamtest

import (
	"fmt"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// InputTopic pipes typed records into a topic that the program reads.
type InputTopic[K, V any] struct {
	d     *Driver
	topic string
	key   serde.Serde[K]
	value serde.Serde[V]
}

// Input returns a topic to pipe records into.
func Input[K, V any](d *Driver, topic string, k serde.Serde[K], v serde.Serde[V]) *InputTopic[K, V] {
	return &InputTopic[K, V]{d, topic, k, v}
}

// Pipe processes one record at the driver's time.
func (in *InputTopic[K, V]) Pipe(k K, v V) error { return in.PipeAt(k, v, in.d.Now()) }

// PipeAt processes one record with a timestamp.
func (in *InputTopic[K, V]) PipeAt(k K, v V, at time.Time) error {
	return in.PipeRecord(stream.Record[K, V]{Key: k, Value: stream.Some(v), Time: at})
}

// Delete processes a record without a value at the driver's time.
func (in *InputTopic[K, V]) Delete(k K) error {
	return in.PipeRecord(stream.Record[K, V]{Key: k, Time: in.d.Now()})
}

// PipeRecord processes one record; NullKey and an absent value are nulls.
func (in *InputTopic[K, V]) PipeRecord(r stream.Record[K, V]) error {
	raw := record.Raw{Headers: r.Headers, Time: r.Time.UnixMilli()}
	var err error
	if !r.NullKey {
		if raw.Key, err = in.key.Append([]byte{}, r.Key); err != nil {
			return fmt.Errorf("%s: key: %w", in.topic, err)
		}
	}
	if v, ok := r.Value.Get(); ok {
		if raw.Value, err = in.value.Append([]byte{}, v); err != nil {
			return fmt.Errorf("%s: value: %w", in.topic, err)
		}
	}
	return in.d.pipe(in.topic, raw)
}

// PipeRaw processes a record of the given bytes, nil for null, whatever the topic's serdes say.
func (in *InputTopic[K, V]) PipeRaw(key, value []byte, at time.Time, h stream.Headers) error {
	return in.d.pipe(in.topic, record.Raw{Key: key, Value: value, Time: at.UnixMilli(), Headers: h})
}

// OutputTopic reads what the program wrote to a topic, each record once.
type OutputTopic[K, V any] struct {
	d     *Driver
	topic string
	key   serde.Serde[K]
	value serde.Serde[V]
}

// Output returns a topic to read from.
func Output[K, V any](d *Driver, topic string, k serde.Serde[K], v serde.Serde[V]) *OutputTopic[K, V] {
	return &OutputTopic[K, V]{d, topic, k, v}
}

// Read returns the next record; ok is false if there is none. It panics if the bytes do not suit the serdes: the test names
// the wrong ones.
func (o *OutputTopic[K, V]) Read() (r stream.Record[K, V], ok bool) {
	raw, ok := o.d.next(o.topic)
	if !ok {
		return r, false
	}
	r.Time, r.Headers, r.NullKey = time.UnixMilli(raw.Time).UTC(), raw.Headers, raw.Key == nil
	var err error
	if raw.Key != nil {
		if r.Key, err = o.key.Decode(raw.Key); err != nil {
			panic(fmt.Sprintf("streamtest: %s/0@%d: key: %v", o.topic, raw.Offset, err))
		}
	}
	if raw.Value != nil {
		v, err := o.value.Decode(raw.Value)
		if err != nil {
			panic(fmt.Sprintf("streamtest: %s/0@%d: value: %v", o.topic, raw.Offset, err))
		}
		r.Value = stream.Some(v)
	}
	return r, true
}

// ReadAll returns the records that were not read yet.
func (o *OutputTopic[K, V]) ReadAll() []stream.Record[K, V] {
	var all []stream.Record[K, V]
	for r, ok := o.Read(); ok; r, ok = o.Read() {
		all = append(all, r)
	}
	return all
}

// Latest reads all that is there and returns the newest value of each key. Keys without a value are left out.
func Latest[K comparable, V any](o *OutputTopic[K, V]) map[K]V {
	m := map[K]V{}
	for _, r := range o.ReadAll() {
		if v, ok := r.Value.Get(); ok {
			m[r.Key] = v
		} else {
			delete(m, r.Key)
		}
	}
	return m
}

// next takes the next record of a topic.
func (d *Driver) next(name string) (record.Raw, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.topic(name)
	if t.read == len(t.log) {
		return record.Raw{}, false
	}
	t.read++
	return t.log[t.read-1], true
}

// RawRecord is a record as it lies in a topic. Key and Value are nil for null.
type RawRecord struct {
	Key, Value []byte
	Headers    stream.Headers
	Time       time.Time
	Offset     int64
}

// Drain takes the records of a topic that were not read yet, as bytes.
func (d *Driver) Drain(topic string) []RawRecord {
	var all []RawRecord
	for r, ok := d.next(topic); ok; r, ok = d.next(topic) {
		all = append(all, RawRecord{r.Key, r.Value, r.Headers, time.UnixMilli(r.Time).UTC(), r.Offset})
	}
	return all
}

// Topics lists the topics that hold records, internal ones included.
func (d *Driver) Topics() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return sortedTopics(d.topics)
}

// DeadLetter is a record that was set aside.
type DeadLetter struct{ RawRecord }

// Header returns a header of the dead letter as text.
func (l DeadLetter) Header(name string) string {
	v, _ := l.Headers.Get(name)
	return string(v)
}

// Stage is where the record failed: deserialize_value, process...
func (l DeadLetter) Stage() string { return l.Header("__streams.dlq.stage") }

// Message is what was wrong.
func (l DeadLetter) Message() string { return l.Header("__streams.errors.message") }

// Node is the node that failed.
func (l DeadLetter) Node() string { return l.Header("__streams.errors.processor.node.id") }

// DeadLetters takes the dead letters that were not taken yet.
func (d *Driver) DeadLetters() []DeadLetter {
	var all []DeadLetter
	for _, r := range d.Drain(DeadLetterTopic) {
		all = append(all, DeadLetter{r})
	}
	return all
}
