package engine

import (
	"errors"
	"testing"
)

// A transaction whose outcome cannot be read is neither committed nor aborted: taken for aborted, its work would be done twice.
func TestUnreadableOutcomeIsNotGuessed(t *testing.T) {
	denied, cut := errors.New("DESCRIBE on the group is missing"), errors.New("the connection was cut")
	for _, c := range []struct {
		committed bool
		err       error
		want      Outcome
		cause     error
	}{
		{true, nil, OutcomeCommitted, nil},
		{false, nil, OutcomeAborted, cut},
		{false, denied, OutcomeFatal, denied},
	} {
		if got := told(c.committed, c.err, cut); got.Outcome != c.want || !errors.Is(got.Err, c.cause) {
			t.Errorf("committed %v, error %v: %+v, want outcome %v because of %v", c.committed, c.err, got, c.want, c.cause)
		}
	}
}
