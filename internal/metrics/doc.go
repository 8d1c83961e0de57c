// Package metrics turns what an app counts into Prometheus metrics, and answers health checks. It is the only importer of
// client_golang.
//
//	M1  Nothing here is on the record path: workers count in plain integers of their own and publish them once per batch; a
//	    scrape asks the app for a [Snapshot] and folds it.
//	M2  Names and labels are fixed in [Families] and held by a golden file: a change of a name breaks dashboards.
//	M3  Labels are bounded: topics, partitions, nodes, stores, tasks, stages, classes. Never keys, values, fingerprints.
//	M4  Nothing registers itself with Prometheus' global registry.
//	M5  The endpoints bind to loopback unless there is a token that every request must bring.
//	M6  Health does not depend on the broker: an app that waits for one is alive.
package metrics
