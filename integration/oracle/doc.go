// Package oracle holds the operators against a plain sequential model of them.
//
// A [Program] is a topology as data. The tests generate random ones, build them with the DSL, run them in the test driver, and
// compare what came out with what a [Model] says: outputs, dead letters, tables, counts.
//
//	O1  The model is written from the rules of the operators (what Kafka Streams does, and what a unit is), not from their code:
//	    no store, no cache, no buffer, no goroutine. It imports nothing of the library.
//	O2  What the model and the program share is the user's functions, which are pure.
//	O3  The model takes internal topics in the driver's order: first in, first out, what one record wrote to one topic together.
//	O4  A record that fails leaves a letter and nothing else.
package oracle
