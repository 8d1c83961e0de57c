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
	node.DropExpired: "expired", node.DropNullJoinKey: "null_join_key", node.DropTimestamp: "timestamp",
	node.DropStale: "stale"}

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
	s.Add(metrics.Consumed, float64(sum.Consumed-sum.Retrying)) // a task that goes back takes up again what waited: no counter may
	s.Add(metrics.Completed, float64(sum.Completed))
	s.Add(metrics.DeadLettered, float64(sum.DeadLettered))
	s.Add(metrics.Skipped, float64(sum.Skipped))
	s.Add(metrics.RetryPending, float64(sum.Retrying))
	for _, state := range []string{"restoring", "running", "releasing"} {
		s.Add(metrics.Tasks, 0, state)
	}
	addEngine(s, shot)
	letters := m.a.cfg.DeadLetterTopic
	for _, w := range shot.Workers {
		addTally(s, &w.Tally, letters)
		for phase, d := range w.Phases {
			s.Add(metrics.WorkerTime, d.Seconds(), strconv.Itoa(w.ID), phase)
		}
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
		addNode(s, n.Name, n.Stats)
	}
	for _, st := range t.Stores {
		s.Add(metrics.StoreDirtyBytes, float64(st.DirtyBytes), st.Name)
		s.Add(metrics.StoreEntries, float64(st.Entries), st.Name)
		s.Add(metrics.CacheMisses, float64(st.Loads), st.Name)
	}
}

func addNode(s *metrics.Snapshot, name string, stats node.Stats) {
	s.Add(metrics.NodeRecords, float64(stats.In), name)
	for reason, count := range stats.Dropped {
		if count > 0 {
			s.Add(metrics.RecordsDropped, float64(count), name, dropReasons[reason])
		}
	}
}

// addTally adds what a worker's tasks have counted; letters is the topic of dead letters.
func addTally(s *metrics.Snapshot, y *engine.Tally, letters string) {
	for tp, n := range y.Inputs {
		partition := strconv.Itoa(int(tp.Partition))
		s.Add(metrics.SourceRecords, float64(n.Records), tp.Topic, partition)
		s.Add(metrics.SourceBytes, float64(n.Bytes), tp.Topic, partition)
	}
	for topic, n := range y.Outputs {
		s.Add(metrics.SinkRecords, float64(n.Records), topic)
		s.Add(metrics.SinkBytes, float64(n.Bytes), topic)
	}
	for topic, h := range y.Latency {
		s.AddHistogram(metrics.E2ELatency, h, topic)
	}
	s.AddHistogram(metrics.RecordLateness, y.Lateness)
	s.AddHistogram(metrics.CommitSeconds, y.Commit)
	for k, n := range y.Errors {
		s.Add(metrics.Errors, float64(n), k.Stage, k.Node, k.Class, k.Action)
	}
	for name, n := range y.Retries {
		s.Add(metrics.Retries, float64(n), name)
	}
	for k, n := range y.Letters {
		s.Add(metrics.DLQRecords, float64(n), letters, k.Node, k.Stage)
	}
	if letters != "" {
		s.Add(metrics.DLQBytes, float64(y.LetterBytes), letters)
	}
	for name, stats := range y.Nodes {
		addNode(s, name, stats)
	}
	for store, n := range y.Loads {
		s.Add(metrics.CacheMisses, float64(n), store)
	}
}

// addEngine adds what belongs to no worker: restores, what is on disk, when a unit failed last.
func addEngine(s *metrics.Snapshot, shot engine.Snapshot) {
	last := int64(0)
	for _, w := range shot.Workers {
		last = max(last, w.Tally.LastError)
	}
	s.Add(metrics.LastError, float64(last)/1000)
	for _, r := range shot.Restores {
		s.Add(metrics.RestoreRecords, float64(r.Records), r.Store)
		for partition, left := range r.Remaining {
			s.Add(metrics.RestoreRemaining, float64(left), r.Store, strconv.Itoa(int(partition)))
		}
	}
	if e := shot.Engine; e != nil {
		s.Add(metrics.EngineDiskBytes, float64(e.DiskBytes))
		s.Add(metrics.EngineMemtableBytes, float64(e.MemtableBytes))
		s.Add(metrics.EngineCompactionDebt, float64(e.CompactionDebt))
		s.Add(metrics.EngineIngestedTables, float64(e.IngestedTables))
	}
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
