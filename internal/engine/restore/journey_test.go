package restore

import (
	"errors"
	"strings"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

const hour = 3600 * 1000

// from is a journey from a stored offset, at 100 h.
func from(offset, brokerTime int64) *journey {
	return &journey{stored: state.StoredOffset{Changelog: offset, BrokerTime: brokerTime}, ok: offset >= 0, retention: 24 * hour}
}

func (j *journey) must(t *testing.T, ev event, want action) {
	t.Helper()
	got, err := j.step(100*hour, ev)
	if got != want || (err != nil) != (want == fail) {
		t.Fatalf("%T%+v: action %d, %v, want %d; %+v", ev, ev, got, err, want, j)
	}
}

func TestWhereAJourneyBegins(t *testing.T) {
	const none, fresh = -1, 99 * hour
	for name, tc := range map[string]struct {
		stored, time int64
		start, end   int64
		want         action
		from         int64 // position after it, if it is fetched or finished
	}{
		"nothing stored":                     {none, 0, 5, 90, fetch, 5},
		"nothing stored, nothing there":      {none, 0, 90, 90, finish, 90},
		"resumes":                            {40, fresh, 5, 90, fetch, 40},
		"resumes at the log's start":         {5, fresh, 5, 90, fetch, 5},
		"resumes at the beginning":           {0, fresh, 0, 90, fetch, 0},
		"has arrived":                        {90, fresh, 5, 90, leave, 0},
		"has arrived long ago":               {90, 1, 5, 90, leave, 0},
		"has arrived, all else was deleted":  {90, 1, 90, 90, leave, 0},
		"of unknown age":                     {40, 0, 5, 90, fetch, 40},
		"half of the retention old":          {40, 88 * hour, 5, 90, fetch, 40},
		"older than that":                    {40, 88*hour - 1, 5, 90, wipe, 0},
		"from the future":                    {40, 1000 * hour, 5, 90, fetch, 40},
		"before the log's start":             {4, fresh, 5, 90, wipe, 0},
		"ahead":                              {91, fresh, 5, 90, wipe, 0},
		"ahead of an empty log":              {1, fresh, 0, 0, wipe, 0},
		"bounds that contradict one another": {none, 0, 95, 90, finish, 90},
	} {
		t.Run(name, func(t *testing.T) {
			j := from(tc.stored, tc.time)
			j.must(t, begun{}, ask)
			j.must(t, bounded{tc.start, tc.end}, tc.want)
			if tc.want != wipe {
				if tc.want != leave && j.position != tc.from {
					t.Fatalf("from %d, want %d", j.position, tc.from)
				}
				return
			}
			if j.why == "" {
				t.Error("wiped without a reason")
			}
			if tc.start == tc.end {
				j.must(t, wiped{}, finish)
				return
			}
			j.must(t, wiped{}, fetch)
			if j.position != tc.start || j.complete != 100*hour {
				t.Errorf("%+v", j)
			}
		})
	}
}

func TestHowAJourneyGoesOn(t *testing.T) {
	begin := func() *journey {
		j := from(10, 99*hour)
		j.must(t, begun{}, ask)
		j.must(t, bounded{0, 90}, fetch)
		return j
	}
	j := begin()
	j.must(t, read{40, 95}, goOn)
	j.must(t, read{40, 95}, goOn) // nothing new
	j.must(t, read{93, 95}, finish)
	if j.position != 93 || j.asOf != 100*hour {
		t.Errorf("%+v", j)
	}

	// A new leader that does not know its high watermark yet, and says so.
	j = begin()
	j.must(t, read{40, 40}, ask)
	j.must(t, bounded{0, 90}, goOn)
	j.must(t, read{90, 90}, finish)

	// The log ends earlier now, behind us or before.
	j = begin()
	j.must(t, read{40, 40}, ask)
	j.must(t, bounded{0, 40}, finish)
	j = begin()
	j.must(t, read{40, 30}, ask)
	j.must(t, bounded{0, 30}, wipe)
	j.must(t, wiped{}, fetch)
	j.must(t, read{30, 30}, finish)

	// What was to be read next is gone.
	j = begin()
	j.must(t, read{40, 95}, goOn)
	j.must(t, failed{&kafka.OffsetOutOfRangeError{TopicPartition: record.TopicPartition{Topic: "c"}, Offset: 40}}, ask)
	j.must(t, bounded{60, 95}, wipe)
	j.must(t, wiped{}, fetch)
	if j.position != 60 || j.end != 95 {
		t.Errorf("%+v", j)
	}

	j = begin()
	j.must(t, failed{errors.New("disk full")}, fail)
}

func TestAJourneyBeginsAnewSoOftenOnly(t *testing.T) {
	j := from(10, 99*hour)
	j.must(t, begun{}, ask)
	j.must(t, bounded{0, 90}, fetch)
	for i := range int64(maxRestarts) {
		j.must(t, failed{&kafka.OffsetOutOfRangeError{}}, ask)
		j.must(t, bounded{20 + i, 90}, wipe)
		j.must(t, wiped{}, fetch)
	}
	j.must(t, failed{&kafka.OffsetOutOfRangeError{}}, ask)
	act, err := j.step(0, bounded{80, 90})
	if act != fail || err == nil || !strings.Contains(err.Error(), "begun anew 5 times") {
		t.Errorf("%d, %v", act, err)
	}
}

// An offset stored on the way has the time of the state that it goes on from, not of this attempt.
func TestTimesOnTheWay(t *testing.T) {
	for _, tc := range []struct{ stored, time, want int64 }{{10, 99 * hour, 99 * hour}, {10, 0, 100 * hour}, {-1, 0, 100 * hour}} {
		j := from(tc.stored, tc.time)
		j.must(t, begun{}, ask)
		j.must(t, bounded{0, 90}, fetch)
		if j.complete != tc.want {
			t.Errorf("%+v: %d", tc, j.complete)
		}
	}
}
