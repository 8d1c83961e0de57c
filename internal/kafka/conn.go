package kafka

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// brokerConn is a connection as the pool sees it. The pool hides it from requests, so it is reached through its local
// address, which the pool hands through unchanged.
type brokerConn struct {
	net.Conn
	client *Client
	addr   connAddr
	uses   atomic.Int32 // requests of ours that began on it

	// The pool throws away how long a SASL session lasts, so the answers to its handshake are read along.
	sasl    *saslEars
	renewAt atomic.Int64 // unix ns; after it no new request begins here; 0: never
}

type connAddr struct {
	net.Addr
	conn *brokerConn
}

// connOf finds the connection under what a request is given by the pool.
func connOf(rw io.ReadWriter) *brokerConn {
	nc, ok := rw.(net.Conn)
	if !ok {
		return nil
	}
	if a, ok := nc.LocalAddr().(*connAddr); ok {
		return a.conn
	}
	return nil
}

// handshakeError tells TLS trouble from other trouble while connecting.
type handshakeError struct {
	address string
	err     error
}

func (e *handshakeError) Error() string {
	return fmt.Sprintf("TLS handshake with %s: %v", e.address, e.err)
}
func (e *handshakeError) Unwrap() error { return e.err }

// dial connects for the pool.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	nc, err := c.cfg.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if c.cfg.TLS != nil {
		conf := c.cfg.TLS
		if conf.ServerName == "" {
			conf = conf.Clone()
			if conf.ServerName, _, err = net.SplitHostPort(address); err != nil {
				conf.ServerName = address
			}
		}
		tc := tls.Client(nc, conf)
		if err := tc.HandshakeContext(ctx); err != nil {
			nc.Close()
			return nil, &handshakeError{address, err}
		}
		nc = tc
	}
	bc := &brokerConn{Conn: nc, client: c}
	bc.addr = connAddr{nc.LocalAddr(), bc}
	if c.cfg.SASL != nil {
		bc.sasl = &saslEars{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		nc.Close()
		return nil, ErrClosed
	}
	c.conns[bc] = struct{}{}
	return bc, nil
}

func (bc *brokerConn) LocalAddr() net.Addr { return &bc.addr }

func (bc *brokerConn) Close() error {
	bc.client.mu.Lock()
	delete(bc.client.conns, bc)
	bc.client.mu.Unlock()
	return bc.Conn.Close()
}

func (bc *brokerConn) Read(b []byte) (int, error) {
	n, err := bc.Conn.Read(b)
	if bc.sasl != nil && bc.uses.Load() == 0 {
		if life := bc.sasl.hear(b[:n]); life > 0 {
			// A request that is under way when the session ends loses its answer: leave it a tenth of the session.
			bc.renewAt.Store(time.Now().Add(life - life/10).UnixNano())
		}
	}
	return n, err
}

// begin counts a request. It reports whether the connection has served before, and fails when it must not serve again.
func (bc *brokerConn) begin() (reused bool, err error) {
	if at := bc.renewAt.Load(); at != 0 && time.Now().UnixNano() >= at {
		return true, errRenew
	}
	return bc.uses.Add(1) > 1, nil
}

// writeFrame sends the parts of a request. Parts go out in one system call where the connection allows it.
func (bc *brokerConn) writeFrame(parts net.Buffers) error {
	total := 0
	for _, p := range parts {
		total += len(p)
	}
	if _, tcp := bc.Conn.(*net.TCPConn); !tcp && total <= 16<<10 {
		joined := make([]byte, 0, total)
		for _, p := range parts {
			joined = append(joined, p...)
		}
		parts = net.Buffers{joined}
	}
	_, err := parts.WriteTo(bc.Conn) // writev on a *net.TCPConn
	return err
}

// errRenew says that nothing was sent: the connection's SASL session is about to end.
var errRenew = errors.New("the connection's SASL session is about to end")

// isEOF tells whether the other side has gone away.
func isEOF(err error) bool {
	for _, e := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// saslEars follows the answers that come over a new connection and finds the session lifetime in the last one of
// SaslAuthenticate v1: code, message, bytes, int64 lifetime in ms. It understands nothing else and fails silently:
// without a lifetime, the end of a session is a lost connection, which is retried.
type saslEars struct {
	frame []byte
	seen  int
	deaf  bool
}

const (
	saslFirst    = 2       // answers before: ApiVersions, SaslHandshake
	saslMaxFrame = 1 << 16 // of what is remembered
)

func (s *saslEars) hear(b []byte) (life time.Duration) {
	if s.deaf {
		return 0
	}
	s.frame = append(s.frame, b...)
	for len(s.frame) >= 4 {
		size := int(binary.BigEndian.Uint32(s.frame))
		if size < 4 || size > saslMaxFrame {
			s.deaf, s.frame = true, nil
			return life
		}
		if len(s.frame) < 4+size {
			return life
		}
		if s.seen >= saslFirst {
			life = max(life, saslLifetime(s.frame[8:4+size]))
		}
		s.frame = s.frame[4+size:]
		s.seen++
	}
	return life
}

// saslLifetime reads the body of a SaslAuthenticate v1 answer.
func saslLifetime(b []byte) time.Duration {
	if len(b) < 4 || binary.BigEndian.Uint16(b) != 0 {
		return 0
	}
	n := int(int16(binary.BigEndian.Uint16(b[2:])))
	b = b[4:]
	if n = max(n, 0); len(b) < n+4 {
		return 0
	}
	m := int(int32(binary.BigEndian.Uint32(b[n:])))
	b = b[n+4:]
	if m = max(m, 0); len(b) != m+8 {
		return 0
	}
	ms := int64(binary.BigEndian.Uint64(b[m:]))
	if ms <= 0 || ms > int64(365*24*time.Hour/time.Millisecond) {
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}
