//go:build race

package invariant

// Enabled tells whether checks run.
const Enabled = true
