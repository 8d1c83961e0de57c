// Package storetest is the conformance suite of engines: what [state.Engine] promises, as tests that every engine runs.
//
//	S1  Random operations give what a sorted map gives: set, delete, delete range, offsets, commit, discard, ingest, wipe,
//	    get, iteration with bounds both ways, tasks, flush, reopen, over all kinds of store.
//	S2  An iterator shows the store as of its opening, whatever is committed while it is open.
//	S3  Other goroutines see a commit, an ingest and a wipe whole or not at all.
//	S4  Misuse (foreign stores, short keys, keys out of order, spent batches, closed spaces) is an error that says what is
//	    wrong, and changes nothing.
//
// [Stores] is the suite of window, session and join stores over an engine: random operations, with units undone, commits, resets,
// restores and expiry, give what a plain map gives.
//
// Crashes, full disks and corruption concern engines with a disk and are tested beside them.
package storetest
