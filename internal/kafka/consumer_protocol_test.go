package kafka

import (
	"bytes"
	"reflect"
	"slices"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var subscriptions = map[string]Member{
	"empty":     {Generation: -1},
	"topics":    {Topics: []string{"a", "b"}, Generation: -1},
	"user data": {Topics: []string{"a"}, UserData: []byte{}, Generation: -1},
	"owner": {Topics: []string{"a", "b"}, UserData: []byte("state"), Generation: 7,
		Owned: []record.TopicPartition{{Topic: "a", Partition: 0}, {Topic: "a", Partition: 11}, {Topic: "b", Partition: 3}}},
}

// What we write is what kmsg writes, and what it writes in any version is what we read.
func TestConsumerProtocolIsKafkas(t *testing.T) {
	for name, m := range subscriptions {
		k := kmsg.NewConsumerMemberMetadata()
		k.Version, k.Topics, k.UserData, k.Generation = 2, m.Topics, m.UserData, m.Generation
		a := kmsg.NewConsumerMemberAssignment()
		a.UserData = m.UserData
		for _, tp := range m.Owned {
			if n := len(k.OwnedPartitions); n == 0 || k.OwnedPartitions[n-1].Topic != tp.Topic {
				k.OwnedPartitions = append(k.OwnedPartitions, kmsg.ConsumerMemberMetadataOwnedPartition{Topic: tp.Topic})
				a.Topics = append(a.Topics, kmsg.ConsumerMemberAssignmentTopic{Topic: tp.Topic})
			}
			last := len(k.OwnedPartitions) - 1
			k.OwnedPartitions[last].Partitions = append(k.OwnedPartitions[last].Partitions, tp.Partition)
			a.Topics[last].Partitions = append(a.Topics[last].Partitions, tp.Partition)
		}
		if got, want := appendSubscription(nil, &m), k.AppendTo(nil); !bytes.Equal(got, want) {
			t.Errorf("%s:\n got %x\nwant %x", name, got, want)
		}
		as := Assignment{Partitions: m.Owned, UserData: m.UserData}
		if got, want := appendAssignment(nil, &as), a.AppendTo(nil); !bytes.Equal(got, want) {
			t.Errorf("%s, assignment:\n got %x\nwant %x", name, got, want)
		}
		if got, err := readAssignment(a.AppendTo(nil)); err != nil || !reflect.DeepEqual(got, as) {
			t.Errorf("%s, assignment: %+v, %v", name, got, err)
		}
		for v := range int16(4) {
			k.Version = v
			want := m
			if v < 1 {
				want.Owned = nil
			}
			if v < 2 {
				want.Generation = -1
			}
			if got, err := readSubscription(k.AppendTo(nil)); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s v%d: %+v, %v", name, v, got, err)
			}
		}
	}
	if a, err := readAssignment(nil); err != nil || a.Partitions != nil || a.UserData != nil {
		t.Errorf("no bytes: %+v, %v", a, err)
	}
}

func TestAssignmentsThatDoNotFitAreRefused(t *testing.T) {
	err := checkPlan(map[string]Assignment{"a": {UserData: make([]byte, 500_000)}, "b": {UserData: make([]byte, 500_000)}})
	if err == nil {
		t.Fatal("1 MB of assignments: no error")
	}
	if err := checkPlan(map[string]Assignment{"a": {UserData: make([]byte, 500_000)}}); err != nil {
		t.Fatal(err)
	}
}

func FuzzConsumerProtocol(f *testing.F) {
	for _, m := range subscriptions {
		f.Add(appendSubscription(nil, &m))
		f.Add(appendAssignment(nil, &Assignment{Partitions: m.Owned, UserData: m.UserData}))
	}
	f.Add([]byte{0, 1, 0x7f, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := readSubscription(b); err == nil {
			if 2*len(m.Topics)+4*len(m.Owned)+len(m.UserData) > len(b) {
				t.Fatalf("more was read than there are bytes: %+v", m)
			}
			again, err := readSubscription(appendSubscription(nil, &m))
			slices.SortFunc(m.Owned, compareTP)
			if err != nil || !reflect.DeepEqual(again, m) {
				t.Fatalf("%+v became %+v, %v", m, again, err)
			}
		}
		if a, err := readAssignment(b); err == nil && len(b) > 0 {
			if 4*len(a.Partitions)+len(a.UserData) > len(b) {
				t.Fatalf("more was read than there are bytes: %+v", a)
			}
			again, err := readAssignment(appendAssignment(nil, &a))
			slices.SortFunc(a.Partitions, compareTP)
			if err != nil || !reflect.DeepEqual(again, a) {
				t.Fatalf("%+v became %+v, %v", a, again, err)
			}
		}
	})
}

func FuzzAnswerFrame(f *testing.F) {
	f.Add([]byte{0, 0, 0, 5, 0, 0, 0, 1, 0}, true)
	f.Add([]byte{0, 0, 0, 8, 0, 0, 0, 1, 1, 0, 1, 9}, true)
	f.Add([]byte{0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 1}, false)
	f.Fuzz(func(t *testing.T, b []byte, own bool) {
		var alloc func(int) ([]byte, error)
		if own {
			alloc = func(n int) ([]byte, error) { return make([]byte, n), nil }
		}
		body, err := readFrame(bytes.NewReader(b), 1, 1<<20, alloc)
		if err == nil {
			if len(body) > len(b)-8 {
				t.Fatalf("%d bytes of an answer of %d", len(body), len(b))
			}
			if rest, err := skipTags(body); err == nil && len(rest) >= len(body) {
				t.Fatal("no tag was skipped")
			}
		}
		ears := &saslEars{}
		life := ears.hear(b)
		if life < 0 || len(ears.frame) > len(b) {
			t.Fatalf("a session of %v, %d bytes kept", life, len(ears.frame))
		}
	})
}
