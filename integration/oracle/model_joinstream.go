package oracle

import (
	"cmp"
	"math"
	"slices"
)

// A joinModel is a join of two streams written from its rules: two lists of what may still be joined, and a list of what has met
// nothing yet. Null keys and values are "-".
type joinModel struct {
	before, after, grace  int64
	leftOuter, rightOuter bool

	now     int64 // stream time of the join
	least   int64 // from when on something may wait, as far as is known
	stores  [2]joined
	waiting []waiting
	out     []event
}

// joined is what one side may still be joined with.
type joined struct {
	rows   []event
	latest int64
}

// event is a record: of an input or a result.
type event struct {
	key, value string
	time       int64
}

// waiting is a value that has met none of the other side.
type waiting struct {
	event
	side    int // 0 right, 1 left
	arrival int
}

const nothing = "-"

// JoinStreams returns a model of a join for tests on a broker: a function that takes the records of both sides and returns the
// results of each, in ms, null keys and values as "-".
func JoinStreams(before, after, grace int64, leftOuter, rightOuter bool) func(left bool, key, value string, time int64, send func(key, value string, time int64)) {
	m := newJoinModel(before, after, grace, leftOuter, rightOuter)
	return func(left bool, key, value string, time int64, send func(key, value string, time int64)) {
		for _, e := range m.process(left, event{key, value, time}) {
			send(e.key, e.value, e.time)
		}
	}
}

func newJoinModel(before, after, grace int64, leftOuter, rightOuter bool) *joinModel {
	return &joinModel{before: before, after: after, grace: grace, leftOuter: leftOuter, rightOuter: rightOuter, now: -1,
		least: math.MaxInt64, stores: [2]joined{{latest: -1}, {latest: -1}}}
}

func (m *joinModel) send(key string, left bool, mine, other string, time int64) {
	if !left {
		mine, other = other, mine
	}
	m.out = append(m.out, event{key, mine + "+" + other, time})
}

// process takes a record of one side and returns what comes of it.
func (m *joinModel) process(left bool, r event) []event {
	m.out = nil
	m.now = max(m.now, r.time)
	side, before, after, outer := 1, m.before, m.after, m.leftOuter
	if !left {
		side, before, after, outer = 0, m.after, m.before, m.rightOuter
	}
	if r.value == nothing || r.key == nothing {
		if outer && r.value != nothing {
			m.send(r.key, left, r.value, "?", r.time)
		}
		return m.out
	}
	if m.leftOuter && r.time == m.now {
		m.close(after)
	}
	if !m.match(left, side, r, before, after) && outer {
		if max(0, r.time+after) < m.now {
			m.send(r.key, left, r.value, "?", r.time)
		} else {
			m.least = min(m.least, r.time)
			m.waiting = append(m.waiting, waiting{r, side, len(m.waiting)})
			slices.SortStableFunc(m.waiting, func(a, b waiting) int {
				return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.side, b.side), cmp.Compare(a.key, b.key))
			})
		}
	}
	own := &m.stores[side]
	own.latest = max(own.latest, r.time)
	own.rows = append(own.rows, r)
	slices.SortStableFunc(own.rows, func(a, b event) int { return cmp.Compare(a.time, b.time) })
	return m.out
}

// match joins a record with what the other side holds.
func (m *joinModel) match(left bool, side int, r event, before, after int64) (matched bool) {
	other := &m.stores[1-side]
	from := max(0, r.time-before, other.latest-(m.before+m.after+m.grace)+1)
	for _, o := range other.rows {
		if o.key == r.key && o.time >= from && o.time <= max(0, r.time+after) {
			matched = true
			m.waiting = slices.DeleteFunc(m.waiting, func(w waiting) bool {
				return w.side == 1-side && w.key == r.key && w.time == o.time
			})
			m.send(r.key, left, r.value, o.value, max(r.time, o.time))
		}
	}
	return matched
}

// close sends what has waited long enough.
func (m *joinModel) close(after int64) {
	if m.least == math.MaxInt64 || m.least+after+m.grace >= m.now {
		return
	}
	m.least = math.MaxInt64
	var open [2]bool
	var kept []waiting
	last := waiting{side: -1}
	for i, w := range m.waiting {
		m.least = w.time
		if same := w.side == last.side && w.key == last.key && w.time == last.time; open[0] && open[1] && !same {
			kept = append(kept, m.waiting[i:]...)
			break
		}
		last = w
		wait := m.before
		if w.side == 1 {
			wait = m.after
		}
		if w.time+wait+m.grace >= m.now {
			open[w.side] = true
			kept = append(kept, w)
			continue
		}
		m.send(w.key, w.side == 1, w.value, "?", w.time)
	}
	m.waiting = kept
}
