package state

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// UnmatchedStore keeps what a join of streams has seen on one side and not yet on the other, until the time of its result without
// the other side has come.
//
//	B7  Rows are keyed and ordered by time, side (right before left) and key. Each has the values that came with its key at its
//	    time on its side, in the order of their arrival; a match takes all of them.
//	B8  The least time is Kafka Streams': that of the last row that the last look for due rows came to, or of an earlier one that
//	    was put since. It is kept in the engine; after a restore of the changelog it is that of the first row.
//
// Keys and values have the bytes of Kafka Streams' store of the same purpose: 8 bytes of time, a byte that is 1 for the left side,
// the key; and a list of values, each with the same byte before it.
type UnmatchedStore[K, L, R any] struct {
	buffer
	keys   serde.Serde[K]
	lefts  serde.Serde[L]
	rights serde.Serde[R]
	wait   [2]int64 // by side byte
	one    bool     // there are rows of one side only
	least  least

	kbuf, vbuf, room []byte
	due              []Unmatched
	gone             []uint32
	passed           []*lot // scratch
}

// UnmatchedConfig says how long after its time a value may meet one of the other side, grace included, ms, and which sides wait.
type UnmatchedConfig struct {
	LeftWait, RightWait int64
	OneSide             bool // values of one side only are kept
}

// Unmatched is a row that has left the store, as bytes: valid until its unit ends.
type Unmatched struct {
	Left bool
	Time int64
	Key  []byte

	values []byte // those that Next has not given yet
}

const (
	unmatchedHead = 8 + 1
	sideRight     = 0
	sideLeft      = 1

	listFlag = 1     // of a list: each value stands behind its length
	listHead = 1 + 4 // flag, number of values
)

// OpenUnmatched opens the store of a task.
func OpenUnmatched[K, L, R any](env *Env, keys serde.Serde[K], lefts serde.Serde[L], rights serde.Serde[R],
	cfg UnmatchedConfig) (*UnmatchedStore[K, L, R], error) {
	if keys == nil || lefts == nil || rights == nil {
		return nil, fmt.Errorf("task %s: open store: the serdes must be given", env.Task)
	}
	s := &UnmatchedStore[K, L, R]{keys: keys, lefts: lefts, rights: rights, one: cfg.OneSide}
	s.wait[sideLeft], s.wait[sideRight] = cfg.LeftWait, cfg.RightWait
	s.least = least{undoneTime: undoneTime{units: env.Units, now: NoTime}}
	return s, s.open(env, bufferLayout{
		time:  func(key, _ []byte) int64 { return timeOfUnmatched(key) },
		check: checkUnmatched,
		other: s.least.row,
		bare:  true,
	})
}

// UnmatchedSpec describes the store of what a join of streams has not matched yet. Fields may be changed afterwards.
func UnmatchedSpec[K, L, R any](name string, keys serde.Serde[K], lefts serde.Serde[L], rights serde.Serde[R],
	cfg UnmatchedConfig) Spec {
	return Spec{
		Name: name, Kind: KindBuffer, Logged: true, TopicConfig: map[string]string{"cleanup.policy": "compact"},
		Open: func(env *Env) (Store, error) { return OpenUnmatched(env, keys, lefts, rights, cfg) },
		FromChangelog: func(_ []byte, r record.Raw) (key, value []byte, err error) {
			if r.Value != nil {
				err = checkUnmatched(r.Key, r.Value)
			}
			return r.Key, r.Value, err
		},
	}
}

func timeOfUnmatched(key []byte) int64 { return int64(binary.BigEndian.Uint64(key)) }

// checkUnmatched tells what is wrong with a row.
func checkUnmatched(key, value []byte) error {
	if len(key) < unmatchedHead || key[8] > sideLeft {
		return fmt.Errorf("a key of %d bytes has no time and side", len(key))
	}
	u, err := splitUnmatched(key, value)
	for more := true; more && err == nil; {
		_, more, err = u.Next()
	}
	return err
}

var errUnmatched = errors.New("the list of values is malformed")

