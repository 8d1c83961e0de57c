// Package dlq sets aside the records that a topology cannot process.
//
// A unit (an input record, a due emission, a punctuation) fails in a [Stage]. Its [Failure] has a [Class], the [Policy] of the
// node, the topic or the app turns class and attempt into an [Action], and a record that is set aside becomes a letter: the
// record as it was, with headers that say what happened.
//
// # Guarantees
//
//	L1  Trouble of the infrastructure (broker, network, disk) is never a dead letter. Only a [*Failure] reaches a policy.
//	L2  A letter has key, value, timestamp and original headers of the failed record byte for byte and in order. Headers of
//	    an earlier failure of the same record are replaced, and its counters carried on.
//	L3  A letter's own headers stay within [HeaderBudget]. Whatever the size of message, stack or path, a letter cannot fail
//	    for its own headers: first the stack goes, then the message is cut, then the rest.
//	L4  The id of a letter depends on what failed alone (app, coordinates, node, sequence): the same failure after a
//	    restart has the same id.
//	L5  Deciding is a pure function: time and chance are arguments.
//
// The package writes nothing: its caller appends the letter to the commit that the failed unit belongs to.
package dlq
