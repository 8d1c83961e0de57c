package stream

import (
	"context"
	"errors"
	"net/http"

	"github.com/oxbow-streams/oxbow/internal/engine"
	"github.com/oxbow-streams/oxbow/internal/metrics"
)

// Collector is a prometheus.Collector.
type Collector = metrics.Collector

// serve starts the endpoints for metrics and health, if there is an address for them. stop ends them.
func (a *App) serve(ctx context.Context, app *engine.App) (stop func() error, err error) {
	if a.cfg.MetricsAddr == "" {
		return func() error { return nil }, nil
	}
	l, err := metrics.Listen(a.cfg.MetricsAddr, a.cfg.MetricsToken)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.metricsAddr = l.Addr().String()
	a.mu.Unlock()
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // health is asked while the app shuts down, too
	ended := make(chan error, 1)
	go func() { ended <- metrics.Serve(ctx, l, a.cfg.MetricsToken, a.Handler()) }()
	return func() error {
		cancel()
		return <-ended
	}, nil
}

// MetricsAddr is where metrics and health are served, as host:port; empty before [App.Run] and without [Config.MetricsAddr].
func (a *App) MetricsAddr() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.metricsAddr
}

// Collector returns the application's metrics for a registry of the user's own: a prometheus.Collector.
func (a *App) Collector() Collector { return metrics.NewCollector(metricsOf{a}) }

// Handler serves /metrics, /livez, /readyz and /startupz, for a server of the user's own.
func (a *App) Handler() http.Handler { return metrics.Handler(metricsOf{a}, health{a}) }

// health answers before the application runs, too.
type health struct{ a *App }

func (h health) Live() error {
	if app := h.a.running(); app != nil {
		return app.Live()
	}
	return nil
}

func (h health) Ready() error {
	if app := h.a.running(); app != nil {
		return app.Ready()
	}
	return errNotRun
}

func (h health) Started() error {
	if app := h.a.running(); app != nil {
		return app.Started()
	}
	return errNotRun
}

var errNotRun = errors.New("CREATED: the application does not run yet")