func splitUnmatched(key, value []byte) (u Unmatched, err error) {
	if len(value) < listHead || value[0] != listFlag {
		return u, errUnmatched
	}
	return Unmatched{Left: key[8] == sideLeft, Time: timeOfUnmatched(key), Key: key[unmatchedHead:], values: value[listHead:]}, nil
}

// Next returns the next value of the row; ok is false if there is none.
func (u *Unmatched) Next() (value []byte, ok bool, err error) {
	b := u.values
	if len(b) == 0 {
		return nil, false, nil
	}
	if len(b) < 4 {
		return nil, false, errUnmatched
	}
	n := int(int32(binary.BigEndian.Uint32(b)))
	if n < 1 || n > len(b)-4 {
		return nil, false, errUnmatched
	}
	u.values = b[4+n:]
	return b[5 : 4+n : 4+n], true, nil
}

// PutLeft adds a value of the left side that has met none of the right.
func (s *UnmatchedStore[K, L, R]) PutLeft(k K, time int64, v L) error {
	return putUnmatched(s, k, time, sideLeft, s.lefts, v)
}

// PutRight adds a value of the right side that has met none of the left.
func (s *UnmatchedStore[K, L, R]) PutRight(k K, time int64, v R) error {
	return putUnmatched(s, k, time, sideRight, s.rights, v)
}

func putUnmatched[K, L, R, V any](s *UnmatchedStore[K, L, R], k K, time int64, side byte, vals serde.Serde[V], v V) error {
	if err := s.fill(); err != nil {
		return err
	}
	if err := s.key(k, time, side); err != nil {
		return err
	}
	list := append(s.vbuf[:0], listFlag, 0, 0, 0, 0)
	if i, ok := s.lookup(s.kbuf); ok && s.slots[i].at >= 0 {
		was, err := s.value(i, s.room)
		if err != nil {
			return err
		}
		list = append(list[:0], was...)
	}
	binary.BigEndian.PutUint32(list[1:], binary.BigEndian.Uint32(list[1:])+1)
	at := len(list)
	list, err := vals.Append(append(list, 0, 0, 0, 0, side), v)
	if err != nil {
		return s.codec("encode value", s.kbuf[unmatchedHead:], err)
	}
	binary.BigEndian.PutUint32(list[at:], uint32(len(list)-at-4))
	if err = s.fits(s.kbuf, list); err != nil {
		return err
	}
	s.put(s.kbuf, time, list)
	s.least.lower(time)
	if s.vbuf = list; cap(list) > loadRoom {
		s.vbuf = nil
	}
	return nil
}

// key makes the key of a row, in kbuf.
func (s *UnmatchedStore[K, L, R]) key(k K, time int64, side byte) error {
	b, err := s.keys.Append(append(binary.BigEndian.AppendUint64(s.kbuf[:0], uint64(time)), side), k)
	if err != nil {
		return s.codec("encode key", nil, err)
	}
	s.kbuf = b
	return nil
}

// Match takes away the values of a side, key and time: they have met one of the other side.
func (s *UnmatchedStore[K, L, R]) Match(left bool, k K, time int64) error {
	if err := s.fill(); err != nil {
		return err
	}
	if time < s.MinTime() {
		return nil
	}
	side := byte(sideRight)
	if left {
		side = sideLeft
	}
	if err := s.key(k, time, side); err != nil {
		return err
	}
	if i, ok := s.lookup(s.kbuf); ok && s.slots[i].at >= 0 {
		s.remove(i)
	}
	return nil
}

// DecodeKey decodes the key of a row.
func (s *UnmatchedStore[K, L, R]) DecodeKey(b []byte) (K, error) {
	k, err := s.keys.Decode(b)
	if err != nil {
		err = s.codec("decode key", b, err)
	}
	return k, err
}

// DecodeLeft decodes a value of the left side.
func (s *UnmatchedStore[K, L, R]) DecodeLeft(key, value []byte) (L, error) {
	v, err := s.lefts.Decode(value)
	if err != nil {
		err = s.codec("decode value", key, err)
	}
	return v, err
}

// DecodeRight decodes a value of the right side.
func (s *UnmatchedStore[K, L, R]) DecodeRight(key, value []byte) (R, error) {
	v, err := s.rights.Decode(value)
	if err != nil {
		err = s.codec("decode value", key, err)
	}
	return v, err
}
