//go:build !amd64 && !arm64

package state

// prefetch is left out where the processor has no such instruction, or none that is used here.
func prefetch(*lines, int) {}
