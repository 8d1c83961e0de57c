package state

import (
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// ChangeBuffer keeps the newest change of each key until its time has come: the store of suppress.
//
//	B5  The first change of a key decides its place; later ones replace the values and the context.
//	B6  The old value of the first change of a key is its prior value, that which downstream saw last; it stays until the row is
//	    removed.
type ChangeBuffer[K, V any] struct {
	contextBuffer
	keys serde.Serde[K]
	vals serde.Serde[V]

	obuf, pbuf    []byte
	skim, skipped []byte // a value that is only looked at, and its headers
}

// BufferedChange is a row of a [ChangeBuffer]. It is valid until its unit ends or the next row is asked for.
type BufferedChange[K, V any] struct {
	Key        K
	New, Prior record.Opt[V]
	Context    RecordContext
	Raw        record.Raw // key and new value as they are kept

	prior []byte
}

// OpenChangeBuffer opens the buffer of a task.
func OpenChangeBuffer[K, V any](env *Env, keys serde.Serde[K], vals serde.Serde[V]) (*ChangeBuffer[K, V], error) {
	s := &ChangeBuffer[K, V]{keys: keys, vals: vals}
	return s, s.open(env, bufferLayout{
		time: func(_, value []byte) int64 { return bufferTime(value) },
		check: func(_, value []byte) error {
			_, _, err := (&BufferValue{}).parse(value, nil)
			return err
		},
	})
}

// SuppressSpec describes the buffer of suppress. Fields may be changed afterwards.
func SuppressSpec[K, V any](name string, keys serde.Serde[K], vals serde.Serde[V]) Spec {
	return Spec{
		Name: name, Kind: KindBuffer, Logged: true, TopicConfig: map[string]string{"cleanup.policy": "compact"},
		Open:          func(env *Env) (Store, error) { return OpenChangeBuffer(env, keys, vals) },
		FromChangelog: changeFromChangelog,
	}
}

// Put buffers a change. time is where it stands if its key has no row yet. old is the value before the change.
func (s *ChangeBuffer[K, V]) Put(k K, time int64, now, old record.Opt[V], in *RecordContext) (err error) {
	if err = s.load(); err != nil {
		return err
	}
	if s.kbuf, err = s.keys.Append(s.kbuf[:0], k); err != nil {
		return s.codec("encode key", nil, err)
	}
	v := BufferValue{Context: *in, Time: time}
	if v.New, s.nbuf, err = s.encode(s.nbuf, now); err != nil {
		return err
	}
	if v.Old, s.obuf, err = s.encode(s.obuf, old); err != nil {
		return err
	}
	v.Prior = v.Old
	if i, ok := s.lookup(s.kbuf); ok && s.slots[i].at >= 0 {
		was, err := s.read(i)
		if err != nil {
			return err
		}
		s.pbuf = append(s.pbuf[:0], was.Prior...)
		v.Prior, v.Time = nil, was.Time
		if was.Prior != nil {
			v.Prior = notNil(s.pbuf)
		}
	}
	s.vbuf = v.Append(s.vbuf[:0])
	if err = s.fits(s.kbuf, s.vbuf); err != nil {
		return err
	}
	s.put(s.kbuf, v.Time, s.vbuf)
	s.trim()
	return nil
}

// trim gives up room that one large row has left behind.
func (s *ChangeBuffer[K, V]) trim() {
	if cap(s.vbuf) > loadRoom || cap(s.nbuf) > loadRoom || cap(s.obuf) > loadRoom || cap(s.pbuf) > loadRoom {
		s.vbuf, s.nbuf, s.obuf, s.pbuf = nil, nil, nil, nil
	}
}

func (s *ChangeBuffer[K, V]) encode(room []byte, v record.Opt[V]) (val, grown []byte, err error) {
	x, ok := v.Get()
	if !ok {
		return nil, room, nil
	}
	b, err := s.vals.Append(room[:0], x)
	if err != nil {
		return nil, room, s.codec("encode value", s.kbuf, err)
	}
	return notNil(b), b, nil
}

// read takes the value of a row apart; its context is left out.
func (s *ChangeBuffer[K, V]) read(i uint32) (v BufferValue, err error) {
	b, err := s.value(i, s.skim)
	if s.slots[i].flags&rowAway != 0 {
		s.skim = b
	}
	if err == nil {
		var raw []byte
		if _, raw, err = v.parse(b, s.skipped[:0]); raw != nil {
			s.skipped = raw
		}
	}
	return v, err
}

// Prior returns the value that downstream saw last of a key that has a row; buffered is false if it has none.
func (s *ChangeBuffer[K, V]) Prior(k K) (prior record.Opt[V], buffered bool, err error) {
	if err = s.load(); err != nil {
		return prior, false, err
	}
	key, err := s.keys.Append(s.kbuf[:0], k)
	if err != nil {
		return prior, false, s.codec("encode key", nil, err)
	}
	s.kbuf = key
	i, ok := s.lookup(key)
	if !ok || s.slots[i].at < 0 {
		return prior, false, nil
	}
	v, err := s.read(i)
	if err != nil {
		return prior, false, err
	}
	prior, err = s.decode(v.Prior, key)
	return prior, true, err
}

// First returns the first row, not decoded: what is wrong with it must not keep it in the way of others. ok is false if there is
// none.
func (s *ChangeBuffer[K, V]) First() (row BufferedChange[K, V], ok bool, err error) {
	v, raw, ok, err := s.first()
	return BufferedChange[K, V]{Context: v.Context, Raw: raw, prior: v.Prior}, ok, err
}

// Decode decodes key and values of a row.
func (s *ChangeBuffer[K, V]) Decode(row *BufferedChange[K, V]) (err error) {
	key := row.Raw.Key
	if row.Key, err = s.keys.Decode(key); err != nil {
		return s.codec("decode key", key, err)
	}
	if row.New, err = s.decode(row.Raw.Value, key); err != nil {
		return err
	}
	row.Prior, err = s.decode(row.prior, key)
	return err
}

func (s *ChangeBuffer[K, V]) decode(b, key []byte) (v record.Opt[V], err error) {
	if b == nil {
		return v, nil
	}
	x, err := s.vals.Decode(b)
	if err != nil {
		return v, s.codec("decode value", key, err)
	}
	return record.Some(x), nil
}
