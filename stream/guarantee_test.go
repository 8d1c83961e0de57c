package stream_test

import (
	"strings"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/stream"
)

func TestTimesOfTransactionsAreHeldAgainstOneAnother(t *testing.T) {
	for name, tc := range map[string]struct {
		cfg  stream.Config
		want string // ""; it is valid
	}{
		"at least once":          {stream.Config{}, ""},
		"exactly once":           {stream.Config{Guarantee: stream.ExactlyOnce}, ""},
		"what is neither":        {stream.Config{Guarantee: 7}, "Guarantee = 7: choose AtLeastOnce or ExactlyOnce"},
		"a timeout of nothing":   {stream.Config{TransactionTimeout: time.Minute}, "TransactionTimeout = 1m0s without Guarantee"},
		"commits that are rare":  {stream.Config{Guarantee: stream.ExactlyOnce, CommitInterval: 31 * time.Second}, "CommitInterval = 31s with TransactionTimeout = 1m0s"},
		"calls that are long":    {stream.Config{Guarantee: stream.ExactlyOnce, CallTimeout: time.Minute}, "CallTimeout = 1m0s with TransactionTimeout = 1m0s"},
		"a timeout for the rare": {stream.Config{Guarantee: stream.ExactlyOnce, CommitInterval: 31 * time.Second, TransactionTimeout: 2 * time.Minute}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tc.cfg.ApplicationID, tc.cfg.Brokers = "app", []string{"localhost:9092"}
			err := tc.cfg.Validate()
			switch {
			case tc.want == "" && err != nil:
				t.Error(err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("%v, want %s", err, tc.want)
			}
		})
	}
}
