package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/segmentio/kafka-go/sasl"
)

// Config says which cluster to talk to and how. The zero value of every field but Brokers means its default.
type Config struct {
	// Brokers are addresses to begin with, as host:port. One that answers is enough; the rest is learned from it.
	Brokers []string
	// ClientID names this program in the brokers' logs and quotas. Default "oxbow".
	ClientID string
	// TLS, when set, is used for every connection. Its ServerName may stay empty: the address gives it.
	TLS *tls.Config
	// SASL, when set, authenticates every connection.
	SASL sasl.Mechanism
	// Dial opens a connection. Default: TCP with a timeout of 3 s.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Logger gets what no caller can be told. Default: slog.Default().
	Logger *slog.Logger

	// RequestTimeout bounds every request, the connection it may need included. Default 30 s. Requests at which the
	// broker waits on purpose (JoinGroup, SyncGroup) get that wait on top.
	RequestTimeout time.Duration
	// RetryBackoff is the first pause before a retry; pauses double up to MaxRetryBackoff, with full jitter. Default 50 ms.
	RetryBackoff time.Duration
	// MaxRetryBackoff is the longest pause before a retry. Default 1 s.
	MaxRetryBackoff time.Duration
	// MetadataMinInterval is the least time between two metadata requests. Default 50 ms.
	MetadataMinInterval time.Duration
	// MaxResponseBytes is the largest answer that is accepted. Default 128 MiB.
	MaxResponseBytes int
	// MaxBatchBytes is the largest size of one record batch after decompression. Default 128 MiB.
	MaxBatchBytes int

	// Rand gives numbers in [0, 1) for jitter and must be safe for concurrent use. Default: math/rand/v2.
	Rand func() float64
}

const (
	defaultRequestTimeout  = 30 * time.Second
	defaultRetryBackoff    = 50 * time.Millisecond
	defaultMaxRetryBackoff = time.Second
	defaultMetadataMin     = 50 * time.Millisecond
	defaultMaxResponse     = 128 << 20
	defaultMaxBatch        = 128 << 20
	minMaxResponse         = 1 << 20 // below it, plain metadata of a cluster may not fit
)

// Validate reports every fault at once. Each line names the field, its value and the fix.
func (c *Config) Validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf("kafka config: "+format, args...)) }
	if len(c.Brokers) == 0 {
		fault("Brokers is empty: name at least one broker as host:port")
	}
	for i, b := range c.Brokers {
		host, port, err := net.SplitHostPort(b)
		n, perr := strconv.Atoi(port)
		switch {
		case strings.Contains(b, "://"):
			fault("Brokers[%d] = %q: leave out the scheme, write host:port", i, b)
		case err != nil || host == "":
			fault("Brokers[%d] = %q: write it as host:port, as in localhost:9092", i, b)
		case perr != nil || n < 1 || n > 65535:
			fault("Brokers[%d] = %q: the port must be a number from 1 to 65535", i, b)
		}
	}
	if len(c.ClientID) > 32767 {
		fault("ClientID has %d bytes: at most 32767 fit into a request", len(c.ClientID))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"RequestTimeout", c.RequestTimeout}, {"RetryBackoff", c.RetryBackoff},
		{"MaxRetryBackoff", c.MaxRetryBackoff}, {"MetadataMinInterval", c.MetadataMinInterval},
	} {
		if d.value < 0 {
			fault("%s = %v: must not be negative; 0 means the default", d.name, d.value)
		}
	}
	if c.RetryBackoff > 0 && c.MaxRetryBackoff > 0 && c.RetryBackoff > c.MaxRetryBackoff {
		fault("RetryBackoff = %v is longer than MaxRetryBackoff = %v: swap them, or leave one at 0", c.RetryBackoff, c.MaxRetryBackoff)
	}
	if c.MaxResponseBytes != 0 && (c.MaxResponseBytes < minMaxResponse || c.MaxResponseBytes > 1<<31-1) {
		fault("MaxResponseBytes = %d: choose from %d to %d, or 0 for %d", c.MaxResponseBytes, minMaxResponse, 1<<31-1, defaultMaxResponse)
	}
	if c.MaxBatchBytes < 0 {
		fault("MaxBatchBytes = %d: must not be negative; 0 means %d", c.MaxBatchBytes, defaultMaxBatch)
	}
	if c.TLS != nil && c.TLS.InsecureSkipVerify && c.SASL != nil && c.SASL.Name() == "PLAIN" {
		fault("TLS.InsecureSkipVerify with SASL PLAIN would show the password to anyone who answers: put the CA into TLS.RootCAs, or use SCRAM")
	}
	return errors.Join(errs...)
}

// withDefaults returns a copy in which every zero is replaced.
func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&c.RequestTimeout, defaultRequestTimeout)
	def(&c.RetryBackoff, min(defaultRetryBackoff, orElse(c.MaxRetryBackoff, defaultRetryBackoff)))
	def(&c.MaxRetryBackoff, max(defaultMaxRetryBackoff, c.RetryBackoff))
	def(&c.MetadataMinInterval, defaultMetadataMin)
	c.MaxResponseBytes = orElse(c.MaxResponseBytes, defaultMaxResponse)
	c.MaxBatchBytes = orElse(c.MaxBatchBytes, defaultMaxBatch)
	c.ClientID = orElse(c.ClientID, "oxbow")
	if c.Dial == nil {
		c.Dial = (&net.Dialer{Timeout: 3 * time.Second}).DialContext
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

func orElse[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}
