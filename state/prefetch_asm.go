//go:build amd64 || arm64

package state

// prefetch asks the processor for the first n cache lines, and does not wait for them: a load would, as soon as the processor
// has looked as far ahead as it can.
//
//go:noescape
func prefetch(want *lines, n int)
