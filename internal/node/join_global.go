package node

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// GlobalView reads the committed rows of a global table's store by encoded keys. Tasks of all workers read it while its writer
// works. A [state.EngineStore] is one.
type GlobalView interface {
	// Get appends the row of a key to dst, as an engine keeps it: 8 bytes of time, then the value. ok is false if there is none.
	Get(dst, key []byte) (row []byte, ok bool, err error)
}

// GlobalGetter reads a global table by its store. The value of a row is valid until the next call, if its serde shows views.
func GlobalGetter[K, V any](t *Task, at *Info, store string, view GlobalView, keys serde.Serde[K],
	values serde.Serde[V]) Getter[K, V] {
	key, buf := make([]byte, 0, 64), make([]byte, 0, 256)
	fail := func(op string, key []byte, err error) error {
		return t.stateError(at, &state.CodecError{Task: t.ID, Store: store, Op: op, Key: bytes.Clone(key), Err: err})
	}
	return func(k K) (row Row[V], err error) {
		t.At, t.Doing = at, DoingState
		b, err := keys.Append(key[:0], k)
		if err != nil {
			return row, fail("encode key", nil, err)
		}
		key = b
		if b, row.OK, err = view.Get(buf[:0], b); err != nil || !row.OK {
			t.Doing = DoingFunction
			return Row[V]{}, err
		}
		if buf = b; cap(b) > keepRow {
			buf = nil
		}
		if len(b) < 8 {
			return Row[V]{}, fmt.Errorf("global table: store %s: a row of %d bytes has no time", store, len(b))
		}
		row.Time = int64(binary.BigEndian.Uint64(b))
		if row.Value, err = values.Decode(b[8:]); err != nil {
			return Row[V]{}, fail("decode value", key, err)
		}
		t.Doing = DoingFunction
		return row, nil
	}
}

// keepRow is the room for a row that is kept from one look-up to the next.
const keepRow = 64 << 10

// JoinGlobal looks up a key made of each record in a global table.
//
//	G1  Only records of the stream make results. The table is read as it is when the record is processed: it follows its topic by
//	    itself, in no order with the stream.
//	G2  A record with a null value is dropped. One for which by finds no key is dropped too, unless left: then it has no row. A
//	    null key of the stream is no obstacle.
//	G3  The result has the record's key, time and headers.
func JoinGlobal[K, L, GK, R, O any](t *Task, at *Info, by func(K, L) (record.Opt[GK], error), table Getter[GK, R], left bool,
	join func(K, L, record.Opt[R]) (O, error), next Proc[K, O]) Proc[K, L] {
	out := new(Rec[K, O])
	return func(r *Rec[K, L]) error {
		if r.Null {
			at.Stats.Dropped[DropNullValue]++
			return nil
		}
		t.At = at
		key, err := by(r.Key, r.Value)
		if err != nil {
			return t.userError(at, err)
		}
		k, ok := key.Get()
		if !ok && !left {
			at.Stats.Dropped[DropNullJoinKey]++
			return nil
		}
		var row Row[R]
		if ok {
			if row, err = table(k); err != nil {
				return err
			}
		}
		if !row.OK && !left {
			return nil
		}
		t.At = at
		o, err := join(r.Key, r.Value, record.OptOf(row.Value, row.OK))
		if err != nil {
			return t.userError(at, err)
		}
		*out = Rec[K, O]{Key: r.Key, NullKey: r.NullKey, Value: o, Time: r.Time, Headers: r.Headers}
		return next(out)
	}
}
