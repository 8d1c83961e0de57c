// Package engine runs tasks: it takes batches in, runs units, and commits.
//
// Everything that decides is a plain state machine without goroutine, clock or socket: [Task] runs units, [Out] collects
// what they send, [Worker] owns tasks and brings commits to their end by events and actions. The goroutines of this package
// feed these machines and carry out what they ask for; the test driver and the core tests drive the same machines.
//
// # Guarantees
//
//	E1  A unit succeeds whole or leaves nothing: after a failure the stores, outputs, operator clocks and timers of its task
//	    are as before it. What becomes of the record then is its policy's choice; a dead letter goes out with the commit
//	    that passes the record.
//	E2  A commit makes durable, in this order: rows that wait in emission buffers go downstream; dirty keys go to the
//	    changelog; every output is acknowledged; the engine batch of each task, with its changelog offsets, is committed;
//	    the input offsets are committed. No step begins before the one before it is confirmed. Exactly once, outputs, changelog
//	    and offsets are one transaction (E12).
//	E3  While a commit waits for acknowledgements its tasks go on working. What they change then belongs to the next commit.
//	E4  Offsets committed for a partition never pass a record whose unit has not ended (completed, dead-lettered, skipped).
//	E5  A task that is revoked is committed before its partitions are given up. A task that is lost commits nothing any more.
//	E6  A task that waits for a retry, for acknowledgements or for a restore holds up no other task.
//	E7  consumed = completed + dead-lettered + skipped + retrying (+ what waits in inboxes), for each task, at all times.
//	    Emissions and rows are no records: they have counters of their own.
//	E8  What a record makes due is a unit inside the record's. If it fails it alone is undone, and its policy decides under its
//	    own coordinates and attempts: set aside or skipped, it is over, and the record goes on without blame; retried, the
//	    record is undone with it and runs again in its turn (P3); failed, the task stops. Its dead letter is part of the record's
//	    output: it is written once, with the run of the record that succeeds. If the record itself is set aside, so that
//	    nothing of it remains, neither do its emissions nor their letters: all is back in its buffer, and what was due is due
//	    again with the next record.
//	E9  The time that an operator keeps is undone with the unit, committed with the offsets, and goes on from there after a
//	    restart or when the task begins anew.
//	E10 A global store is written by one worker of its own, which reads all partitions of its topic; where it is is stored with
//	    the state. No task runs before every global store holds what its topic held at the start.
//	E11 Queries see committed state and nothing else, hold up no task, and are over before the state is closed.
//	E12 Exactly once, what the tasks of a worker send, their changelogs and their offsets are one transaction, and their state is
//	    committed when it is known to be committed (X1 to X4 in transaction.go). If it is aborted, its tasks go on from the last
//	    commit as if it had not been.
//
// What the package does not do: it knows no operator and no serde; standbys come later.
package engine
