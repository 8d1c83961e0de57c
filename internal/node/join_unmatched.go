package node

import (
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// emit sends the results of what is due (W5). at and after are those of the side whose record asks.
func (j *StreamJoin[K, L, R, O]) emit(at *Info, after int64, h record.Headers) error {
	now := j.Clock.Now()
	due, err := j.Unmatched.Due(after+j.Grace, now)
	if err != nil || !due {
		return err
	}
	rows, err := j.Unmatched.TakeDue(now)
	if err != nil {
		j.Task.At = at
		return j.Task.stateError(at, err)
	}
	for _, row := range rows {
		for {
			value, ok, err := row.Next()
			if err != nil {
				return fmt.Errorf("%s: store %s: %w", at.Name, j.Unmatched.Name(), err)
			}
			if !ok {
				break
			}
			j.due.row, j.due.value, j.due.headers = row, value, h
			if err := j.Task.Emit(&j.due); err != nil {
				return err
			}
		}
	}
	return nil
}

// unmatchedDue is the result of a value that met none of the other side.
type unmatchedDue[K, L, R, O any] struct {
	j       *StreamJoin[K, L, R, O]
	row     state.Unmatched
	value   []byte
	headers record.Headers // of the record that makes it due
	out     Rec[K, O]
}

// Info implements [Due].
func (d *unmatchedDue[K, L, R, O]) Info() *Info {
	if d.row.Left {
		return d.j.LeftAt
	}
	return d.j.RightAt
}

// Input implements [Due]. The coordinates are not kept while a value waits.
func (d *unmatchedDue[K, L, R, O]) Input() Input {
	return Input{Coordinates: NoCoordinates(),
		Raw: &record.Raw{Key: d.row.Key, Value: d.value, Time: d.row.Time, Offset: -1}}
}

// Emit implements [Due].
func (d *unmatchedDue[K, L, R, O]) Emit() error {
	t, at, s := d.j.Task, d.Info(), d.j.Unmatched
	t.At, t.Doing = at, DoingState
	k, err := s.DecodeKey(d.row.Key)
	join := d.j.JoinRight
	var l record.Opt[L]
	var r record.Opt[R]
	switch {
	case err != nil:
	case d.row.Left:
		var v L
		v, err = s.DecodeLeft(d.row.Key, d.value)
		l, join = record.Some(v), d.j.JoinLeft
	default:
		var v R
		v, err = s.DecodeRight(d.row.Key, d.value)
		r = record.Some(v)
	}
	if err != nil {
		return t.stateError(at, err)
	}
	t.Doing = DoingFunction
	o, err := join(k, l, r)
	if err != nil {
		return t.userError(at, err)
	}
	d.out = Rec[K, O]{Key: k, Value: o, Time: d.row.Time, Headers: d.headers}
	return d.j.Next(&d.out)
}
