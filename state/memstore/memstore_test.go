package memstore

import (
	"testing"

	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/storetest"
)

func TestEngine(t *testing.T) {
	storetest.Engine(t, func() storetest.Place {
		return storetest.Place{Open: func() (state.Engine, error) { return New(), nil }}
	})
}

func TestSubscriptions(t *testing.T) {
	storetest.Subscriptions(t, func() storetest.Place {
		return storetest.Place{Open: func() (state.Engine, error) { return New(), nil }}
	})
}

func TestBuffer(t *testing.T) {
	storetest.Buffer(t, func() storetest.Place {
		return storetest.Place{Open: func() (state.Engine, error) { return New(), nil }}
	})
}

func TestUnmatched(t *testing.T) {
	storetest.Unmatched(t, func() storetest.Place {
		return storetest.Place{Open: func() (state.Engine, error) { return New(), nil }}
	})
}

func TestStores(t *testing.T) {
	storetest.Stores(t, func() storetest.Place {
		return storetest.Place{Open: func() (state.Engine, error) { return New(), nil }}
	}, nil)
}
