package node

import (
	"bytes"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// A foreign-key join is four nodes in two sub-topologies. The left side sends a subscription for each change to where the right
// row is (SubscribeForeign); there subscriptions are remembered and answered (ReceiveSubscription), and every change of a right
// row is sent to all who have subscribed to it (SendForeign); the left side joins what comes back (ResolveForeign).
//
//	F1  The result has the left row's key. An update of the left row gives it the larger time of both rows, an update of the
//	    right row the time of that row, even if the left one is newer.
//	F2  One change of a left row asks for one answer at most: a foreign key that is left behind is only forgotten, unless no
//	    new subscription follows it. So no null comes in between, and no two answers race (KAFKA-16394, KAFKA-18713).
//	F3  Inner: a row whose foreign key becomes null takes its result back, one that had none subscribes anew (KAFKA-16407).
//	    Left: a row without a foreign key has a result without a right row (KAFKA-16434 counts its deletions in).
//	F4  An answer goes to the partition that the left row came from, whatever the partitioners say of its key (KAFKA-13769).
//	F5  An answer to a value that the left row no longer has is dropped: values are compared by the Murmur3 hash of their bytes.
//	F6  What is out of order in a versioned table makes no result.

// ForeignKey finds the key of the right row in a left row; null is absent.
type ForeignKey[K, L, F any] func(K, L) (record.Opt[F], error)

// SubscribeForeign turns changes of the left table into subscriptions, keyed by the foreign key.
func SubscribeForeign[K, L, F any](t *Task, at *Info, key ForeignKey[K, L, F], left bool, keys serde.Serde[F],
	values serde.Serde[L], next Proc[F, Subscription[K]]) Proc[K, Change[L]] {
	s := &subscriber[K, L, F]{task: t, at: at, key: key, keys: keys, values: values, next: next}
	return func(r *Rec[K, Change[L]]) error {
		if r.Value.Stale {
			at.Stats.Dropped[DropStale]++
			return nil
		}
		if !r.Value.New.IsSome() && !r.Value.Old.IsSome() {
			return nil
		}
		old, err := s.foreignKey(r.Key, r.Value.Old)
		if err != nil {
			return err
		}
		now, err := s.foreignKey(r.Key, r.Value.New)
		if err != nil {
			return err
		}
		s.hashed = false
		if left {
			return s.left(r, old, now)
		}
		return s.inner(r, old, now)
	}
}

type subscriber[K, L, F any] struct {
	task       *Task
	at         *Info
	key        ForeignKey[K, L, F]
	keys       serde.Serde[F]
	values     serde.Serde[L]
	next       Proc[F, Subscription[K]]
	out        Rec[F, Subscription[K]]
	hash       record.Opt[Hash128] // of the record's new value
	hashed     bool
	kbuf, obuf []byte
	vbuf       []byte
}

func (s *subscriber[K, L, F]) foreignKey(k K, v record.Opt[L]) (f record.Opt[F], err error) {
	value, ok := v.Get()
	if !ok {
		return f, nil
	}
	s.task.At = s.at
	if f, err = s.key(k, value); err != nil {
		return f, s.task.userError(s.at, err)
	}
	return f, nil
}

func (s *subscriber[K, L, F]) left(r *Rec[K, Change[L]], old, now record.Opt[F]) error {
	changed, err := s.changed(old, now)
	if err != nil {
		return err
	}
	if old.IsSome() && changed {
		if err := s.send(r, old, DeleteKeyNoPropagate); err != nil {
			return err
		}
	}
	return s.send(r, now, PropagateNullIfNoFKValAvailable)
}

func (s *subscriber[K, L, F]) inner(r *Rec[K, Change[L]], old, now record.Opt[F]) error {
	if !now.IsSome() {
		if r.Value.New.IsSome() {
			s.at.Stats.Dropped[DropNullJoinKey]++
		}
		if !old.IsSome() {
			return nil
		}
		return s.send(r, old, DeleteKeyAndPropagate)
	}
	changed, err := s.changed(old, now)
	if err != nil {
		return err
	}
	if !old.IsSome() || !changed {
		return s.send(r, now, PropagateOnlyIfFKValAvailable)
	}
	if err := s.send(r, old, DeleteKeyNoPropagate); err != nil {
		return err
	}
	return s.send(r, now, PropagateNullIfNoFKValAvailable)
}

// changed tells whether two foreign keys differ, by their bytes.
func (s *subscriber[K, L, F]) changed(old, now record.Opt[F]) (bool, error) {
	a, ok1 := old.Get()
	b, ok2 := now.Get()
	if !ok1 || !ok2 {
		return ok1 != ok2, nil
	}
	var err error
	if s.obuf, err = encodeKey(s.task, s.at, s.keys, s.obuf, a); err != nil {
		return false, err
	}
	if s.kbuf, err = encodeKey(s.task, s.at, s.keys, s.kbuf, b); err != nil {
		return false, err
	}
	return !bytes.Equal(s.obuf, s.kbuf), nil
}

func (s *subscriber[K, L, F]) send(r *Rec[K, Change[L]], to record.Opt[F], do Instruction) (err error) {
	if !s.hashed {
		if s.hash, s.vbuf, err = hashOf(s.task, s.at, s.values, s.vbuf, r.Value.New); err != nil {
			return err
		}
		s.hashed = true
	}
	f, ok := to.Get()
	s.out = Rec[F, Subscription[K]]{Key: f, NullKey: !ok, Time: r.Time, Headers: r.Headers,
		Value: Subscription[K]{PrimaryKey: r.Key, Hash: s.hash, Instruction: do, Partition: s.task.ID.Partition}}
	return s.next(&s.out)
}

// hashOf hashes a value as its serde writes it; an absent one has no hash.
func hashOf[V any](t *Task, at *Info, values serde.Serde[V], buf []byte, v record.Opt[V]) (h record.Opt[Hash128], grown []byte,
	err error) {
	value, ok := v.Get()
	if !ok {
		return h, buf, nil
	}
	t.At, t.Doing = at, DoingEncodeValue
	b, err := values.Append(buf[:0], value)
	if err != nil {
		return h, buf, t.Fail(DoingEncodeValue.Stage(""), at, err)
	}
	t.Doing = DoingFunction
	return record.Some(Murmur3(b)), b, nil
}

func encodeKey[K any](t *Task, at *Info, keys serde.Serde[K], buf []byte, k K) ([]byte, error) {
	t.At, t.Doing = at, DoingEncodeKey
	b, err := keys.Append(buf[:0], k)
	if err != nil {
		return buf, t.Fail(DoingEncodeKey.Stage(""), at, err)
	}
	t.Doing = DoingFunction
	return b, nil
}

// ReceiveSubscription remembers subscriptions. One without a foreign key only asks for an answer.
func ReceiveSubscription[K, F any](t *Task, at *Info, store *state.Subscriptions, foreign serde.Serde[F], primary serde.Serde[K],
	next Proc[F, Subscription[K]]) Proc[F, Subscription[K]] {
	serial := SubscriptionSerde(primary)
	var fbuf, pbuf, vbuf []byte
	return func(r *Rec[F, Subscription[K]]) (err error) {
		if r.NullKey {
			if r.Value.Instruction != PropagateNullIfNoFKValAvailable {
				at.Stats.Dropped[DropNullJoinKey]++
				return nil
			}
			return next(r)
		}
		if fbuf, err = encodeKey(t, at, foreign, fbuf, r.Key); err != nil {
			return err
		}
		if pbuf, err = encodeKey(t, at, primary, pbuf, r.Value.PrimaryKey); err != nil {
			return err
		}
		t.At, t.Doing = at, DoingState
		switch r.Value.Instruction {
		case DeleteKeyAndPropagate, DeleteKeyNoPropagate:
			err = store.Delete(fbuf, pbuf, r.Time)
		default:
			if vbuf, err = serial.Append(vbuf[:0], r.Value); err == nil {
				err = store.Put(fbuf, pbuf, vbuf, r.Time)
			}
		}
		t.Doing = DoingFunction
		if err != nil {
			return t.stateError(at, err)
		}
		return next(r)
	}
}

// JoinSubscription answers subscriptions with the right row of now.
func JoinSubscription[K, F, R any](t *Task, at *Info, rows Getter[F, R], next Proc[K, Response[R]]) Proc[F, Subscription[K]] {
	out := new(Rec[K, Response[R]])
	return func(r *Rec[F, Subscription[K]]) (err error) {
		var row Row[R]
		if !r.NullKey {
			if row, err = rows(r.Key); err != nil {
				return err
			}
		}
		v := record.OptOf(row.Value, row.OK)
		switch r.Value.Instruction {
		case DeleteKeyNoPropagate:
			return nil
		case DeleteKeyAndPropagate:
			v = record.Opt[R]{}
		case PropagateOnlyIfFKValAvailable:
			if !row.OK {
				return nil
			}
		}
		time := r.Time
		if row.OK {
			time = max(time, row.Time)
		}
		*out = Rec[K, Response[R]]{Key: r.Value.PrimaryKey, Time: time, Headers: r.Headers,
			Value: Response[R]{Hash: r.Value.Hash, Value: v, Partition: r.Value.Partition}}
		return next(out)
	}
}

// SendForeign sends every change of a right row to all who have subscribed to its key.
func SendForeign[K, F, R any](t *Task, at *Info, store *state.Subscriptions, foreign serde.Serde[F], primary serde.Serde[K],
	next Proc[K, Response[R]]) Proc[F, Change[R]] {
	out := new(Rec[K, Response[R]])
	var fbuf []byte
	return func(r *Rec[F, Change[R]]) (err error) {
		if r.NullKey || r.Value.Stale {
			at.Stats.Dropped[dropStale(r.NullKey)]++
			return nil
		}
		if fbuf, err = encodeKey(t, at, foreign, fbuf, r.Key); err != nil {
			return err
		}
		c, err := store.Of(fbuf)
		if err != nil {
			return t.stateError(at, err)
		}
		for c.Next() {
			sub, err := viewSubscription(c.Value())
			if err != nil {
				return err
			}
			*out = Rec[K, Response[R]]{Time: r.Time, Headers: r.Headers,
				Value: Response[R]{Hash: sub.hash, Value: r.Value.New, Partition: sub.partition}}
			t.At, t.Doing = at, DoingDecodeKey
			if out.Key, err = primary.Decode(c.Primary()); err != nil {
				return t.Fail(DoingState.Stage(""), at, err)
			}
			t.Doing = DoingFunction
			if err := next(out); err != nil {
				return err
			}
		}
		c.Close()
		return t.stateError(at, c.Err())
	}
}

func dropStale(nullKey bool) Drop {
	if nullKey {
		return DropNullKey
	}
	return DropStale
}

// ResolveForeign joins answers with the left rows of now. A result that is absent is null.
func ResolveForeign[K, L, R, O any](t *Task, at *Info, rows Getter[K, L], values serde.Serde[L], left bool,
	join func(K, L, record.Opt[R]) (record.Opt[O], error), next Proc[K, O]) Proc[K, Response[R]] {
	out := new(Rec[K, O])
	var vbuf []byte
	return func(r *Rec[K, Response[R]]) error {
		if r.NullKey || r.Null {
			at.Stats.Dropped[dropOf(r.NullKey)]++
			return nil
		}
		row, err := rows(r.Key)
		if err != nil {
			return err
		}
		var hash record.Opt[Hash128]
		if hash, vbuf, err = hashOf(t, at, values, vbuf, record.OptOf(row.Value, row.OK)); err != nil {
			return err
		}
		if hash != r.Value.Hash {
			at.Stats.Dropped[DropStale]++
			return nil
		}
		var o record.Opt[O]
		if row.OK && (left || r.Value.Value.IsSome()) {
			t.At = at
			if o, err = join(r.Key, row.Value, r.Value.Value); err != nil {
				return t.userError(at, err)
			}
		}
		v, ok := o.Get()
		*out = Rec[K, O]{Key: r.Key, Value: v, Null: !ok, Time: r.Time, Headers: r.Headers}
		return next(out)
	}
}
