// Package integration proves that the whole holds: applications on brokers that are real or as good as, processes that are
// killed, instances that come and go. Its tests use the public API, as a user would; what they read back, they read with
// another client.
//
// Lanes, variables and how to add a scenario are in docs/testing.md.
package integration
