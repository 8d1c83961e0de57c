package kafka

import "github.com/oxbow-streams/oxbow/internal/seeds"

// traceTail is how many lines of a failed world are shown.
func traceTail() int {
	if seeds.Alone() {
		return 100000 // asked for
	}
	return 60
}
