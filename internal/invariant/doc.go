// Package invariant holds checks that run in test builds (with the race detector on) and cost nothing otherwise.
//
// A check guards against a mistake in Oxbow itself. What can go wrong in the world (input, disk, broker) is an
// error with coordinates, never a check of this package.
package invariant

import "fmt"

// Check panics in test builds when ok is false. Production builds do not look.
//
// Guard costly conditions and arguments by `if invariant.Enabled`.
func Check(ok bool, format string, args ...any) {
	if Enabled && !ok {
		panic("invariant violated: " + fmt.Sprintf(format, args...))
	}
}
