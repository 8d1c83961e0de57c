package kafkatest

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

const pipeSize = 1 << 20

// pipe is one direction of a connection.
type pipe struct {
	mu    sync.Mutex
	cond  *sync.Cond
	parts []part
	size  int
	last  time.Time // when the newest part arrives: order is kept whatever the delays
	eof   bool      // the writer closed: what is in the pipe is still read
	cut   bool      // the connection is gone: nothing is read any more
	rd    deadline
	wd    deadline
}

type part struct {
	b  []byte
	at time.Time
}

// deadline wakes those who wait when it passes.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func newPipe() *pipe {
	p := &pipe{}
	p.cond = sync.NewCond(&p.mu)
	return p
}

func (p *pipe) setDeadline(d *deadline, t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
	d.at, d.timer = t, nil
	if !t.IsZero() {
		d.timer = time.AfterFunc(time.Until(t), p.cond.Broadcast)
	}
	p.cond.Broadcast()
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func (p *pipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.cut:
			return 0, io.EOF
		case p.rd.passed():
			return 0, os.ErrDeadlineExceeded
		case len(p.parts) > 0:
			wait := time.Until(p.parts[0].at)
			if wait <= 0 {
				return p.take(b), nil
			}
			t := time.AfterFunc(wait, p.cond.Broadcast)
			p.cond.Wait()
			t.Stop()
			continue
		case p.eof:
			return 0, io.EOF
		case len(b) == 0:
			return 0, nil
		}
		p.cond.Wait()
	}
}

// take copies what has arrived.
func (p *pipe) take(b []byte) int {
	n := 0
	for n < len(b) && len(p.parts) > 0 && time.Until(p.parts[0].at) <= 0 {
		c := copy(b[n:], p.parts[0].b)
		n += c
		if p.parts[0].b = p.parts[0].b[c:]; len(p.parts[0].b) == 0 {
			p.parts = p.parts[1:]
		}
	}
	p.size -= n
	p.cond.Broadcast()
	return n
}

func (p *pipe) write(b []byte, delay time.Duration, drop bool) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	done := 0
	for {
		switch {
		case p.cut || p.eof:
			return done, syscall.EPIPE
		case p.wd.passed():
			return done, os.ErrDeadlineExceeded
		case drop:
			return len(b), nil
		case p.size < pipeSize:
			n := min(len(b)-done, pipeSize-p.size)
			at := time.Now().Add(delay)
			if at.Before(p.last) {
				at = p.last
			}
			p.last = at
			if n > 0 {
				p.parts = append(p.parts, part{append([]byte(nil), b[done:done+n]...), at})
				p.size += n
				p.cond.Broadcast()
			}
			if done += n; done == len(b) {
				return done, nil
			}
			continue
		}
		p.cond.Wait()
	}
}

func (p *pipe) end(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.eof = true
	p.cut = p.cut || cut
	for _, d := range []*deadline{&p.rd, &p.wd} {
		if d.timer != nil {
			d.timer.Stop()
		}
	}
	p.cond.Broadcast()
}

// conn is one end of a connection.
type conn struct {
	net           *Network
	in, out       *pipe
	local, remote net.Addr
	server        string // the address that was dialled
	peer          *conn
}

// newPair makes the client's and the server's end.
func newPair(n *Network, server net.Addr) (client, srv *conn) {
	n.mu.Lock()
	n.ports++
	from := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000 + n.ports%20000}
	n.mu.Unlock()
	up, down := newPipe(), newPipe()
	client = &conn{net: n, in: down, out: up, local: from, remote: server, server: server.String()}
	srv = &conn{net: n, in: up, out: down, local: server, remote: from, server: server.String()}
	client.peer, srv.peer = srv, client
	return client, srv
}

func (c *conn) Read(b []byte) (int, error) { return c.in.read(b) }

func (c *conn) Write(b []byte) (int, error) {
	delay, ok := c.net.latency(c.server)
	return c.out.write(b, delay, !ok)
}

// Close ends both directions: the other side reads what was sent, then EOF.
func (c *conn) Close() error {
	c.forget()
	c.in.end(true)
	c.out.end(false)
	return nil
}

func (c *conn) cut() {
	c.forget()
	c.in.end(true)
	c.out.end(true)
}

func (c *conn) forget() {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	delete(c.net.conns, c)
	delete(c.net.conns, c.peer)
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) SetDeadline(t time.Time) error {
	c.in.setDeadline(&c.in.rd, t)
	c.out.setDeadline(&c.out.wd, t)
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.setDeadline(&c.in.rd, t)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.out.setDeadline(&c.out.wd, t)
	return nil
}
