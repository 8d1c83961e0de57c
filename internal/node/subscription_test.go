package node_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

func TestSubscriptionOfVersion0HasNoPartition(t *testing.T) {
	got, err := node.SubscriptionSerde(serde.String).Decode([]byte("\x80\x01pk"))
	if want := (node.Subscription[string]{PrimaryKey: "pk", Instruction: node.DeleteKeyAndPropagate, Partition: node.ByKey}); err != nil ||
		got != want {
		t.Errorf("%+v (%v), want %+v", got, err, want)
	}
}

func TestSubscriptionOfAnotherVersionIsRefused(t *testing.T) {
	for _, b := range []string{"", "\x01", "\x81\x00", "\x82\x00pk\x00\x00\x00\x00", "\x81\x04pk\x00\x00\x00\x00", "\x01\x00short"} {
		if v, err := node.SubscriptionSerde(serde.String).Decode([]byte(b)); err == nil {
			t.Errorf("%x is taken as %+v", b, v)
		}
	}
	for _, b := range []string{"", "\x81", "\x00short"} {
		if v, err := node.ResponseSerde(serde.String).Decode([]byte(b)); err == nil {
			t.Errorf("response %x is taken as %+v", b, v)
		}
	}
}

// F7: a null is no subscription; taken for one it would delete that of an empty primary key.
func TestNullSubscriptionFails(t *testing.T) {
	task, at := &node.Task{}, &node.Info{Name: "receive", Stats: new(node.Stats)}
	receive := node.ReceiveSubscription(task, at, nil, serde.String, serde.String,
		func(*node.Rec[string, node.Subscription[string]]) error { t.Error("it is sent on"); return nil })
	for _, nullKey := range []bool{false, true} {
		err := receive(&node.Rec[string, node.Subscription[string]]{Key: "f", NullKey: nullKey, Null: true})
		if f := (*dlq.Failure)(nil); !errors.As(err, &f) || f.Stage != dlq.StageDeserializeValue || f.Node != "receive" {
			t.Errorf("null key %v: %v", nullKey, err)
		}
	}
}

func FuzzSubscription(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\xff\xff\xff\xff\xff\xff\xff\xfepk\x00\x00\x00\x03"), "pk", uint64(1), true)
	f.Add([]byte("\x80R"), "", uint64(0), false)
	f.Fuzz(func(t *testing.T, b []byte, text string, half uint64, some bool) {
		subs, responses := node.SubscriptionSerde(serde.String), node.ResponseSerde(serde.String)
		if v, err := subs.Decode(b); err == nil {
			again, err := subs.Append(nil, v)
			if err != nil || b[0]&0x7f == 1 && !bytes.Equal(again, b) {
				t.Fatalf("%x is written again as %x (%v)", b, again, err)
			}
		}
		if v, err := responses.Decode(b); err == nil {
			if again, err := responses.Append(nil, v); err != nil || !bytes.Equal(again, b) {
				t.Fatalf("response %x is written again as %x (%v)", b, again, err)
			}
		}
		hash := record.OptOf(node.Hash128{half, ^half}, some)
		sub := node.Subscription[string]{PrimaryKey: text, Hash: hash, Instruction: node.Instruction(half % 4), Partition: int32(half)}
		enc, _ := subs.Append([]byte("x"), sub)
		if back, err := subs.Decode(enc[1:]); err != nil || back != sub {
			t.Fatalf("%+v comes back as %+v (%v)", sub, back, err)
		}
		// A value of no bytes cannot be told from null in this format.
		res := node.Response[string]{Hash: hash, Value: record.OptOf(text, text != ""), Partition: node.ByKey}
		enc, _ = responses.Append([]byte("x"), res)
		if back, err := responses.Decode(enc[1:]); err != nil || back != res {
			t.Fatalf("%+v comes back as %+v (%v)", res, back, err)
		}
	})
}
