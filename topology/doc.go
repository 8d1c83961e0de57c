// Package topology is the compiled graph: nodes, sub-topologies, stores, internal topics, and their names.
//
// A [Graph] collects what a program says, step by step. [Graph.Build] compiles it into a [Topology], which a runtime
// instantiates once per task.
//
// # Guarantees
//
//	G1  Names of nodes, stores and internal topics, sub-topology numbers and the text of [Topology.Describe] are those that
//	    Kafka Streams (without optimisations) gives the same program.
//	G2  A step takes its numbers from one counter when it is called, also where the user names it: a name given to a step
//	    does not rename the ones after it.
//	G3  Build reports every fault it finds, each with file and line of the call at fault and the fix. It changes nothing in
//	    the graph: it may be called again.
//	G4  The children of a node are wired and called in the order in which the steps were written. A topology has no cycles:
//	    a step can only follow a step that exists.
//	G5  All that needs types is closed over in [Node.Wire]; the package holds no key and no value.
//
// The package does not run anything, creates no topic and opens no store.
package topology
