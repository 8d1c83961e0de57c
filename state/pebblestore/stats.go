package pebblestore

import "github.com/oxbow-streams/oxbow/state"

// Stats implements [state.Measured].
func (e *Engine) Stats() state.EngineStats {
	s := state.EngineStats{IngestedTables: e.IngestedTables()}
	if e.gate.enter() != nil {
		return s
	}
	defer e.gate.leave()
	m := e.db.Metrics()
	s.DiskBytes, s.MemtableBytes = int64(m.DiskSpaceUsage()), int64(m.MemTable.Size)
	s.CompactionDebt = int64(m.Compact.EstimatedDebt)
	return s
}

var _ state.Measured = (*Engine)(nil)
