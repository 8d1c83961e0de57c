// Package dlq sets aside the records that a topology cannot process.
package dlq
