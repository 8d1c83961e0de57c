package state

import (
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// WindowConfig says how a window store keeps its rows. Times are ms.
type WindowConfig struct {
	Size      int64 // from start to end; 0 if they are one and the same; math.MaxInt64: there is no end
	Retention int64 // a row is visible while its start is later than stream time - retention; at least Size
	ByStart   bool  // rows are also asked for by start: see [WindowTable.FetchByStart]
}

// WindowTable is the store of a windowed table: rows by key and window start, timestamped, with an emission buffer.
//
// Its stream time is the latest start of a row that was set or deleted, as in Kafka Streams. A row whose start is not later
// than stream time - retention is not found, and setting, deleting or noting it does nothing.
type WindowTable[K, V any] struct {
	Table[record.Windowed[K], V]
	inner serde.Serde[K]
	span  func(k *record.Windowed[K], key []byte) // sets the times of a key
}

// WindowSpec describes the store of a windowed table. Fields may be changed afterwards.
func WindowSpec[K, V any](name string, keys serde.Serde[K], vals serde.Serde[V], cfg WindowConfig) Spec {
	g := newSegments(KindWindow, cfg.Size, cfg.Retention, cfg.ByStart)
	s := segmentedSpec(name, g, true)
	s.View = newWindowView(name, keys, vals, g)
	s.Open = func(env *Env) (Store, error) { return OpenWindowTable(env, keys, vals, cfg) }
	return s
}

// segmentedSpec describes a window or session store, but for its Open.
func segmentedSpec(name string, g *segments, timestamped bool) Spec {
	return Spec{
		Name: name, Kind: g.kind, Logged: true, TopicConfig: changelogConfig(g.retention), Timestamped: timestamped,
		FromChangelog: g.changelogRow(timestamped), StoreKey: g.storeKey, segments: g,
	}
}

// OpenWindowTable opens the store of a task.
func OpenWindowTable[K, V any](env *Env, keys serde.Serde[K], vals serde.Serde[V], cfg WindowConfig) (*WindowTable[K, V], error) {
	if keys == nil {
		return nil, fmt.Errorf("task %s: open store: key serde must be given", env.Task)
	}
	if cfg.Size < 0 || cfg.Retention < cfg.Size {
		return nil, fmt.Errorf("task %s: open store: retention of %d ms for windows of %d ms: a size is not negative, and they are kept as long"+
			" at least", env.Task, cfg.Retention, cfg.Size)
	}
	t := &WindowTable[K, V]{inner: owned(keys), span: windowSpan[K](cfg.Size)}
	t.seenKeys, t.seen, t.viewKey = windowKeys[K]{keys, cfg.Size}, vals, isView(keys)
	g := newSegments(KindWindow, cfg.Size, cfg.Retention, cfg.ByStart)
	if err := t.openSegmented(env, windowKeys[K]{t.inner, cfg.Size}, vals, true, g); err != nil {
		return nil, err
	}
	return t, nil
}

// openSegmented opens a core whose rows lie in segments.
func (c *core[K, V]) openSegmented(env *Env, keys serde.Serde[K], vals serde.Serde[V], stamp bool, g *segments) error {
	if err := c.open(env, keys, vals, stamp); err != nil {
		return err
	}
	c.seg = g
	c.cold.divide(g)
	return g.open(env)
}

// Restored says that the engine has been restored since the store was opened, and the store not been used: a store of windows or
// sessions takes its stream time from the engine again. Without it rows that it does not know of would count as not there.
func (c *core[K, V]) Restored() error {
	if c.seg == nil {
		return nil
	}
	return c.seg.load(c.task, c.engine)
}

// FindWindow returns the row of a key's window.
func (t *WindowTable[K, V]) FindWindow(k K, start int64) (Entry, error) {
	b, err := t.inner.Append(t.kbuf[:0], k)
	if err != nil {
		return Entry{}, t.fail("encode key", nil, err)
	}
	t.kbuf = appendWindow(b, start, 0)
	i, err := t.findKey(t.kbuf)
	return Entry{i}, err
}

// Cover says that windows of a key are about to be found which start at from or later. What the cache lacks of them is read in one go:
// an iterator over them costs less than two look-ups.
func (t *WindowTable[K, V]) Cover(k K, from int64) error {
	b, err := t.inner.Append(t.pbuf[:0], k)
	if err != nil {
		return t.fail("encode key", nil, err)
	}
	t.pbuf = b
	return t.cold.coverKey(b, max(from, t.seg.oldest()), t.engine)
}

// Fetch iterates over the windows of a key that start in [from, to], by start.
func (t *WindowTable[K, V]) Fetch(k K, from, to int64, reverse bool) (*Cursor[record.Windowed[K], V], error) {
	b, err := t.inner.Append(t.pbuf[:0], k)
	if err != nil {
		return nil, t.fail("encode key", nil, err)
	}
	t.pbuf = b
	return t.ofKey(record.Windowed[K]{Key: k}, t.span, timeRange{key: b, from: from, to: to}, reverse)
}

// FetchAll iterates over the windows of all keys that start in [from, to], in Kafka Streams' order: segment after segment of
// time, and in each by key, then by start.
func (t *WindowTable[K, V]) FetchAll(from, to int64) (*Cursor[record.Windowed[K], V], error) {
	return t.inRange(timeRange{from: from, to: to}, false)
}

// FetchByStart iterates over the windows of all keys that start in [from, to], by start, then by key. It also sees rows that
// are not visible any more, from where [WindowTable.Hold] says.
func (t *WindowTable[K, V]) FetchByStart(from, to int64) (*Cursor[record.Windowed[K], V], error) {
	return t.byTime(from, to)
}

// StreamTime is the store's stream time, −1 before its first row.
func (t *WindowTable[K, V]) StreamTime() int64 { return t.seg.clock.now }

// Advance tells the store a stream time that may be later than that of its rows. It is undone with the unit.
func (t *WindowTable[K, V]) Advance(streamTime int64) { t.seg.clock.advance(streamTime) }

// Hold says that rows which start at from or later are still to be seen by start, so that they are kept although they have
// expired. It never goes back but with its unit. A store opened with ByStart drops nothing before it is told.
func (t *WindowTable[K, V]) Hold(from int64) { t.seg.hold.advance(from) }

// Settle says that rows which start before a time will hardly be written or looked up any more: the cache forgets them when they are in
// the engine. It changes nothing that is seen.
func (t *WindowTable[K, V]) Settle(before int64) { t.seg.settle(before) }

// Put sets the window of a key that starts at a time, with the time of the record in work.
func (t *WindowTable[K, V]) Put(k K, start int64, v V) error {
	e, err := t.FindWindow(k, start)
	if err != nil {
		return err
	}
	return t.Set(e, v, *t.time)
}

// Remove deletes the window of a key that starts at a time.
func (t *WindowTable[K, V]) Remove(k K, start int64) error {
	e, err := t.FindWindow(k, start)
	if err != nil {
		return err
	}
	return t.Delete(e, *t.time)
}

// Window returns the value of the window of a key that starts at a time.
func (t *WindowTable[K, V]) Window(k K, start int64) (v V, ok bool, err error) {
	e, err := t.FindWindow(k, start)
	if err != nil {
		return v, false, err
	}
	v, _, ok, err = t.Value(e)
	return v, ok, err
}
