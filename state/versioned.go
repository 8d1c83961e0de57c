package state

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"strconv"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// StillValid is the end of a version that no later one has followed.
const StillValid = math.MaxInt64

// Version is the value that a key had from a time on, until another. A deletion is no Version.
type Version[V any] struct {
	Value    V
	From, To int64 // To is excluded, or StillValid
}

// Versioned is a store that keeps the older values of a key for a while, its history (KIP-889).
//
//	V1  What comes late by more than the history, measured by the largest time of a write so far, is not written.
//	V2  The last version of a key stays for ever. Others end when the next one begins, and may be forgotten when that is
//	    longer ago than the history.
//	V3  A write with the time of a version takes its place. As in Kafka Streams a deletion at the time of the last version
//	    leaves no trace if no other version ended then.
//	V4  Every write is logged, with its own time; a restore writes them again in the same order.
//
// Rows are the last version of each key, and for each segment of time a [history] of those that ended in it. The rows of a
// segment lie together, so that forgetting one is one range deletion. A write rewrites the row of its key and segment.
type Versioned[K, V any] struct {
	versions
	keys serde.Serde[K]
	vals serde.Serde[V]
	kbuf []byte
	vbuf []byte
}

// VersionedConfig says for how long a versioned store remembers, in ms.
type VersionedConfig struct {
	History int64
	Segment int64 // 0: as Kafka Streams derives it from History
}

// segment is the interval by which history is forgotten.
func (c VersionedConfig) segment() int64 {
	const second, minute, hour = 1_000, 60_000, 3_600_000
	switch h := c.History; {
	case c.Segment > 0:
		return c.Segment
	case h <= minute:
		return max(h/3, 2*second)
	case h <= 5*minute:
		return max(h/5, 20*second)
	case h <= hour:
		return max(h/12, minute)
	default:
		return max(h/24, 5*minute)
	}
}

// VersionedSpec describes a versioned store. Fields may be changed afterwards.
func VersionedSpec[K, V any](name string, keys serde.Serde[K], vals serde.Serde[V], cfg VersionedConfig) Spec {
	lag := cfg.History
	if day := (24 * time.Hour).Milliseconds(); lag <= math.MaxInt64-day {
		lag += day
	}
	topic := maps.Clone(compacted)
	topic["min.compaction.lag.ms"] = strconv.FormatInt(lag, 10)
	return Spec{
		Name: name, Kind: KindVersioned, Logged: true, TopicConfig: topic, Timestamped: true, Replayed: true,
		View: &VersionedView[K, V]{name, keys, vals, cfg},
		Open: func(env *Env) (Store, error) { return OpenVersioned(env, keys, vals, cfg) },
	}
}

// OpenVersioned opens the versioned store of a task.
func OpenVersioned[K, V any](env *Env, keys serde.Serde[K], vals serde.Serde[V], cfg VersionedConfig) (*Versioned[K, V], error) {
	if keys == nil || vals == nil || env.Engine == nil || env.Units == nil || cfg.History < 0 {
		return nil, fmt.Errorf("task %s: open versioned store: key serde, value serde, engine, units and a history must be given",
			env.Task)
	}
	s := &Versioned[K, V]{keys: owned(keys), vals: owned(vals)}
	s.versions.open(env, cfg)
	return s, nil
}

// Put writes the value that k has from ts on, none for a deletion. It returns the end of that version; written is false if it
// came too late.
func (s *Versioned[K, V]) Put(k K, v record.Opt[V], ts int64) (to int64, written bool, err error) {
	key, err := s.key(k)
	if err != nil {
		return 0, false, err
	}
	var value []byte
	if x, ok := v.Get(); ok {
		if value, err = s.vals.Append(s.vbuf[:0], x); err != nil {
			return 0, false, s.fail("encode value", key, err)
		}
		if value == nil {
			value = empty
		}
		if cap(value) <= loadRoom {
			s.vbuf = value
		}
		if len(value) > maxVersion {
			return 0, false, s.fail("encode value", key, fmt.Errorf("%d bytes", len(value)))
		}
	}
	to, written, err = s.put(key, value, ts)
	return to, written, s.located("put", err)
}

// Delete says that k has no value from ts on. It returns the version that it ends, if there is one; written is false if it came
// too late.
func (s *Versioned[K, V]) Delete(k K, ts int64) (ended record.Opt[Version[V]], written bool, err error) {
	late, err := s.late(ts)
	if err != nil || late {
		return ended, false, s.located("delete", err)
	}
	v, ok, err := s.GetAsOf(k, ts)
	if err != nil {
		return ended, false, err
	}
	_, written, err = s.Put(k, record.Opt[V]{}, ts)
	return record.OptOf(v, ok), written, err
}

// Get returns the last value of k and the time from which on it has it.
func (s *Versioned[K, V]) Get(k K) (v V, from int64, ok bool, err error) {
	key, err := s.key(k)
	if err != nil {
		return v, 0, false, err
	}
	value, from, err := s.latest(key)
	if err != nil || value == nil {
		return v, 0, false, s.located("get", err)
	}
	v, err = s.decode(key, value)
	return v, from, err == nil, err
}

// GetAsOf returns the version that k had at ts. What is older than the history is not found, unless it is the last version.
func (s *Versioned[K, V]) GetAsOf(k K, ts int64) (v Version[V], ok bool, err error) {
	key, err := s.key(k)
	if err != nil {
		return v, false, err
	}
	value, from, to, err := s.asOf(key, ts)
	if err != nil || value == nil {
		return v, false, s.located("get as of", err)
	}
	v.From, v.To = from, to
	v.Value, err = s.decode(key, value)
	return v, err == nil, err
}

// Range returns the versions of k that were valid at a time from from to to, both included, the newest first. Versions that
// the history does not reach back to may be among them if their segment is still there.
func (s *Versioned[K, V]) Range(k K, from, to int64) (list []Version[V], err error) {
	key, err := s.key(k)
	if err != nil {
		return nil, err
	}
	err = s.between(key, from, to, func(value []byte, begin, end int64) error {
		v, err := s.decode(key, value)
		if err == nil {
			list = append(list, Version[V]{v, begin, end})
		}
		return err
	})
	return list, s.located("get range", err)
}

func (s *Versioned[K, V]) decode(key, value []byte) (V, error) {
	v, err := s.vals.Decode(value)
	if err != nil {
		return v, s.fail("decode value", key, err)
	}
	return v, nil
}

// key encodes k. The bytes are valid until the next call.
func (s *Versioned[K, V]) key(k K) ([]byte, error) {
	b, err := s.keys.Append(s.kbuf[:0], k)
	if err != nil {
		return nil, s.fail("encode key", nil, err)
	}
	s.kbuf = b
	return b, nil
}

// The first byte of an engine key says what the row is.
const (
	rowLatest  = 0 // key → time, value
	rowHistory = 1 // 8 segment, key → history
	rowTime    = 2 // → the largest time of a write
)

func latestKey(dst, key []byte) []byte { return append(append(dst, rowLatest), key...) }

func historyKey(dst []byte, segment int64, key []byte) []byte {
	dst = append(dst, rowHistory)
	dst = binary.BigEndian.AppendUint64(dst, uint64(segment))
	return append(dst, key...)
}
