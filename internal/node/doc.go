// Package node holds the operators that a compiled topology is made of.
//
// # Contract
//
//	N1  A record's way through a sub-topology is one call stack on one goroutine: each node calls the ones after it,
//	    in the order in which they were attached, the whole of the first before the second.
//	N2  A node that gets an error from a node after it returns it unchanged and does nothing more. A *dlq.Failure fails
//	    the unit (its effects are undone by the task); any other error is trouble of the infrastructure.
//	N3  A Rec belongs to the node that filled it. Who receives it neither writes to it nor keeps it: the same Rec goes to
//	    every child.
//	N4  Everything a node changes beyond its own call (store, output, operator clock, timer) has an undo log that takes
//	    part in [Task.Units].
//	N5  Types, next nodes, stores and serdes are resolved when a task is instantiated. Per record there is no map by name,
//	    no interface holding a key or value, no clock, no log.
//	N6  Before a node calls a user's function it sets [Task.At] to itself, so that a panic has a place.
//	N7  What a record makes due beside its own results goes through [Task.Emit]: it fails alone.
//
// The package starts no goroutine and knows no broker.
package node
