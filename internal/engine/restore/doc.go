// Package restore brings the stores of tasks up to the ends of their changelogs.
//
//	m := restore.New(client, restore.Config{...})
//	go m.Run(ctx)                                  // owns the fetcher; ends with ctx
//	offsets, err := m.Restore(ctx, task, stores)   // one call per new task, on a goroutine of its own; ctx cancels it
//
// A [journey] decides, for one store: where to begin, when to wipe, when it has arrived. It is a plain machine. Restore
// carries out what it asks for: it lists offsets, wipes, reads with a fetcher that restores only, and feeds
// [state.Restorer].
//
// # Guarantees
//
//	R1  When Restore returns without an error, each store is the fold of its changelog up to the high watermark at the time
//	    of the call, or beyond, and the offset stored with it says so. It was stored in one piece with the data.
//	R2  A restore goes on from the offset in the engine. One that is cancelled or fails leaves the engine at an earlier
//	    offset of the same changelog, from which the next one goes on.
//	R3  A store is wiped, and restored from the start of its changelog, if and only if what it holds can no longer be
//	    completed: its offset lies before the log's start or after its end, or there is something to read and the state is
//	    older than half the changelog's delete.retention.ms, so that deletions may be gone. The wipe is one commit. A crash
//	    is no reason.
//	R4  The fetcher is its own, and so is the memory: running tasks wait for nothing here. Memory is bounded by
//	    Config.Memory, plus one answer per broker, for any number of tasks: at most Config.Parallel stores are read at a
//	    time, the others wait.
//	R5  Gaps of compaction, empty batches, markers and aborted transactions advance a restore like records do; a leader that
//	    moves does not disturb it; a log that got shorter meanwhile begins it anew.
//	R6  An error is an *[Error] with task, store and coordinates. Nothing is skipped.
//
// # Broker times
//
// The stored broker time is the one at which the state was known to be complete up to its offset: when the high watermark
// was taken. An offset stored on the way keeps the time at which the state that it goes on from was complete: only at the end
// have all deletions been seen. Times are the caller's clock ([Config].Now). 0 is unknown, and never too old.
//
// The package does not decide when a task may run, keeps no standby up to date, and restores no store from a source topic.
package restore
