package engine

import (
	"context"
	"time"

	"github.com/oxbow-streams/oxbow/internal/kafka"
)

// electionWait is how long a start waits for topics that are there but have no leader at the moment.
const electionWait = 30 * time.Second

// ask asks the cluster about topics. An answer that passes by itself, as while a leader is elected, is waited for; one that
// does not is in the Err of its topic.
func (b *topicBook) ask(ctx context.Context, names ...string) (map[string]kafka.TopicInfo, error) {
	pause := 50 * time.Millisecond
	for end := time.Now().Add(electionWait); ; {
		found, err := b.client.Topics(ctx, names...)
		if err != nil || time.Now().After(end) || !electing(found, names) {
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

// electing tells whether one of the topics that were asked for has trouble that passes.
func electing(found map[string]kafka.TopicInfo, names []string) bool {
	for _, name := range names {
		if err := found[name].Err; err != nil && !kafka.IsMissing(err) && kafka.Retriable(err) {
			return true
		}
	}
	return false
}
