package realkafka

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// Cluster is brokers that run, or ran and may be started again. Its methods may be called by several goroutines; Kill,
// Stop, Restart and Close happen one after the other. Brokers are numbered from 0; broker i has the node id i + 1.
type Cluster struct {
	options   Options
	install   *install
	id        string
	dir       string
	ownsDir   bool
	ports     *reservation
	keystore  string
	authority *x509.CertPool

	mu      sync.Mutex
	brokers []*broker
}

// broker is what stays of a broker over its restarts, and its process.
type broker struct {
	id                               int
	port, securePort, controllerPort int
	dir                              string
	jvm                              []string
	process                          *process // nil: stopped or killed on purpose
}

// Run starts a cluster for a program that is not a test. The caller closes it. Cancelling ctx ends the wait for the
// brokers, not the brokers.
func Run(ctx context.Context, o Options) (*Cluster, error) {
	in, err := resolve(ctx)
	if err != nil {
		return nil, err
	}
	c, err := newCluster(in, o)
	if err != nil {
		return nil, err
	}
	if err := c.launch(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// newCluster lays out directories, ports and certificates; it starts nothing.
func newCluster(in *install, o Options) (c *Cluster, err error) {
	if o, err = o.withDefaults(); err != nil {
		return nil, err
	}
	c = &Cluster{options: o, install: in, dir: o.Dir, id: newClusterID()}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	if c.dir == "" {
		if c.dir, err = os.MkdirTemp("", "oxbow-kafka-"); err != nil {
			return nil, fmt.Errorf("real kafka: %w", err)
		}
		c.ownsDir = true
	}
	if c.ports, err = reservePorts(3 * o.Brokers); err != nil {
		return nil, err
	}
	if o.Secure {
		if c.keystore, c.authority, err = makeCertificates(c.dir); err != nil {
			return nil, fmt.Errorf("real kafka: certificates: %w", err)
		}
	}
	for i := range o.Brokers {
		p := c.ports.ports[3*i:]
		b := &broker{
			id: i + 1, port: p[0], securePort: p[1], controllerPort: p[2],
			dir: filepath.Join(c.dir, fmt.Sprintf("broker-%d", i+1)),
		}
		if err := os.MkdirAll(b.dir, 0o700); err != nil {
			return nil, fmt.Errorf("real kafka: %w", err)
		}
		c.brokers = append(c.brokers, b)
	}
	for _, b := range c.brokers {
		if err := os.WriteFile(b.config(), []byte(c.properties(b)), 0o600); err != nil {
			return nil, fmt.Errorf("real kafka: %w", err)
		}
	}
	return c, nil
}

func newClusterID() string {
	var id [16]byte
	rand.Read(id[:])          // never fails
	id[0] &^= 0x80            // an id that begins with a dash looks like an option to the tools
	id[6] = id[6]&0x0f | 0x40 // a random UUID ...
	id[8] = id[8]&0x3f | 0x80 // ... of RFC 9562
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// launch formats and starts every broker and waits until they are ready.
func (c *Cluster) launch(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.format(ctx); err != nil {
		return err
	}
	for _, b := range c.brokers {
		if err := c.start(b); err != nil {
			return err
		}
	}
	return c.awaitReady(ctx)
}

// format prepares the data directories of all brokers, side by side.
func (c *Cluster) format(ctx context.Context) error {
	args := []string{"format", "-t", c.id}
	for _, f := range c.options.Features {
		args = append(args, "--feature", f)
	}
	if c.options.Secure {
		args = append(args, scramUsers()...)
	}
	var formats []*process
	var errs []error
	for _, b := range c.brokers {
		cmd := c.install.command(c.options.HeapMB, "kafka.tools.StorageTool", append(args, "-c", b.config())...)
		p, err := startProcess(cmd, b.log())
		if err != nil {
			errs = append(errs, fmt.Errorf("real kafka: format broker %d: %w", b.id, err))
			break
		}
		formats = append(formats, p)
	}
	for i, p := range formats {
		select {
		case <-p.exited:
		case <-ctx.Done():
			errs = append(errs, p.kill(), context.Cause(ctx))
			continue
		}
		if p.err != nil {
			b := c.brokers[i]
			errs = append(errs, fmt.Errorf("real kafka: format broker %d: %w\n%s", b.id, p.err, b.logTail()))
		}
	}
	return errors.Join(errs...)
}

func (c *Cluster) start(b *broker) (err error) {
	cmd := c.install.command(c.options.HeapMB, "kafka.Kafka", b.config())
	cmd.Args = append(append([]string{cmd.Args[0]}, b.jvm...), cmd.Args[1:]...)
	if b.process, err = startProcess(cmd, b.log()); err != nil {
		return fmt.Errorf("real kafka: start broker %d: %w", b.id, err)
	}
	return nil
}

// Addrs are the plaintext addresses of the brokers, also of those that are down.
func (c *Cluster) Addrs() []string {
	addrs := make([]string, len(c.brokers))
	for i, b := range c.brokers {
		addrs[i] = b.addr()
	}
	return addrs
}

// SecureAddrs are the SASL_SSL addresses of the brokers; there are none without Options.Secure.
func (c *Cluster) SecureAddrs() []string {
	if !c.options.Secure {
		return nil
	}
	addrs := make([]string, len(c.brokers))
	for i, b := range c.brokers {
		addrs[i] = fmt.Sprintf("localhost:%d", b.securePort)
	}
	return addrs
}

// Kill ends broker i by SIGKILL and returns when its process is gone.
func (c *Cluster) Kill(i int) error { return c.end(i, (*process).kill) }

// Stop ends broker i by SIGTERM: it hands over its leaders, closes its logs and goes.
func (c *Cluster) Stop(i int) error { return c.end(i, (*process).terminate) }

func (c *Cluster) end(i int, how func(*process) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i < 0 || i >= len(c.brokers) {
		return fmt.Errorf("real kafka: no broker %d: there are %d, from 0", i, len(c.brokers))
	}
	b := c.brokers[i]
	if b.process == nil {
		return nil
	}
	p := b.process
	if !p.running() {
		return fmt.Errorf("real kafka: broker %d had ended by itself: %w\n%s", b.id, p.err, b.logTail())
	}
	b.process = nil
	if err := how(p); err != nil {
		return fmt.Errorf("real kafka: broker %d: %w\n%s", b.id, err, b.logTail())
	}
	return nil
}

// Restart starts broker i again, after a Stop if it runs, and returns when it and the other running brokers are ready.
func (c *Cluster) Restart(i int) error {
	if err := c.Stop(i); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.start(c.brokers[i]); err != nil {
		return err
	}
	return c.awaitReady(context.Background())
}

// Close kills every broker, frees the ports and removes the data. It may be called twice.
func (c *Cluster) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, b := range c.brokers {
		if b.process == nil {
			continue
		}
		if !b.process.running() {
			errs = append(errs, fmt.Errorf("real kafka: broker %d had ended by itself: %w\n%s", b.id, b.process.err, b.logTail()))
		}
		errs = append(errs, b.process.kill())
		b.process = nil
	}
	if c.ports != nil {
		c.ports.release()
	}
	if c.ownsDir {
		errs = append(errs, os.RemoveAll(c.dir))
	}
	return errors.Join(errs...)
}

func (b *broker) addr() string   { return fmt.Sprintf("127.0.0.1:%d", b.port) }
func (b *broker) config() string { return filepath.Join(b.dir, "server.properties") }
func (b *broker) log() string    { return filepath.Join(b.dir, "broker.log") }

// logTail is the end of the broker's log, or why there is none.
func (b *broker) logTail() string {
	text, err := os.ReadFile(b.log())
	if err != nil {
		return err.Error()
	}
	return tail(string(text), 40)
}
