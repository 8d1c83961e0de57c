package storetest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// The stores whose rows have times, and the plain model of them: a map, copied for each unit.

// Retention of the stores of the suite, and the length of the segments that follows from it.
const (
	timedRetention = 150_000
	timedSize      = 10_000
)

// timedKey is a row's place: the user's key, the time that expires (window start, session end, time of a value of a join), and
// what comes after it (0, session start, number of the duplicate).
type timedKey struct {
	key          string
	time, second int64
}

type timedRow struct {
	val string
	ts  int64
}

type timedNote struct {
	old       record.Opt[string]
	ts, order int64
}

// timedWorld is what a store must hold.
type timedWorld struct {
	rows  map[timedKey]timedRow // expired ones too
	notes map[timedKey]timedNote
	order int64
	clock int64
	hold  int64
}

func newTimedWorld() timedWorld {
	return timedWorld{map[timedKey]timedRow{}, map[timedKey]timedNote{}, 0, -1, -1}
}

func (w timedWorld) clone() timedWorld {
	w.rows, w.notes = maps.Clone(w.rows), maps.Clone(w.notes)
	return w
}

func (w *timedWorld) visible(time int64) bool { return time > w.clock-timedRetention && time >= 0 }

// find returns the rows that a query shows, in its order.
func (w *timedWorld) find(q timedQuery) []timedKey {
	var out []timedKey
	for k := range w.rows {
		if (w.visible(k.time) || q.byTime) && k.time >= q.from && k.time <= q.to && (q.all || k.key == q.key && k.second <= q.late) {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, q.compare)
	return out
}

// timedQuery is an iteration. Sessions of one key are those that end in [from, ∞) and start at late or before.
type timedQuery struct {
	key      string
	all      bool
	from, to int64
	late     int64
	reverse  bool
	byTime   bool // by time first, expired rows too
}

func (q timedQuery) compare(a, b timedKey) int {
	const segment = timedRetention / 2
	order := []int64{a.time/segment - b.time/segment, int64(compareStrings(a.key, b.key)), a.time - b.time, a.second - b.second}
	if q.byTime {
		order = []int64{a.time - b.time, a.second - b.second, int64(compareStrings(a.key, b.key))}
	}
	for _, d := range order {
		if d != 0 && (d < 0) != q.reverse {
			return -1
		} else if d != 0 {
			return 1
		}
	}
	return 0
}

func compareStrings(a, b string) int {
	if a < b {
		return -1
	} else if a > b {
		return 1
	}
	return 0
}

// timedStore is a store of the suite.
type timedStore interface {
	state.Store
	put(k timedKey, v string, ts int64, note bool) error
	remove(k timedKey, ts int64, note bool) error
	get(k timedKey) (v string, ts int64, ok bool, err error)
	query(q timedQuery) (timedCursor, error)
	hold(from int64)
	drain() ([]string, error)
}

// timedCursor gives key, value and time of the next row.
type timedCursor func() (k timedKey, r timedRow, ok bool, err error)

// timedKind is a kind of store.
type timedKind struct {
	name string
	spec state.Spec
	wrap func(state.Store) timedStore
}

func timedKinds() []timedKind {
	win := state.WindowConfig{Size: timedSize, Retention: timedRetention, ByStart: true}
	ses := state.SessionConfig{Retention: timedRetention, ByEnd: true}
	return []timedKind{
		{"window", state.WindowSpec("s", serde.String, serde.String, win), func(s state.Store) timedStore {
			return windowStore{s.(*state.WindowTable[string, string])}
		}},
		{"session", state.SessionSpec("s", serde.String, serde.String, ses), func(s state.Store) timedStore {
			return sessionStore{s.(*state.SessionTable[string, string])}
		}},
		{"join", state.JoinStoreSpec("s", serde.String, serde.String, win), func(s state.Store) timedStore {
			return joinStore{s.(*state.JoinStore[string, string])}
		}},
	}
}

// table is what window and session tables share.
type table interface {
	Value(e state.Entry) (string, int64, bool, error)
	Set(e state.Entry, v string, ts int64) error
	Delete(e state.Entry, ts int64) error
	Note(e state.Entry, old record.Opt[string], ts int64, h record.Headers) error
	NextRow() (state.Row[record.Windowed[string], string], bool, error)
}

// change sets a row, or deletes it, and notes it.
func change(t table, e state.Entry, v record.Opt[string], ts int64, note bool) error {
	was, _, ok, err := t.Value(e)
	if err != nil {
		return err
	}
	if val, set := v.Get(); set {
		err = t.Set(e, val, ts)
	} else {
		err = t.Delete(e, ts)
	}
	if err == nil && note {
		err = t.Note(e, record.OptOf(was, ok), ts, record.Headers{})
	}
	return err
}

// drainTable takes all rows of an emission buffer.
func drainTable(t table, place func(record.Windowed[string]) timedKey) (rows []string, err error) {
	for {
		row, ok, err := t.NextRow()
		if !ok || err != nil {
			return rows, err
		}
		rows = append(rows, showNote(place(row.Key), row.New, row.Old, row.Time))
	}
}

func showNote(k timedKey, now, old record.Opt[string], ts int64) string {
	return fmt.Sprintf("%v new %v old %v at %d", k, now, old, ts)
}

func cursor(c *state.Cursor[record.Windowed[string], string], place func(record.Windowed[string]) timedKey) timedCursor {
	return func() (k timedKey, r timedRow, ok bool, err error) {
		if !c.Next() {
			return k, r, false, c.Err()
		}
		return place(c.Key()), timedRow{c.Value(), c.Time()}, true, nil
	}
}

type windowStore struct {
	*state.WindowTable[string, string]
}

func (s windowStore) put(k timedKey, v string, ts int64, note bool) error {
	e, err := s.FindWindow(k.key, k.time)
	if err != nil {
		return err
	}
	return change(s.WindowTable, e, record.Some(v), ts, note)
}

func (s windowStore) remove(k timedKey, ts int64, note bool) error {
	e, err := s.FindWindow(k.key, k.time)
	if err != nil {
		return err
	}
	return change(s.WindowTable, e, record.None[string](), ts, note)
}

func (s windowStore) get(k timedKey) (string, int64, bool, error) {
	return s.Get(record.MakeWindowed(k.key, k.time, k.time+timedSize))
}

func (s windowStore) query(q timedQuery) (timedCursor, error) {
	var c *state.Cursor[record.Windowed[string], string]
	var err error
	switch {
	case q.byTime:
		c, err = s.FetchByStart(q.from, q.to)
	case q.all:
		c, err = s.FetchAll(q.from, q.to)
	default:
		c, err = s.Fetch(q.key, q.from, q.to, q.reverse)
	}
	return cursor(c, windowPlace), err
}

func windowPlace(w record.Windowed[string]) timedKey {
	if w.End.Sub(w.Start).Milliseconds() != timedSize {
		panic(fmt.Sprintf("the window %v has another size", w))
	}
	return timedKey{w.Key, w.Start.UnixMilli(), 0}
}

func (s windowStore) hold(from int64) {
	s.Hold(from)
	s.Settle(from + timedSize) // what is held stays all the same
}

func (s windowStore) drain() ([]string, error) { return drainTable(s.WindowTable, windowPlace) }

type sessionStore struct {
	*state.SessionTable[string, string]
}

func (s sessionStore) put(k timedKey, v string, ts int64, note bool) error {
	e, err := s.FindSession(k.key, k.second, k.time)
	if err != nil {
		return err
	}
	return change(s.SessionTable, e, record.Some(v), ts, note)
}

func (s sessionStore) remove(k timedKey, ts int64, note bool) error {
	e, err := s.FindSession(k.key, k.second, k.time)
	if err != nil {
		return err
	}
	return change(s.SessionTable, e, record.None[string](), ts, note)
}

func (s sessionStore) get(k timedKey) (string, int64, bool, error) {
	return s.Get(record.MakeWindowed(k.key, k.second, k.time))
}

func (s sessionStore) query(q timedQuery) (timedCursor, error) {
	var c *state.Cursor[record.Windowed[string], string]
	var err error
	switch {
	case q.byTime:
		c, err = s.FetchByEnd(q.from, q.to)
	case q.all:
		c, err = s.FetchAll(q.from, q.to)
	case q.reverse:
		c, err = s.ReverseOverlapping(q.key, q.from, q.late)
	default:
		if err := s.overlapping(q); err != nil {
			return nil, err
		}
		c, err = s.FindOverlapping(q.key, q.from, q.late)
	}
	return cursor(c, sessionPlace), err
}

// overlapping holds Overlapping against FindOverlapping.
func (s sessionStore) overlapping(q timedQuery) error {
	c, err := s.FindOverlapping(q.key, q.from, q.late)
	if err != nil {
		return err
	}
	var want []state.SessionRow[string]
	for c.Next() {
		want = append(want, state.SessionRow[string]{Start: c.Key().Start.UnixMilli(), End: c.Key().End.UnixMilli(), Value: c.Value()})
	}
	got, err := s.Overlapping(nil, q.key, q.from, q.late)
	if err = errors.Join(err, c.Err()); err == nil && !slices.Equal(got, want) {
		err = fmt.Errorf("Overlapping gives %v, FindOverlapping %v", got, want)
	}
	return err
}

func sessionPlace(w record.Windowed[string]) timedKey {
	return timedKey{w.Key, w.End.UnixMilli(), w.Start.UnixMilli()}
}

func (s sessionStore) hold(from int64) {
	s.Hold(from)
	s.Settle(from + timedSize)
}

func (s sessionStore) drain() ([]string, error) { return drainTable(s.SessionTable, sessionPlace) }

type joinStore struct {
	*state.JoinStore[string, string]
}

func (s joinStore) put(k timedKey, v string, _ int64, _ bool) error { return s.Put(k.key, k.time, v) }
func (s joinStore) remove(timedKey, int64, bool) error              { return nil }
func (s joinStore) hold(int64)                                      {}
func (s joinStore) drain() ([]string, error)                        { return nil, nil }

func (s joinStore) get(k timedKey) (v string, ts int64, ok bool, err error) {
	c, err := s.Fetch(k.key, k.time, k.time)
	if err != nil {
		return "", 0, false, err
	}
	for n := int64(0); c.Next(); n++ {
		if n == k.second {
			return c.Value(), 0, true, nil
		}
	}
	return "", 0, false, c.Err()
}

func (s joinStore) query(q timedQuery) (timedCursor, error) {
	c, err := s.Fetch(q.key, q.from, q.to)
	last, n := int64(math.MinInt64), int64(0)
	return func() (k timedKey, r timedRow, ok bool, err error) {
		if !c.Next() {
			return k, r, false, c.Err()
		}
		if n++; c.Time() != last {
			last, n = c.Time(), 0
		}
		return timedKey{q.key, last, n}, timedRow{c.Value(), 0}, true, nil
	}, err
}

// logPlace is the place of a changelog record.
func logPlace(kind state.Kind, key []byte) timedKey {
	n := len(key) - kind.SuffixLen()
	k := timedKey{key: string(key[:n]), time: int64(binary.BigEndian.Uint64(key[n:]))}
	if kind == state.KindSession {
		k.second = int64(binary.BigEndian.Uint64(key[n+8:]))
	} else {
		k.second = int64(binary.BigEndian.Uint32(key[n+8:]))
	}
	return k
}
