package topology

// Global is the store of a global table: every instance of the application reads all partitions of its topic into a store of
// its own, which all its tasks read.
//
// Its sub-topology has a number as the others have, but makes no tasks: it reads no topic of [Sub.Topics] and writes none. It is
// instantiated once per instance, with [Topology.Instantiate], by the one writer that the store has: that feeds the records of
// Topic to [Instance.Source], each in a unit, and commits the store as a task does. The store is not logged, since it is filled
// from its topic from the beginning. Tasks read it, through [node.Task.Globals], as it is committed.
type Global struct {
	Topic string // real name
	Sub   *Sub   // a source and a table
	Store *Store
}
