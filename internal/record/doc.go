// Package record holds what every layer shares: records as they lie in a batch, headers, coordinates, absence, and
// the marks by which the effects of a unit are undone.
//
// # Rules
//
//	R1  A Raw is a view: Key, Value and Headers alias the buffer of the fetched batch. Who keeps them beyond the unit
//	    copies them.
//	R2  nil is null. An empty, non-nil slice is a value of zero bytes.
//	R3  Times are milliseconds since the epoch, as on the wire. Time is an argument: nothing here reads a clock.
//	R4  Headers are immutable. Append returns a new list and never writes into a shared buffer.
//	R5  What a unit changes has an undo log. A mark is an index into that log; at the start of an outermost unit every
//	    log is empty, so beginning a unit costs nothing and ending one costs only what was touched.
//
// The package knows no broker, no store and no operator.
package record
