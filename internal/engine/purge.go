package engine

import (
	"context"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// purgeInterval is how often the records of repartition topics are deleted that have been processed and committed. These topics have no
// retention of their own: what is not processed must not be lost by age.
const purgeInterval = 30 * time.Second

// purge deletes what is committed of the repartition topics that tasks here read. What it fails to delete is deleted the next time.
func (a *App) purge(ctx context.Context) {
	topics := map[string]bool{}
	for _, t := range a.cfg.Topology.Internals {
		topics[t.Topic] = true
	}
	if len(topics) == 0 {
		return
	}
	tick := time.NewTicker(purgeInterval)
	defer tick.Stop()
	done := map[record.TopicPartition]int64{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			a.purgeOnce(ctx, topics, done)
		}
	}
}

// purgeOnce deletes once. done holds how far each partition was purged.
func (a *App) purgeOnce(ctx context.Context, topics map[string]bool, done map[record.TopicPartition]int64) {
	before := map[record.TopicPartition]int64{}
	for _, w := range a.Snapshot().Workers {
		for _, t := range w.Tasks {
			for _, in := range t.Inputs {
				if t.State == taskStates[taskRunning] && topics[in.TP.Topic] && in.Committed > done[in.TP] {
					before[in.TP] = in.Committed
				}
			}
		}
	}
	if len(before) == 0 {
		return
	}
	purged, err := a.client.DeleteRecords(ctx, before)
	for tp := range purged {
		done[tp] = before[tp]
	}
	if err != nil && ctx.Err() == nil {
		a.log.Warn("processed records of repartition topics are not deleted, which takes room: grant DELETE on them", "err", err)
	}
}
