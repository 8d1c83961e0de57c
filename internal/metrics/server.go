package metrics

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Health answers the checks of an orchestrator. nil is well; the text of an error is shown.
type Health interface {
	Live() error    // a worker that makes no progress although it has work is an error
	Ready() error   // the app is not RUNNING
	Started() error // the app has not been RUNNING yet
}

// Handler serves /metrics, /livez, /readyz and /startupz.
func Handler(s Source, h Health) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(NewCollector(s))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	for path, check := range map[string]func() error{"/livez": h.Live, "/readyz": h.Ready, "/startupz": h.Started} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			if err := check(); err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
			fmt.Fprintln(w, "ok")
		})
	}
	return mux
}

// Listen opens the address for [Serve]. Without a host it is loopback; any other interface needs a token (M5).
func Listen(addr, token string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("MetricsAddr %q: %w; want host:port, as in localhost:9464", addr, err)
	}
	if host == "" {
		host = "localhost"
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) && token == "" {
		return nil, fmt.Errorf("MetricsAddr %q is reachable from other machines: set MetricsToken, or use localhost:%s", addr, port)
	}
	return net.Listen("tcp", net.JoinHostPort(host, port))
}

// Serve answers requests on l until ctx ends. With a token each request must bring it as "Authorization: Bearer <token>".
func Serve(ctx context.Context, l net.Listener, token string, h http.Handler) error {
	if token != "" {
		h = bearer(token, h)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second,
		MaxHeaderBytes: 64 << 10}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		grace, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			srv.Close()
		}
	})
	err := srv.Serve(l)
	if !stop() {
		<-done
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("metrics endpoint %s: %w", l.Addr(), err)
}

func bearer(token string, next http.Handler) http.Handler {
	want := []byte("Bearer " + token)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), want) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "a token is needed", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}
