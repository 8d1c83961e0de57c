package state_test

import (
	"maps"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

func TestCheckpoint(t *testing.T) {
	at := map[record.TopicPartition]int64{{Topic: "a-changelog", Partition: 10}: 7, {Topic: "a-changelog", Partition: 2}: 0, {Topic: "B", Partition: 0}: 1 << 40}
	text := state.Checkpoint(at)
	if want := "0\n3\nB 0 1099511627776\na-changelog 2 0\na-changelog 10 7\n"; text != want {
		t.Errorf("%q, want %q", text, want)
	}
	if got, err := state.ParseCheckpoint(text); err != nil || !maps.Equal(got, at) {
		t.Errorf("read back as %v, %v", got, err)
	}
	for _, bad := range []string{"", "1\n0\n", "0\n2\na 0 1\n", "0\nx\n", "0\n1\na 0\n", "0\n1\na x 1\n", "0\n1\na 0 x\n"} {
		if got, err := state.ParseCheckpoint(bad); err == nil {
			t.Errorf("%q is read as %v", bad, got)
		}
	}
}
