package engine

import (
	"context"

	"github.com/oxbow-streams/oxbow/internal/engine/restore"
	"github.com/oxbow-streams/oxbow/internal/record"
)

func newRestores(a *App) *restore.Manager {
	return restore.New(a.client, restore.Config{Memory: a.cfg.RestoreBytes, Fetch: a.cfg.Fetch, Now: a.nowMs, Logger: a.log})
}

// restore brings the stores of a task up to the ends of their changelogs. It returns the offsets that these have, in the
// order of the stores; a store without a changelog keeps what it had. start is where the task begins to read its inputs.
func (a *App) restore(ctx context.Context, id record.TaskID, stores []TaskStore, start map[record.TopicPartition]int64) (
	[]int64, error) {
	ends := make([]int64, len(stores))
	var logged []restore.Store
	var at []int // index among stores
	for i := range stores {
		s := &stores[i]
		ends[i] = s.Next
		if s.Changelog == "" {
			continue
		}
		limits, err := a.topics.Load().limitsOf(s.Changelog)
		if err != nil {
			return nil, err
		}
		if s.Source && id.Partition >= limits.Partitions { // another topic of the sub-topology has more
			continue
		}
		at = append(at, i)
		log := record.TopicPartition{Topic: s.Changelog, Partition: id.Partition}
		logged = append(logged, restore.Store{Name: s.Store.Name(), Spec: &s.Spec, Space: s.Space, Engine: s.Engine,
			Changelog: log, DeleteRetention: limits.DeleteRetention, Source: s.Source, To: start[log]})
	}
	if len(logged) == 0 {
		return ends, nil
	}
	reached, err := a.restores.Restore(ctx, id, logged)
	if err != nil {
		return nil, err
	}
	for i, o := range reached {
		ends[at[i]] = o.Changelog
	}
	return ends, nil
}
