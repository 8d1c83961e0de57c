package families

import (
	"cmp"
	"slices"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

const (
	gap          = 200
	sessionGrace = 61
)

func joined(_, left, right string) string { return tail(left + "&" + right) }

func add(_, v, a string) string { return plus(a, v) }

func zero() string { return "0" }

var sessionFamilies = []*family{
	{
		name: "session", parts: 2,
		build: func(b *stream.Builder, p place) { writeWindows(sessions(b, p), p) },
		model: func(in []input) []output { return new(sessionModel).run(in, false) },
	},
	{
		name: "session-on-close", parts: 2,
		build: func(b *stream.Builder, p place) { writeWindows(sessions(b, p, stream.EmitOnClose), p) },
		model: func(in []input) []output { return new(sessionModel).run(in, true) },
	},
	{
		name: "cogroup-session", sides: 2, parts: 2,
		build: func(b *stream.Builder, p place) {
			c := stream.SessionCogroup(bothSides(b, p), stream.Session(ms(gap)).Grace(ms(sessionGrace)))
			writeWindows(c.Aggregate(zero, joined, stream.WithValue(serde.String)), p)
		},
		model: func(in []input) []output { return new(sessionModel).run(in, false) },
	},
}

func sessions(b *stream.Builder, p place, opts ...stream.AggOption) stream.Table[stream.Windowed[string], string] {
	s := stream.SessionBy(from(b, p.in(0)).GroupByKey(), stream.Session(ms(gap)).Grace(ms(sessionGrace)))
	return stream.AggregateSession(s, zero, add, joined, append(opts, stream.WithValue(serde.String))...)
}

// session is one of a key.
type session struct {
	key        string
	start, end int64
	value      string
}

func (s session) output(value string) output {
	return output{windowKey(s.key, s.start, s.end), value, s.end}
}

// sessionModel folds records by sessions.
type sessionModel struct {
	open   []session
	now    [2]int64 // stream time of each topic's records
	stored int64    // the largest end of a session: one that is older than the gap and grace by it is not there any more
	closed int64
	out    []output
}

func (m *sessionModel) run(in []input, onClose bool) []output {
	for _, r := range in {
		m.now[r.side] = max(m.now[r.side], r.time) // also by a record that is dropped
		closed := m.now[r.side] - sessionGrace - gap
		if r.value != null {
			m.enter(r, closed, !onClose)
		}
		if onClose {
			m.close(closed)
		}
	}
	return m.out
}

// enter brings a record into a session that is made of all those that it touches, unless that one ends before closed.
func (m *sessionModel) enter(r input, closed int64, tell bool) {
	touches := func(s session) bool {
		return s.key == r.key && s.end >= max(r.time-gap, m.stored-gap-sessionGrace+1) && s.start <= r.time+gap
	}
	to := session{r.key, r.time, r.time, zero()}
	var old []session
	for _, s := range m.open {
		if touches(s) {
			old = append(old, s)
		}
	}
	slices.SortFunc(old, func(a, b session) int { return cmp.Or(cmp.Compare(a.end, b.end), cmp.Compare(a.start, b.start)) })
	for _, s := range old {
		to.start, to.end, to.value = min(to.start, s.start), max(to.end, s.end), joined(r.key, to.value, s.value)
	}
	if to.end < closed {
		return
	}
	for _, s := range old {
		if tell && to.start != to.end {
			m.out = append(m.out, s.output(null))
		}
	}
	m.open = slices.DeleteFunc(m.open, touches)
	fold := add
	if r.side == 1 {
		fold = star
	}
	to.value = fold(r.key, r.value, to.value)
	m.open = append(m.open, to)
	m.stored = max(m.stored, to.end)
	if tell {
		m.out = append(m.out, to.output(to.value))
	}
}

// close sends what ends before closed and not before what was closed already.
func (m *sessionModel) close(closed int64) {
	var due []session
	for _, s := range m.open {
		if s.end >= m.closed && s.end < closed {
			due = append(due, s)
		}
	}
	slices.SortFunc(due, func(a, b session) int {
		return cmp.Or(cmp.Compare(a.end, b.end), cmp.Compare(a.start, b.start), cmp.Compare(a.key, b.key))
	})
	for _, s := range due {
		m.out = append(m.out, s.output(s.value))
	}
	m.closed = max(m.closed, closed)
}
