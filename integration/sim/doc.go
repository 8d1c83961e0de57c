// Package sim runs whole applications and a cluster of three brokers in one testing/synctest bubble, over connections in
// memory and in virtual time, with faults chosen by a seed.
//
//	OXBOW_SEED=7 OXBOW_SEEDS=1 go test ./integration/sim
//
// The seed fixes what is done and when in virtual time; which goroutine runs first at one instant is the scheduler's choice.
package sim
