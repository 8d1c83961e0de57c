package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/createtopics"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// anyBroker routes a request to a bootstrap connection.
const anyBroker int32 = -1

// exchange sends one request to a broker, or to any for −1, and decodes the answer. The version is negotiated; the
// time is bounded by ctx and RequestTimeout (plus the wait that the request itself asks for); throttle is honoured.
// Error codes inside the answer are the caller's.
func (c *Client) exchange(ctx context.Context, node int32, req kmsg.Request) (kmsg.Response, error) {
	ours, ok := ourVersions[req.Key()]
	if !ok {
		ours = versionRange{0, req.MaxVersion()}
	}
	res, _, err := c.exchangeIn(ctx, node, req, ours)
	return res, err
}

// exchangeIn is exchange in a version of ours. repeated tells that the broker may have seen the request twice.
func (c *Client) exchangeIn(ctx context.Context, node int32, req kmsg.Request, ours versionRange) (res kmsg.Response, repeated bool, err error) {
	bv, err := c.brokerVersions(ctx, node)
	if err != nil {
		return nil, false, err
	}
	v, err := bv.pick(node, req.Key(), ours)
	if err != nil {
		return nil, false, err
	}
	req.SetVersion(v)
	res = req.ResponseKind()
	if repeated, err = c.sendTold(ctx, node, req, res, v); err != nil {
		return nil, repeated, err
	}
	return res, repeated, nil
}

// ask is exchange with the answer's type.
func ask[R kmsg.Response](ctx context.Context, c *Client, node int32, req kmsg.Request) (R, error) {
	res, err := c.exchange(ctx, node, req)
	if err != nil {
		var none R
		return none, err
	}
	return res.(R), nil
}

// send exchanges a request in a version that has been set.
func (c *Client) send(ctx context.Context, node int32, req kmsg.Request, res kmsg.Response, v int16) error {
	_, err := c.sendTold(ctx, node, req, res, v)
	return err
}

func (c *Client) sendTold(ctx context.Context, node int32, req kmsg.Request, res kmsg.Response, v int16) (repeated bool, err error) {
	m := &message{
		node: node, key: req.Key(), version: v, flexible: req.IsFlexible(), body: [][]byte{req.AppendTo(nil)},
	}
	answer, err := c.roundTrip(ctx, m, c.cfg.RequestTimeout+brokerWait(req))
	if err != nil {
		return m.repeated, err
	}
	res.SetVersion(v)
	if req.Key() == int16(kmsg.ApiVersions) && len(answer) >= 2 && Code(int16(answer[0])<<8|int16(answer[1])) == codeUnsupportedVersion {
		res.SetVersion(0) // the one answer that a broker gives in another version than it was asked in
	}
	if err := res.ReadFrom(answer); err != nil {
		return true, &ConnError{API: m.key, Node: node, Sent: true, Err: &FrameError{
			Reason: fmt.Sprintf("the answer of %d bytes in version %d does not parse", len(answer), v), Err: err}}
	}
	if t, ok := res.(kmsg.ThrottleResponse); ok {
		if ms, after := t.Throttle(); after {
			c.throttle(node, m.key, ms)
		}
	}
	return m.repeated, nil
}

// exchangeRaw sends an encoded body and returns the answer's body in a buffer that alloc gives for its size; the size
// has been checked against MaxResponseBytes. Header and framing are done here; the caller honours error codes, and
// reports the throttle time by [Client.throttle]. When exchangeRaw has returned, nobody touches body or buffer.
func (c *Client) exchangeRaw(ctx context.Context, node int32, key, version int16, flexible bool, body [][]byte,
	alloc func(size int) ([]byte, error)) (answer []byte, err error) {
	m := &message{node: node, key: key, version: version, flexible: flexible, body: body, alloc: alloc}
	return c.roundTrip(ctx, m, c.cfg.RequestTimeout)
}

