package state

import (
	"fmt"
	"math"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// SessionConfig says how a session store keeps its rows. Times are ms.
type SessionConfig struct {
	Retention int64 // a row is visible while its end is later than stream time - retention
	ByEnd     bool  // rows are also asked for by end: see [SessionTable.FetchByEnd]
}

// SessionTable is the store of a table of sessions: rows by key, end and start, timestamped, with an emission buffer.
//
// Its stream time is the latest end of a row that was set or deleted, as in Kafka Streams. A row whose end is not later than
// stream time - retention is not found, and setting, deleting or noting it does nothing.
type SessionTable[K, V any] struct {
	Table[record.Windowed[K], V]
	inner serde.Serde[K]
	shown []byte                                  // what Overlapping shows as views
	span  func(k *record.Windowed[K], key []byte) // sessionSpan: taken once, as taking it from a generic method allocates
}

// SessionSpec describes the store of a table of sessions. Fields may be changed afterwards.
func SessionSpec[K, V any](name string, keys serde.Serde[K], vals serde.Serde[V], cfg SessionConfig) Spec {
	g := newSegments(KindSession, 0, cfg.Retention, cfg.ByEnd)
	s := segmentedSpec(name, g, true)
	s.View = newSessionView(name, keys, vals, g)
	s.Open = func(env *Env) (Store, error) { return OpenSessionTable(env, keys, vals, cfg) }
	return s
}

// OpenSessionTable opens the store of a task.
func OpenSessionTable[K, V any](env *Env, keys serde.Serde[K], vals serde.Serde[V], cfg SessionConfig) (*SessionTable[K, V], error) {
	if keys == nil {
		return nil, fmt.Errorf("task %s: open store: key serde must be given", env.Task)
	}
	if cfg.Retention <= 0 {
		return nil, fmt.Errorf("task %s: open store: retention of %d ms: it must be positive", env.Task, cfg.Retention)
	}
	t := &SessionTable[K, V]{inner: owned(keys), span: sessionSpan[K]}
	t.seenKeys, t.seen, t.viewKey = sessionKeys[K]{keys}, vals, isView(keys)
	g := newSegments(KindSession, 0, cfg.Retention, cfg.ByEnd)
	if err := t.openSegmented(env, sessionKeys[K]{t.inner}, vals, true, g); err != nil {
		return nil, err
	}
	return t, nil
}

// FindSession returns the row of a session.
func (t *SessionTable[K, V]) FindSession(k K, start, end int64) (Entry, error) {
	b, err := t.inner.Append(t.kbuf[:0], k)
	if err != nil {
		return Entry{}, t.fail("encode key", nil, err)
	}
	t.kbuf = appendSession(b, start, end)
	i, err := t.findKey(t.kbuf)
	return Entry{i}, err
}

// FindOverlapping iterates over the sessions of a key that end at earliestEnd or later and start at latestStart or earlier, by
// end, then by start.
func (t *SessionTable[K, V]) FindOverlapping(k K, earliestEnd, latestStart int64) (*Cursor[record.Windowed[K], V], error) {
	return t.overlapping(k, earliestEnd, latestStart, false)
}

// ReverseOverlapping is FindOverlapping from the last session to the first.
func (t *SessionTable[K, V]) ReverseOverlapping(k K, earliestEnd, latestStart int64) (*Cursor[record.Windowed[K], V], error) {
	return t.overlapping(k, earliestEnd, latestStart, true)
}

func (t *SessionTable[K, V]) overlapping(k K, earliestEnd, latestStart int64, reverse bool) (*Cursor[record.Windowed[K], V], error) {
	b, err := t.inner.Append(t.pbuf[:0], k)
	if err != nil {
		return nil, t.fail("encode key", nil, err)
	}
	t.pbuf = b
	return t.ofKey(record.Windowed[K]{Key: k}, t.span, timeRange{key: b, from: earliestEnd, to: math.MaxInt64, late: latestStart}, reverse)
}

// FetchAll iterates over the sessions of all keys that end in [from, to], segment after segment of time, and in each by key,
// then by end and start.
func (t *SessionTable[K, V]) FetchAll(from, to int64) (*Cursor[record.Windowed[K], V], error) {
	return t.inRange(timeRange{from: from, to: to}, false)
}

// FetchByEnd iterates over the sessions of all keys that end in [from, to], by end, then by start and key. It also sees rows
// that are not visible any more, from where [SessionTable.Hold] says.
func (t *SessionTable[K, V]) FetchByEnd(from, to int64) (*Cursor[record.Windowed[K], V], error) {
	return t.byTime(from, to)
}

// StreamTime is the store's stream time, −1 before its first row.
func (t *SessionTable[K, V]) StreamTime() int64 { return t.seg.clock.now }

// Advance tells the store a stream time that may be later than that of its rows. It is undone with the unit.
func (t *SessionTable[K, V]) Advance(streamTime int64) { t.seg.clock.advance(streamTime) }

// Hold says that sessions which end at from or later are still to be seen by end, so that they are kept although they have
// expired. It never goes back but with its unit. A store opened with ByEnd drops nothing before it is told.
func (t *SessionTable[K, V]) Hold(from int64) { t.seg.hold.advance(from) }

// Settle says that rows which end before a time will hardly be written or looked up any more: the cache forgets them when they are in
// the engine. It changes nothing that is seen.
func (t *SessionTable[K, V]) Settle(before int64) { t.seg.settle(before) }

// Put sets a session of a key, with the time of the record in work.
func (t *SessionTable[K, V]) Put(k K, start, end int64, v V) error {
	e, err := t.FindSession(k, start, end)
	if err != nil {
		return err
	}
	return t.Set(e, v, *t.time)
}

// Remove deletes a session of a key.
func (t *SessionTable[K, V]) Remove(k K, start, end int64) error {
	e, err := t.FindSession(k, start, end)
	if err != nil {
		return err
	}
	return t.Delete(e, *t.time)
}

// Session returns the value of a session of a key.
func (t *SessionTable[K, V]) Session(k K, start, end int64) (v V, ok bool, err error) {
	e, err := t.FindSession(k, start, end)
	if err != nil {
		return v, false, err
	}
	v, _, ok, err = t.Value(e)
	return v, ok, err
}
