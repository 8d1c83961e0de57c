// Package kafkatest is a network in memory for tests, with faults: connections that are cut, refused, slow or silent.
//
// It works inside a testing/synctest bubble (everything blocks on mutexes, conditions and timers only) and outside of
// one. kfake gets [Network.Listen] through kfake.ListenFn, a client gets [Network.Dial] through its Config.
//
// # Guarantees
//
//	T1  Bytes arrive in order, once, or the connection ends: it is TCP, not UDP.
//	T2  A cut is seen by both sides: pending reads end with EOF at once, later writes fail.
//	T3  A connection in memory holds at most 1 MiB per direction; a writer then waits, as with a full socket buffer.
package kafkatest