// brokerWait is how long a broker may sit on a request on purpose.
func brokerWait(req kmsg.Request) time.Duration {
	switch r := req.(type) {
	case *kmsg.JoinGroupRequest:
		return time.Duration(r.RebalanceTimeoutMillis) * time.Millisecond
	case *kmsg.CreateTopicsRequest:
		return time.Duration(r.TimeoutMillis) * time.Millisecond
	}
	return 0
}

// throttleKey says what a throttle time holds for: quotas are kept per kind of request.
type throttleKey struct {
	node int32
	key  int16
}

// throttle notes that a broker wants no such request for a while.
func (c *Client) throttle(node int32, key int16, ms int32) {
	if ms <= 0 {
		return
	}
	until := time.Now().Add(time.Duration(ms) * time.Millisecond)
	c.mu.Lock()
	c.throttled[throttleKey{node, key}] = until
	c.mu.Unlock()
}

func (c *Client) waitThrottle(ctx context.Context, node int32, key int16) error {
	c.mu.Lock()
	until, ok := c.throttled[throttleKey{node, key}]
	if ok && !time.Now().Before(until) {
		delete(c.throttled, throttleKey{node, key})
		ok = false
	}
	c.mu.Unlock()
	if !ok {
		return nil
	}
	return pause(ctx, time.Until(until))
}

// maxStale bounds how many connections that turn out to be dead are replaced for one request. The pool holds as many
// as there ever were requests at the same time, and a broker that restarted has killed them all.
const maxStale = 32

// roundTrip sends m, on new connections as long as it meets ones that died while idle.
func (c *Client) roundTrip(ctx context.Context, m *message, timeout time.Duration) ([]byte, error) {
	if err := c.enter(); err != nil {
		return nil, err
	}
	defer c.wg.Done()
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	m.id, m.limit, m.client = c.lastID.Add(1), c.cfg.MaxResponseBytes, c.cfg.ClientID

	err := c.waitThrottle(ctx, m.node, m.key)
	sent, woken, fresh := false, false, false
	for try := 0; err == nil; try++ {
		a := attempt{message: m, ctx: ctx, done: make(chan struct{})}
		_, err = c.transport.RoundTrip(ctx, c.bootstrap, &a)
		a.abandon()
		sent = sent || a.sent.Load()
		fresh = !a.reused
		switch {
		case err == nil:
			return a.answer, nil
		case ctx.Err() != nil:
		case try < maxStale && a.stale(err):
			m.repeated = m.repeated || a.sent.Load()
			err = nil
		case !woken && m.node >= 0 && errors.Is(err, kafkago.BrokerNotAvailable):
			if woken = c.wakeTransport(ctx); woken {
				err = nil
			}
		}
	}
	switch {
	case c.ctx.Err() != nil:
		return nil, ErrClosed
	case caller.Err() != nil:
		return nil, fmt.Errorf("%s to %s: %w", apiName(m.key), nodeName(m.node), caller.Err())
	case ctx.Err() != nil:
		err = fmt.Errorf("no answer within %v", timeout)
	case errors.Is(err, kafkago.BrokerNotAvailable):
		err = Code(kafkago.BrokerNotAvailable) // the transport's word for an id that is in no metadata
	}
	if m.node >= 0 {
		c.forgetVersions(m.node)
	}
	return nil, &ConnError{API: m.key, Node: m.node, Sent: sent, Err: err, Hint: connHint(err, &c.cfg, fresh)}
}

// message is a request: what is to be sent and where the answer goes.
type message struct {
	node         int32
	key, version int16
	flexible     bool
	repeated     bool // set when it was sent again: the broker may have seen it before
	body         [][]byte
	alloc        func(int) ([]byte, error) // nil: a new buffer
	client       string
	id           int32
	limit        int
}

// attempt carries a message over one connection. It is the single type that is handed to kafka-go's transport, in both
// directions: answers of kafka-go's own types would make the transport act on them.
type attempt struct {
	*message
	ctx    context.Context
	answer []byte

	mu        sync.Mutex
	begun     bool
	abandoned bool
	done      chan struct{} // closed when RawExchange ends

	sent   atomic.Bool // at least one byte may have left
	heard  bool        // at least one byte of an answer came
	reused bool        // the connection had served before
}

