// Package memstore is an engine in memory: for tests, for the driver of topologies, and where there is no disk.
//
// # Guarantees
//
//	M1  A commit, an ingest and a wipe are seen whole or not at all, by every reader.
//	M2  An iterator sees the store as of its opening, whatever is committed meanwhile.
//	M3  Reads take no lock and may come from any goroutine. Commits of different tasks do not wait for each other.
//	M4  Nothing outlives Close: an engine that is opened anew is empty, and its tasks restore from their changelogs.
//
// It bounds no memory: the state of all tasks is held as it is.
package memstore
