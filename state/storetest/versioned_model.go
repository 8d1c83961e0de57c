package storetest

import (
	"math"
	"slices"

	"github.com/oxbow-streams/oxbow/state"
)

// versionedModel is a versioned store in plain lists: of each key all that was ever written.
type versionedModel struct {
	history, segment int64
	time             int64
	keys             map[string][]modelVersion // ascending
	dropped          int
}

// modelVersion is a value or a deletion from a time on. closed says that its end is known beside the begin of the next one: a
// value always knows it once there is a next one, a deletion only if it was written before a version that was there. marked
// says that there was a deletion at its time before.
type modelVersion struct {
	from           int64
	value          string
	gone           bool
	closed, marked bool
}

func newVersionedModel(cfg state.VersionedConfig) *versionedModel {
	return &versionedModel{history: cfg.History, segment: cfg.Segment, time: -1, keys: map[string][]modelVersion{}}
}

func (m *versionedModel) clone() *versionedModel {
	c := *m
	c.keys = map[string][]modelVersion{}
	for k, l := range m.keys {
		c.keys[k] = slices.Clone(l)
	}
	return &c
}

// put is rules V1 to V3.
func (m *versionedModel) put(key string, value string, gone bool, ts int64) (to int64, written bool) {
	if ts < m.time-m.history {
		m.dropped++
		return 0, false
	}
	m.time = max(m.time, ts)
	l := m.keys[key]
	defer func() { m.keys[key] = l }()
	n, there := slices.BinarySearchFunc(l, ts, func(v modelVersion, ts int64) int { return int(v.from - ts) })
	last := n == len(l) || there && n == len(l)-1
	to = state.StillValid
	if !last {
		to = l[n].from
		if there {
			to = l[n+1].from
		}
	}
	if there && last && !l[n].gone && gone {
		// The deletion of the last version at its own time is known by another end at that time, or not at all.
		if !l[n].marked && (n == 0 || l[n-1].gone && !l[n-1].closed) {
			l = l[:n]
			return to, true
		}
	}
	v := modelVersion{ts, value, gone, !last || there && l[n].closed, there && (l[n].gone || l[n].marked)}
	if there {
		l[n] = v
	} else {
		l = slices.Insert(l, n, v)
		if n > 0 && !l[n-1].gone {
			l[n-1].closed = true
		}
	}
	return to, true
}

// end is the end of the i-th version.
func (m *versionedModel) end(l []modelVersion, i int) int64 {
	if i == len(l)-1 {
		return state.StillValid
	}
	return l[i+1].from
}

func (m *versionedModel) get(key string) (v state.Version[string], ok bool) {
	return m.asOf(key, math.MaxInt64)
}

func (m *versionedModel) asOf(key string, ts int64) (v state.Version[string], ok bool) {
	l := m.keys[key]
	for i, x := range slices.Backward(l) {
		if x.from > ts {
			continue
		}
		if end := m.end(l, i); !x.gone && (end == state.StillValid || ts >= m.time-m.history) {
			return state.Version[string]{Value: x.value, From: x.from, To: end}, true
		}
		break
	}
	return v, false
}

// between is what the store must return, and what it may return beside it: versions in segments that are not forgotten yet.
func (m *versionedModel) between(key string, from, to int64) (list []state.Version[string]) {
	l := m.keys[key]
	for i, x := range slices.Backward(l) {
		end := m.end(l, i)
		live := end == state.StillValid || to >= m.time-m.history && end/m.segment >= max(0, (m.time-m.history)/m.segment)
		if !x.gone && live && x.from <= to && end > from {
			list = append(list, state.Version[string]{Value: x.value, From: x.from, To: end})
		}
	}
	return list
}
