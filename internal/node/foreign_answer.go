package node

import (
	"errors"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// errNullSubscription is why a record without a value fails. Nothing writes one; Kafka Streams stops with a NullPointerException.
var errNullSubscription = errors.New("a subscription without a value: nobody can tell whose it is")

// ReceiveSubscription remembers subscriptions. One without a foreign key only asks for an answer. A null is none (F7).
func ReceiveSubscription[K, F any](t *Task, at *Info, store *state.Subscriptions, foreign serde.Serde[F], primary serde.Serde[K],
	next Proc[F, Subscription[K]]) Proc[F, Subscription[K]] {
	serial := SubscriptionSerde(primary)
	var fbuf, pbuf, vbuf []byte
	return func(r *Rec[F, Subscription[K]]) (err error) {
		if r.Null {
			return t.Fail(dlq.StageDeserializeValue, at, errNullSubscription)
		}
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
