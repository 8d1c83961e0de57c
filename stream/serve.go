package stream

import (
	"context"

	"github.com/oxbow-streams/oxbow/internal/engine"
)

// serve starts the endpoints for metrics and health, if there is an address for them. stop ends them.
func (a *App) serve(ctx context.Context, app *engine.App) (stop func() error, err error) {
	return func() error { return nil }, nil
}
