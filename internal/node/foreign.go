package node

import (
	"bytes"

	"github.com/oxbow-streams/oxbow/internal/record"
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
//	F7  A null in the registration topic is no subscription and deletes none: it fails as what cannot be read.

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
