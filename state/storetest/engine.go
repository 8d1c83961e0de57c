package storetest

import (
	"testing"

	"github.com/oxbow-streams/oxbow/state"
)

// Place is where an engine keeps its state.
type Place struct {
	// Open opens the engine, again after it was closed.
	Open func() (state.Engine, error)
	// Durable tells whether state is there again after Close and Open.
	Durable bool
}

// Engine runs the suite. Each call of place gives a new, empty place.
func Engine(t *testing.T, place func() Place) {
	t.Run("Random", func(t *testing.T) { testRandom(t, place) })
	t.Run("Snapshot", func(t *testing.T) { testSnapshot(t, place) })
	t.Run("Visibility", func(t *testing.T) { testVisibility(t, place) })
	t.Run("Bounds", func(t *testing.T) { testBounds(t, place) })
	t.Run("Offsets", func(t *testing.T) { testOffsets(t, place) })
	t.Run("Ingest", func(t *testing.T) { testIngest(t, place) })
	t.Run("Wipe", func(t *testing.T) { testWipe(t, place) })
	t.Run("Kinds", func(t *testing.T) { testKinds(t, place) })
	t.Run("Misuse", func(t *testing.T) { testMisuse(t, place) })
	t.Run("Close", func(t *testing.T) { testClose(t, place) })
	t.Run("Reopen", func(t *testing.T) { testReopen(t, place) })
	t.Run("Versioned", func(t *testing.T) { testVersioned(t, place) })
}
