// Package seeds says which seeds a seeded test tries. Only tests import it.
//
//	S1  OXBOW_SEED is the one seed to try, as a failure has printed it.
//	S2  Else OXBOW_SEEDS says how many to try, or the test does, which then tries fewer when the race detector or -short is on.
//	S3  They follow each other from one on that depends on OXBOW_SEED_BASE and the test's name, so that a run with the same base
//	    can be repeated. Without a base that one is fresh.
//	S4  The seeds are logged.
//
// Tests with rapid do not need it: rapid reads RAPID_SEED and prints the seed of what fails.
package seeds
