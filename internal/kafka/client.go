package kafka

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// Client is the way to one cluster: one connection pool, one metadata cache. It is safe for concurrent use.
type Client struct {
	cfg       Config
	bootstrap net.Addr
	transport *kafkago.Transport
	lastID    atomic.Int32 // correlation ids

	ctx    context.Context // ends at Close; everything that runs stops with it
	cancel context.CancelFunc
	wg     sync.WaitGroup // requests under way and goroutines of the client

	mu        sync.Mutex
	closed    bool
	conns     map[*brokerConn]struct{}
	versions  map[int32]*brokerVersions
	throttled map[throttleKey]time.Time // when the broker takes such requests again
	lastWake  time.Time                 // of the transport's own view of the brokers

	meta   metadataCache
	coords coordinatorCache
}

const (
	dialTimeout = 10 * time.Second // the connection, TLS, versions and SASL together
	idleTimeout = time.Minute      // brokers close idle connections after 10 min
	// The transport asks for the list of brokers at random times within this; it is also how long that request may
	// take. It is a safety net only: we wake it when we meet a broker that it does not know.
	transportTTL = 10 * time.Second
	wakeInterval = 100 * time.Millisecond
)

// Open returns a client. It does no I/O: a cluster that is not there yet is an error of the first request.
func Open(cfg Config) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	c := &Client{
		cfg:       cfg,
		bootstrap: kafkago.TCP(cfg.Brokers...),
		conns:     map[*brokerConn]struct{}{},
		versions:  map[int32]*brokerVersions{},
		throttled: map[throttleKey]time.Time{},
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.meta.init()
	c.coords.init()
	c.transport = &kafkago.Transport{
		Dial:           c.dial, // TLS is done there, where we can see what goes wrong
		DialTimeout:    min(dialTimeout, cfg.RequestTimeout),
		IdleTimeout:    idleTimeout,
		MetadataTTL:    transportTTL,
		MetadataTopics: []string{}, // none: it needs to know the brokers only
		ClientID:       cfg.ClientID,
		SASL:           cfg.SASL,
		Context:        c.ctx,
	}
	return c, nil
}

// Close ends every request under way and every connection. It returns when nothing of the client runs any more.
func (c *Client) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.wg.Wait()
	c.transport.CloseIdleConnections()
	c.mu.Lock()
	open := make([]*brokerConn, 0, len(c.conns))
	for bc := range c.conns {
		open = append(open, bc)
	}
	c.mu.Unlock()
	for _, bc := range open {
		bc.Close() // one that the pool was still dialling
	}
	return nil
}

// enter counts a piece of work that Close has to wait for.
func (c *Client) enter() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	c.wg.Add(1)
	return nil
}

// background runs f in a goroutine that Close waits for. f ends with the client's context.
func (c *Client) background(f func(ctx context.Context)) error {
	if err := c.enter(); err != nil {
		return err
	}
	go func() {
		defer c.wg.Done()
		f(c.ctx)
	}()
	return nil
}
