// Package pebblestore is the engine on disk: one Pebble database per app instance, in which tasks and stores are prefixes
// of keys.
//
// # Guarantees
//
//	D1  A commit is one Pebble batch with its offsets in it: it is there whole or not at all, always.
//	D2  After kill -9 and after power loss alike, the reopened engine holds for each task a prefix of its commits, and
//	    with each store the offset that belongs to that prefix. The write-ahead log is off, since the changelog is the
//	    log: what a crash takes away are the last commits since a flush, and restore reads them again from the offset.
//	D3  What Flush and Close have returned from is durable, against power loss too (files, manifest and directories are
//	    synced). Committed state is flushed at least every Options.FlushEvery (60 s), so a crash costs no more than
//	    that much of the changelog. Kill -9 loses no more than power loss and, as unwritten memtables are memory of the
//	    process, hardly less.
//	D4  An ingest is one atomic change too: rows and offset become visible together. It comes after all earlier commits of
//	    its store, on disk as well. Rows of other stores that were committed before it may be lost by a crash that it
//	    survives; their offsets tell so.
//	D5  The name of a store and its number are durable before the first key with that number is written.
//	D6  Trouble of the disk is a *state.EngineError with coordinates, in bounded time: at once where Pebble says what is
//	    wrong, else after Options.StuckAfter. It never exits the process and never panics. From then on the engine is
//	    failed: every call returns that error, and nothing more is written to the disk (D2 holds for what is there).
//	    After Close it may be opened again. If the manifest could not be written, Pebble is stopped where it stands, and
//	    its memory is not given back before the process ends.
//	D7  Bits that have changed on disk are found by checksums when they are read: state.TroubleCorrupt, never a wrong
//	    value. The owner then removes the state with [Remove] and restores from the changelogs.
//	D8  One owner: a second engine over the same directory, in any process, is refused with state.TroubleLocked.
//	D9  Directories are 0700 and files 0600. Only the checked name of the application becomes a path, below Options.Dir, and
//	    a symbolic link in its place is refused. Task and store names never become paths.
//	D10 State of a newer format, or of another application, is refused with state.TroubleFormat and left as it is.
//
// # What it does not do
//
// It holds no uncommitted writes and caches no decoded values (package state does), does not decide when state is too old
// to be resumed (its broker time is stored with the offset), and does not repair what is corrupt.
package pebblestore
