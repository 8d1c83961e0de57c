package engine

import (
	"context"
	"time"

	"github.com/oxbow-streams/oxbow/internal/kafka"
)

// electionWait is how long a start waits for topics that are there but have no leader at the moment.
const electionWait = 30 * time.Second

// patientClient is a client for a start: an answer that passes by itself, as while a leader is elected, is waited for; one
// that does not is in the Err of its topic.
type patientClient struct {
	*kafka.Client
	reads func(topic string) bool // whether the program does
}

// Topics is [kafka.Client.Topics]. When all topics are asked for, only those that the program reads are waited for.
func (c patientClient) Topics(ctx context.Context, names ...string) (map[string]kafka.TopicInfo, error) {
	pause := 50 * time.Millisecond
	for end := time.Now().Add(electionWait); ; {
		found, err := c.Client.Topics(ctx, names...)
		if err != nil || time.Now().After(end) || !c.electing(found, len(names) == 0) {
			return found, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(pause):
			pause = min(2*pause, time.Second)
		}
	}
}

// electing tells whether one of the topics has trouble that passes.
func (c patientClient) electing(found map[string]kafka.TopicInfo, all bool) bool {
	for name, info := range found {
		if err := info.Err; err != nil && !kafka.IsMissing(err) && kafka.Retriable(err) && (!all || c.reads(name)) {
			return true
		}
	}
	return false
}
