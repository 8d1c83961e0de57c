//go:build !js

package stream

import (
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/pebblestore"
)

// openState opens the engine of the stores on disk.
func (a *App) openState() (state.Engine, error) {
	dir, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	return pebblestore.Open(pebblestore.Options{Dir: dir, Name: a.cfg.ApplicationID, Log: a.cfg.Logger})
}