// ApiKey is only a key of a map of versions to the transport, which we do not use.
func (a *attempt) ApiKey() protocol.ApiKey { return protocol.ApiKey(a.key) }

// Broker routes to a broker id; −1 to the bootstrap connections.
func (a *attempt) Broker(protocol.Cluster) (protocol.Broker, error) {
	return protocol.Broker{ID: a.node}, nil
}

// Required makes the transport hand over the connection.
func (a *attempt) Required(map[protocol.ApiKey]int16) bool { return true }

// RawExchange writes the request and reads the answer. An error closes the connection.
func (a *attempt) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	a.mu.Lock()
	if a.abandoned {
		a.mu.Unlock()
		return nil, context.Canceled
	}
	a.begun = true
	a.mu.Unlock()
	defer close(a.done)

	conn := connOf(rw)
	if conn == nil {
		return nil, errors.New("the pool gave a connection that we did not dial")
	}
	var err error
	if a.reused, err = conn.begin(); err != nil {
		return nil, err
	}
	// The pool applies a deadline to the connection but not a cancel: do it here, or this goroutine and the caller's
	// buffers would be held until the deadline.
	stop := context.AfterFunc(a.ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	a.answer, err = a.transfer(conn, rw)
	if !stop() && err == nil {
		err = a.ctx.Err() // the deadline may fall upon the next request: this connection must not have one
	}
	return a, err
}

func (a *attempt) transfer(conn *brokerConn, r io.Reader) ([]byte, error) {
	size := 0
	for _, p := range a.body {
		size += len(p)
	}
	head := appendHead(make([]byte, 0, 32+len(a.client)), a.key, a.version, a.id, a.client, a.flexible, size)
	parts := append(make(net.Buffers, 0, 1+len(a.body)), head)
	a.sent.Store(true)
	if err := conn.writeFrame(append(parts, a.body...)); err != nil {
		return nil, err
	}
	b, err := readFrame(&listener{r, &a.heard}, a.id, a.limit, a.alloc)
	if err != nil {
		return nil, err
	}
	if a.flexible && a.key != int16(kmsg.ApiVersions) {
		return skipTags(b)
	}
	return b, nil
}

// abandon returns when the attempt touches nothing any more, and sees to it that it never will.
func (a *attempt) abandon() {
	a.mu.Lock()
	a.abandoned = true
	begun := a.begun
	a.mu.Unlock()
	if begun {
		<-a.done
	}
}

// stale tells whether the connection had died before it saw this request.
func (a *attempt) stale(err error) bool {
	return errors.Is(err, errRenew) || (a.reused && !a.heard && isEOF(err))
}

// listener notes that something was read.
type listener struct {
	io.Reader
	heard *bool
}

func (l *listener) Read(b []byte) (int, error) {
	n, err := l.Reader.Read(b)
	if n > 0 {
		*l.heard = true
	}
	return n, err
}

// wakeTransport makes the transport look for new brokers now. It reports whether it did.
func (c *Client) wakeTransport(ctx context.Context) bool {
	c.mu.Lock()
	ok := time.Since(c.lastWake) >= wakeInterval
	if ok {
		c.lastWake = time.Now()
	}
	c.mu.Unlock()
	if ok {
		_, err := c.transport.RoundTrip(ctx, c.bootstrap, wake{})
		ok = err == nil
	}
	return ok
}

// wake sends nothing. After an answer to CreateTopics the transport polls the metadata at once, so wake pretends to
// have had one, about no topic.
type wake struct{}

func (wake) ApiKey() protocol.ApiKey { return protocol.CreateTopics }
func (wake) Broker(protocol.Cluster) (protocol.Broker, error) {
	return protocol.Broker{ID: anyBroker}, nil
}
func (wake) Required(map[protocol.ApiKey]int16) bool { return true }
func (wake) RawExchange(io.ReadWriter) (protocol.Message, error) {
	return &createtopics.Response{}, nil
}
