//go:build js

package stream

import (
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/memstore"
)

// openState keeps the stores in memory: a browser has no disk for them.
func (a *App) openState() (state.Engine, error) { return memstore.New(), nil }
