package assign

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
)

var subscriptions = []SubscriptionData{
	{Workers: 1, ComingOf: -1},
	{
		Process: [16]byte{1, 2, 15: 9}, Workers: maxWorkers, Topology: math.MaxUint64,
		State:    []TaskState{{record.TaskID{}, 0}, {record.TaskID{Partition: 300}, -1}, {record.TaskID{Sub: 7, Partition: math.MaxInt32}, math.MaxInt64 - 1}},
		Coming:   []record.TaskID{{Sub: 0, Partition: 1}, {Sub: math.MaxInt32}},
		ComingOf: math.MaxInt32,
	},
}

var assignments = []AssignmentData{
	{},
	{Refused: OtherTopology},
	{Coming: []record.TaskID{{}, {Partition: 1}, {Sub: 3}}, Standby: []record.TaskID{{Sub: 2}}, Warmup: []record.TaskID{{Sub: 1, Partition: 5}}},
}

func TestUserDataComesBack(t *testing.T) {
	for _, d := range subscriptions {
		got, err := DecodeSubscription(d.Encode(nil))
		if err != nil || !reflect.DeepEqual(got, d) {
			t.Errorf("%+v: %+v, %v", d, got, err)
		}
	}
	for _, d := range assignments {
		got, err := DecodeAssignment(d.Encode(nil))
		if err != nil || !reflect.DeepEqual(got, d) {
			t.Errorf("%+v: %+v, %v", d, got, err)
		}
	}
	// What cannot be said is brought into range, order and multiplicity do not matter.
	odd := SubscriptionData{Workers: -3, ComingOf: -9, State: []TaskState{{record.TaskID{Sub: 1}, -7}, {record.TaskID{}, math.MaxInt64}, {record.TaskID{}, 3}}}
	got, err := DecodeSubscription(odd.Encode(nil))
	want := SubscriptionData{Workers: 1, ComingOf: -1, State: []TaskState{{record.TaskID{}, math.MaxInt64 - 1}, {record.TaskID{Sub: 1}, -1}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

// The whole group is one record of about 1 MB: 1 000 members with 10 tasks each, and state of 20, take a tenth of it.
func TestUserDataIsSmall(t *testing.T) {
	d := SubscriptionData{Workers: 8, ComingOf: 1000}
	for i := range int32(20) {
		d.State = append(d.State, TaskState{record.TaskID{Sub: i, Partition: i * 17}, 10_000})
	}
	if n := len(d.Encode(nil)); n > 160 {
		t.Errorf("a subscription with 20 states has %d bytes", n)
	}
	if n := len((&AssignmentData{}).Encode(nil)); n > 8 {
		t.Errorf("an empty assignment has %d bytes", n)
	}
}

func TestForeignUserData(t *testing.T) {
	sound := subscriptions[1].Encode(nil)
	newer := append([]byte{version + 1, leastKnown}, append(sound[2:], "more fields"...)...)
	if got, err := DecodeSubscription(newer); err != nil || !reflect.DeepEqual(got, subscriptions[1]) {
		t.Errorf("a newer version that we may read: %+v, %v", got, err)
	}
	var ve *VersionError
	_, err := DecodeSubscription([]byte{9, 4, 1, 2, 3})
	if !errors.As(err, &ve) || ve.Version != 9 || ve.Least != 4 || !strings.Contains(err.Error(), "newer release") {
		t.Errorf("a newer version that we may not read: %v", err)
	}
	for name, tc := range map[string]struct {
		data []byte
		want error
	}{
		"none":            {nil, errNone},
		"Java":            {[]byte{0, 0, 0, 11, 0, 0, 0, 11, 1, 2, 3}, errJava},
		"one byte":        {[]byte{1}, errMalformed},
		"zero":            {[]byte{0}, errMalformed},
		"odd versions":    {[]byte{1, 2, 0}, errMalformed},
		"cut":             {sound[:len(sound)-1], errMalformed},
		"header only":     {sound[:2], errMalformed},
		"no workers":      {append(append([]byte{}, sound[:26]...), 0), errMalformed},
		"count too large": {append(append([]byte{}, sound[:26]...), 1, 0xff, 0xff, 0xff, 0x7f), errMalformed},
	} {
		if _, err := DecodeSubscription(tc.data); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := DecodeAssignment(tc.data); err == nil {
			t.Errorf("%s as an assignment: no error", name)
		}
	}
}

func FuzzDecodeSubscription(f *testing.F) {
	for _, d := range subscriptions {
		f.Add(d.Encode(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := DecodeSubscription(b)
		if err != nil {
			return
		}
		if len(d.State)+len(d.Coming) > len(b) {
			t.Fatalf("%d bytes became %d and %d tasks", len(b), len(d.State), len(d.Coming))
		}
		again, err := DecodeSubscription(d.Encode(nil))
		if err != nil || !reflect.DeepEqual(again, d) {
			t.Fatalf("%+v became %+v, %v", d, again, err)
		}
	})
}

func FuzzDecodeAssignment(f *testing.F) {
	for _, d := range assignments {
		f.Add(d.Encode(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := DecodeAssignment(b)
		if err != nil {
			return
		}
		if len(d.Coming)+len(d.Standby)+len(d.Warmup) > len(b) {
			t.Fatalf("%d bytes became %+v", len(b), d)
		}
		again, err := DecodeAssignment(d.Encode(nil))
		if err != nil || !reflect.DeepEqual(again, d) {
			t.Fatalf("%+v became %+v, %v", d, again, err)
		}
	})
}
