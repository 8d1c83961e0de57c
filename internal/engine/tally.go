package engine

import (
	"maps"

	"github.com/oxbow-streams/oxbow/internal/metrics"
	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// Tally is what the tasks of a worker have counted that is not per task: it outlives them, so that no counter goes back when
// a task moves away. It is touched once per run of a task, per acknowledgement, per failure; never per record. It belongs to
// the worker's goroutine.
type Tally struct {
	Errors      map[ErrorKey]int64
	Letters     map[LetterKey]int64
	LetterBytes int64
	Retries     map[string]int64 // by node
	LastError   int64            // wall time, ms; 0: none
	Inputs      map[record.TopicPartition]Amount
	Outputs     map[string]Amount            // acknowledged, by topic
	Latency     map[string]metrics.Histogram // by topic
	Lateness    metrics.Histogram
	Commit      metrics.Histogram
	Nodes       map[string]node.Stats // of closed tasks
	Loads       map[string]int64      // of closed tasks' stores
}

// ErrorKey says where an attempt failed and what became of it.
type ErrorKey struct{ Stage, Node, Class, Action string }

// LetterKey says where what was dead-lettered had failed.
type LetterKey struct{ Node, Stage string }

// Amount is of records.
type Amount struct{ Records, Bytes int64 }

func newTally() *Tally {
	return &Tally{Errors: map[ErrorKey]int64{}, Letters: map[LetterKey]int64{}, Retries: map[string]int64{},
		Inputs: map[record.TopicPartition]Amount{}, Outputs: map[string]Amount{}, Latency: map[string]metrics.Histogram{},
		Nodes: map[string]node.Stats{}, Loads: map[string]int64{}}
}

// clone copies t for another goroutine.
func (t *Tally) clone() Tally {
	c := *t
	c.Errors, c.Letters, c.Retries = maps.Clone(t.Errors), maps.Clone(t.Letters), maps.Clone(t.Retries)
	c.Inputs, c.Outputs, c.Latency = maps.Clone(t.Inputs), maps.Clone(t.Outputs), maps.Clone(t.Latency)
	c.Nodes, c.Loads = maps.Clone(t.Nodes), maps.Clone(t.Loads)
	return c
}

// ran notes what a run of task t has done, by the last record read of each input: time is sampled,
// records are counted.
func (y *Tally) ran(t *Task, now int64) {
	if len(t.inputs) == 1 {
		t.inputs[0].ran = int64(t.n)
	}
	for _, p := range t.inputs {
		if p.ran == 0 && p.used == 0 {
			continue
		}
		a := y.Inputs[p.tp]
		y.Inputs[p.tp] = Amount{a.Records + p.ran, a.Bytes + p.used}
		if p.ran > 0 && p.headErr == nil && p.headTime >= 0 {
			h := y.Latency[p.tp.Topic]
			h.Observe(float64(now-p.headTime) / 1000)
			y.Latency[p.tp.Topic] = h
			y.Lateness.Observe(float64(t.node.StreamTime-p.headTime) / 1000)
		}
		p.ran, p.used = 0, 0
	}
}

// closed keeps what a task's nodes and stores have counted.
func (y *Tally) closed(t *Task) {
	for _, info := range t.prog.Infos {
		if info != nil && info.Stats != nil {
			s := y.Nodes[info.Name]
			s.In += info.Stats.In
			s.Failed += info.Stats.Failed
			for i, n := range info.Stats.Dropped {
				s.Dropped[i] += n
			}
			y.Nodes[info.Name] = s
		}
	}
	for _, s := range t.prog.Stores {
		y.Loads[s.Store.Name()] += storeStats(s.Store).Loads
	}
}

func storeStats(s state.Store) state.StoreStats {
	if m, ok := s.(interface{ Stats() state.StoreStats }); ok {
		return m.Stats()
	}
	return state.StoreStats{}
}
