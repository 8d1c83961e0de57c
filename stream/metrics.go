package stream

import (
	"strconv"
	"time"

	"github.com/oxbow-streams/oxbow/internal/engine"
	"github.com/oxbow-streams/oxbow/internal/metrics"
	"github.com/oxbow-streams/oxbow/internal/node"
)

// metricsOf turns what an application has counted into metrics, once per scrape.
type metricsOf struct{ a *App }

var allStates = []State{Created, Rebalancing, Running, PendingShutdown, NotRunning, Errored}

// dropReasons are the labels of node.Drop.
var dropReasons = [node.NumDrops]string{node.DropNullKey: "null_key", node.DropNullValue: "null_value", node.DropLate: "late",
	node.DropExpired: "expired", node.DropNullJoinKey: "null_join_key", node.DropTimestamp: "timestamp"}

// Metrics implements metrics.Source.
func (m metricsOf) Metrics() *metrics.Snapshot {
	s := new(metrics.Snapshot)
	now, shot := m.a.State(), m.a.Stats()
	s.Add(metrics.Info, 1, m.a.cfg.ApplicationID, m.a.cfg.Version, m.a.topo.Hash())
	for _, st := range allStates {
		s.Add(metrics.AppState, one(st == now), st.String())
	}
	s.Add(metrics.Rebalances, float64(shot.Rebalances))
	s.Add(metrics.ProducerBufferedBytes, float64(shot.BufferedBytes))
	sum := shot.Sum()
	s.Add(metrics.Consumed, float64(sum.Consumed))
	s.Add(metrics.Completed, float64(sum.Completed))
	s.Add(metrics.DeadLettered, float64(sum.DeadLettered))
	s.Add(metrics.Skipped, float64(sum.Skipped))
	s.Add(metrics.RetryPending, float64(sum.Retrying))
	for _, state := range []string{"restoring", "running", "releasing"} {
		s.Add(metrics.Tasks, 0, state)
	}
	for _, w := range shot.Workers {
		s.Add(metrics.Commits, float64(w.Commits), "ok")
		s.Add(metrics.Commits, float64(w.CommitFail), "failed")
		for _, t := range w.Tasks {
			addTask(s, t)
		}
	}
	return s
}

func addTask(s *metrics.Snapshot, t engine.TaskSnapshot) {
	s.Add(metrics.Tasks, 1, t.State)
	for _, in := range t.Inputs {
		topic, partition := in.TP.Topic, strconv.Itoa(int(in.TP.Partition))
		s.Add(metrics.BufferedBytes, float64(in.Bytes))
		if in.End >= 0 {
			s.Add(metrics.SourceLagRecords, float64(max(in.End-in.Position, 0)), topic, partition)
		}
		if in.Time >= 0 {
			s.Add(metrics.SourceLagSeconds, time.Since(time.UnixMilli(in.Time)).Seconds(), topic, partition)
		}
	}
	for _, n := range t.Nodes {
		s.Add(metrics.NodeRecords, float64(n.Stats.In), n.Name)
		for reason, count := range n.Stats.Dropped {
			if count > 0 {
				s.Add(metrics.RecordsDropped, float64(count), n.Name, dropReasons[reason])
			}
		}
	}
	for _, st := range t.Stores {
		s.Add(metrics.StoreDirtyBytes, float64(st.DirtyBytes), st.Name)
	}
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
