package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Network connects listeners and dialers of one process. The zero value is ready to use.
type Network struct {
	mu        sync.Mutex
	listeners map[string]*listener
	conns     map[*conn]struct{} // the client's ends
	refused   map[string]bool
	silent    map[string]bool
	delay     func(address string) time.Duration
	onDial    func(address string) error
	ports     int
	dials     int
}

// Listen opens an address; port 0 picks a free one.
func (n *Network) Listen(_, address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners == nil {
		n.listeners = map[string]*listener{}
	}
	p, err := strconv.Atoi(port)
	if err != nil {
		return nil, fmt.Errorf("port %q: %w", port, err)
	}
	if host == "" || host == "localhost" {
		host = "127.0.0.1"
	}
	if p == 0 {
		n.ports++
		p = 20000 + n.ports
	}
	l := &listener{
		net: n, addr: &net.TCPAddr{IP: net.ParseIP(host), Port: p},
		backlog: make(chan *conn), done: make(chan struct{}),
	}
	key := l.addr.String()
	if n.listeners[key] != nil {
		return nil, fmt.Errorf("listen %s: %w", key, syscall.EADDRINUSE)
	}
	n.listeners[key] = l
	return l, nil
}

// Dial connects to a listener.
func (n *Network) Dial(ctx context.Context, _, address string) (net.Conn, error) {
	address = canonical(address)
	n.mu.Lock()
	n.dials++
	l, hook := n.listeners[address], n.onDial
	refused, silent := n.refused[address], n.silent[address]
	n.mu.Unlock()
	if hook != nil {
		if err := hook(address); err != nil {
			return nil, err
		}
	}
	if silent {
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
	}
	if l == nil || refused {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	a, b := newPair(n, l.addr)
	select {
	case l.backlog <- b:
	case <-l.done:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case <-ctx.Done():
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
	}
	n.mu.Lock()
	if n.conns == nil {
		n.conns = map[*conn]struct{}{}
	}
	n.conns[a] = struct{}{}
	n.mu.Unlock()
	return a, nil
}

// Cut ends every connection to an address, as when its process is killed. "" is all addresses.
func (n *Network) Cut(address string) int {
	if address != "" {
		address = canonical(address)
	}
	n.mu.Lock()
	var hit []*conn
	for c := range n.conns {
		if address == "" || c.remote.String() == address {
			hit = append(hit, c)
		}
	}
	n.mu.Unlock()
	for _, c := range hit {
		c.cut()
	}
	return len(hit)
}

// Refuse makes new connections to an address fail, or work again. Open ones stay.
func (n *Network) Refuse(address string, on bool) { n.set(&n.refused, address, on) }

// Silence swallows every byte to and from an address, and lets dials to it hang, until it is switched off: what a
// firewall does that drops packets. What was swallowed is lost; cut the connections afterwards.
func (n *Network) Silence(address string, on bool) { n.set(&n.silent, address, on) }

func (n *Network) set(m *map[string]bool, address string, on bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if *m == nil {
		*m = map[string]bool{}
	}
	(*m)[canonical(address)] = on
}

// Delay makes bytes between clients and an address take f(address) longer, in each direction; nil ends that. f is
// called for every write and must be safe for concurrent use.
func (n *Network) Delay(f func(address string) time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.delay = f
}

// OnDial calls f before each connection; its error is the dialer's.
func (n *Network) OnDial(f func(address string) error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.onDial = f
}

// Conns returns how many connections are open.
func (n *Network) Conns() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.conns)
}

// Dials returns how many connections were asked for so far.
func (n *Network) Dials() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials
}

// latency returns how long a write takes, and false when it is to be swallowed.
func (n *Network) latency(address string) (time.Duration, bool) {
	n.mu.Lock()
	silent, f := n.silent[address], n.delay
	n.mu.Unlock()
	if silent {
		return 0, false
	}
	if f == nil {
		return 0, true
	}
	return f(address), true
}

func canonical(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err == nil && (host == "localhost" || host == "") {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return address
}

type listener struct {
	net     *Network
	addr    *net.TCPAddr
	backlog chan *conn
	done    chan struct{}
	once    sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.backlog:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	err := errors.New("listener is closed already")
	l.once.Do(func() {
		err = nil
		l.net.mu.Lock()
		delete(l.net.listeners, l.addr.String())
		l.net.mu.Unlock()
		close(l.done)
	})
	return err
}

func (l *listener) Addr() net.Addr { return l.addr }
