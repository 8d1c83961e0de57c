// Package conformance runs Kafka Streams' own cases against Oxbow.
//
// A case is data: a program in the closed vocabulary of testdata/cases/PROGRAM.md, inputs, and what came out of Kafka Streams.
// The runner builds each case from its program alone. It knows no case by name.
//
//	C1  An op, field, function or processor that the runner does not know fails the case.
//	C2  Nothing is skipped: cases of the level legacy are counted and named.
//	C3  A case with the record cache "either" runs with it on and off.
//	C4  Fewer cases than the files hold is a failure.
package conformance
