package streamtest

import (
	"github.com/oxbow-streams/oxbow/internal/engine"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/topology"
)

var _ stream.Queryable = (*Driver)(nil)

// Topology returns the compiled program.
func (d *Driver) Topology() *topology.Topology { return d.topo }

// Queries lets [stream.Query] and its like read what the program has committed: after each record, and after a batch.
func (d *Driver) Queries() *engine.Queries { return d.queries }

// residents are the driver's tasks: one for each sub-topology, always there.
type residents struct{ d *Driver }

func (r residents) Resident(id record.TaskID) (engine.Resident, bool) {
	return engine.Resident{}, int(id.Sub) < len(r.d.topo.Subs) && id.Partition == 0
}

func (r residents) Tasks(int32) int32 { return 1 }

func (r residents) Running() error { return nil }
