package restore

import (
	"errors"
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/state"
)

// maxRestarts bounds how often one restore begins anew: a changelog that is truncated faster than it is read is an error.
const maxRestarts = 5

// journey is the way of one store to the end of its changelog. Step takes what happened and says what to do next. It has no
// goroutine, no clock and no socket.
type journey struct {
	stored    state.StoredOffset
	ok        bool  // there is a stored offset
	retention int64 // delete.retention.ms
	limited   bool  // the state goes no further than limit: what follows is read as an input
	limit     int64

	phase    phase
	start    int64 // of the log
	position int64 // everything below has been read
	end      int64 // to be reached
	asOf     int64 // when end was taken
	complete int64 // when the state that this goes on from was complete
	restarts int
	why      string // of the last wipe
}

type phase uint8

const (
	idle phase = iota
	asking
	wiping
	reading
	over
)

// What can happen to a journey.
type event interface{ isEvent() }

type (
	// begun: nothing has happened yet.
	begun struct{}
	// bounded: the log reaches from start to end.
	bounded struct{ start, end int64 }
	// wiped: the store is empty, and its offset is the log's start.
	wiped struct{}
	// read: everything below next has been given to the store. high is the broker's high watermark, −1 if unknown.
	read struct{ next, high int64 }
	// failed: what was asked for could not be done.
	failed struct{ err error }
)

func (begun) isEvent()   {}
func (bounded) isEvent() {}
func (wiped) isEvent()   {}
func (read) isEvent()    {}
func (failed) isEvent()  {}

// What a journey asks for.
type action uint8

const (
	goOn   action = iota // read on
	ask                  // for the bounds of the log
	wipe                 // the store, and set its offset to start
	fetch                // from position, into a new Restorer, with complete as the time of what it stores
	finish               // store position as reached, complete as of asOf
	leave                // nothing is left to do: the store is where it should be
	fail                 // with the error
)

// step takes an event. now is in ms.
func (j *journey) step(now int64, ev event) (action, error) {
	switch ev := ev.(type) {
	case begun:
		j.phase, j.asOf = asking, now
		return ask, nil
	case bounded:
		return j.bounds(now, ev)
	case wiped:
		j.ok, j.stored = true, state.StoredOffset{Changelog: j.start, BrokerTime: j.asOf}
		j.complete = j.asOf
		return j.depart(j.start), nil
	case read:
		return j.advance(now, ev), nil
	case failed:
		return j.trouble(now, ev.err)
	}
	return fail, fmt.Errorf("event %T is unknown", ev)
}

// bounds decides where to begin, or, when asked on the way, whether the end is still there.
func (j *journey) bounds(now int64, ev bounded) (action, error) {
	if ev.end < ev.start { // answered at different times
		ev.start = ev.end
	}
	high := ev.end
	if j.limited {
		ev.end = max(ev.start, min(ev.end, j.limit))
	}
	if j.phase == reading {
		return j.shrunk(now, ev)
	}
	j.start, j.end = ev.start, ev.end
	at := j.stored.Changelog
	switch {
	case !j.ok:
		j.complete = j.asOf
		return j.depart(j.start), nil
	case j.limited && at > j.end && at <= high:
		// Committed with the state, but not in the group: the task reads it again, which changes nothing.
		j.phase = over
		return leave, nil
	case at < 0:
		return j.wipe("its changelog no longer has what was to be read next")
	case at > j.end:
		return j.wipe("it is ahead of its changelog, which was made anew or has lost records")
	case at < j.start:
		return j.wipe("its changelog begins later: what lies between is gone")
	case at == j.end:
		j.phase = over
		return leave, nil
	case j.stale(now):
		return j.wipe("it is older than half of delete.retention.ms: deletions may be gone from its changelog")
	}
	j.complete = j.stored.BrokerTime
	if j.complete == 0 {
		j.complete = j.asOf
	}
	return j.depart(at), nil
}

func (j *journey) stale(now int64) bool {
	return j.stored.BrokerTime > 0 && now-j.stored.BrokerTime > j.retention/2
}

func (j *journey) wipe(why string) (action, error) {
	if j.restarts == maxRestarts {
		j.phase = over
		return fail, fmt.Errorf("begun anew %d times, the last time because %s: find out who deletes from the topic", j.restarts, j.why)
	}
	j.restarts++
	j.phase, j.why = wiping, why
	return wipe, nil
}

func (j *journey) depart(from int64) action {
	j.position = from
	if from >= j.end {
		j.phase = over
		return finish
	}
	j.phase = reading
	return fetch
}

// advance goes on until the end. A broker whose log ends before our end has lost records, or does not know yet what it has:
// asking for the bounds tells.
func (j *journey) advance(now int64, ev read) action {
	j.position = max(j.position, ev.next)
	switch {
	case j.position >= j.end:
		j.phase = over
		return finish
	case ev.high >= 0 && ev.high < j.end && j.position >= ev.high:
		return ask
	}
	return goOn
}

// shrunk takes bounds that were asked for on the way.
func (j *journey) shrunk(now int64, ev bounded) (action, error) {
	if ev.end >= j.end {
		return goOn, nil
	}
	j.start, j.end, j.asOf = ev.start, ev.end, now
	if j.position > j.end {
		return j.wipe("its changelog has lost records while it was read")
	}
	return j.advance(now, read{j.position, -1}), nil
}

func (j *journey) trouble(now int64, err error) (action, error) {
	if out := (*kafka.OffsetOutOfRangeError)(nil); errors.As(err, &out) && j.phase == reading {
		// Where the log begins now has to be asked; the state so far is of no use, since records between are gone.
		j.ok, j.stored = true, state.StoredOffset{Changelog: -1}
		j.phase, j.asOf = asking, now
		return ask, nil
	}
	j.phase = over
	return fail, err
}
