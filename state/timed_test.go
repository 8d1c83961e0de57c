package state_test

import (
	"testing"

	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/memstore"
	"github.com/oxbow-streams/oxbow/state/storetest"
)

func TestTimedAgainstModel(t *testing.T) {
	place := func() storetest.Place {
		return storetest.Place{Open: func() (state.Engine, error) { return memstore.New(), nil }}
	}
	t.Run("roomy", func(t *testing.T) {
		storetest.Stores(t, place, func() *state.Budget { return state.NewBudget(0, 0, 0) })
	})
	t.Run("tight", func(t *testing.T) {
		state.LoadMost(t, 2)
		storetest.Stores(t, place, func() *state.Budget {
			b := state.NewBudget(0, 0, 1)
			b.KeepLeast(3)
			return b
		})
	})
}
