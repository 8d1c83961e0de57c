package engine

import (
	"errors"
	"maps"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
)

func TestPositionIsReadAsWritten(t *testing.T) {
	task := &Task{}
	want := map[record.TopicPartition]int64{{Topic: "orders", Partition: 3}: 1 << 40, {Topic: "rates", Partition: 300}: 0}
	for tp, at := range want {
		task.inputs = append(task.inputs, &input{tp: tp, frozen: inputMark{at, -1}})
	}
	b := task.encodePosition()
	got, err := decodePosition(b)
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	for n := 1; n < len(b); n++ {
		if _, err := decodePosition(b[:n]); !errors.Is(err, errPosition) {
			t.Errorf("cut to %d of %d bytes: %v", n, len(b), err)
		}
	}
	if _, err := decodePosition(append(b, 0)); !errors.Is(err, errPosition) {
		t.Errorf("with a byte more: %v", err)
	}
	if got, err := decodePosition(nil); err != nil || len(got) > 0 {
		t.Errorf("nothing: %v, %v", got, err)
	}
}
