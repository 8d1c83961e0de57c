package realkafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// readyTimeout bounds the start of a broker; 15 s is the longest seen, on a busy machine.
	readyTimeout = 120 * time.Second
	// readyPoll is the pause between two questions to a broker that starts.
	readyPoll = 25 * time.Millisecond
)

// awaitReady returns when every running broker lists all running ones, or one of them has ended.
func (c *Cluster) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("not ready within %v", readyTimeout))
	defer cancel()
	for _, b := range c.brokers {
		if b.process == nil {
			continue
		}
		if err := c.awaitBroker(ctx, b); err != nil {
			return fmt.Errorf("real kafka: broker %d: %w\n%s", b.id, err, b.logTail())
		}
	}
	return nil
}

func (c *Cluster) awaitBroker(ctx context.Context, b *broker) error {
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	for {
		last := c.ask(ctx, b)
		if last == nil {
			return nil
		}
		select {
		case <-b.process.exited:
			return fmt.Errorf("ended while it started: %w", errors.Join(b.process.err, last))
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), last)
		case <-poll.C:
		}
	}
}

// ask returns nil if b answers a Metadata request and its answer lists every broker that should be there, where it
// should be, in this cluster.
func (c *Cluster) ask(ctx context.Context, b *broker) error {
	resp, err := metadata(ctx, b.addr())
	if err != nil {
		return err
	}
	if resp.ClusterID == nil || *resp.ClusterID != c.id {
		return fmt.Errorf("%s is not a broker of this cluster", b.addr())
	}
	for _, want := range c.brokers {
		if !want.process.running() {
			continue
		}
		if !lists(resp, want) {
			return fmt.Errorf("broker %d does not list broker %d yet", b.id, want.id)
		}
	}
	return nil
}

func lists(resp *kmsg.MetadataResponse, b *broker) bool {
	for _, got := range resp.Brokers {
		if got.NodeID == int32(b.id) {
			return got.Port == int32(b.port)
		}
	}
	return false
}

// metadata asks the broker at addr which brokers there are, on a connection of its own.
func metadata(ctx context.Context, addr string) (*kmsg.MetadataResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 5 // below 9: header and body have no tagged fields
	req.Topics = []kmsg.MetadataRequestTopic{}
	frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID("oxbow-ready")).AppendRequest(nil, req, 1)
	if _, err := conn.Write(frame); err != nil {
		return nil, err
	}
	var head [8]byte // size, correlation id
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return nil, err
	}
	size := int64(binary.BigEndian.Uint32(head[:4])) - 4
	if size < 0 || size > 1<<20 {
		return nil, fmt.Errorf("%s answers a frame of %d bytes: not a broker", addr, size)
	}
	body, err := io.ReadAll(io.LimitReader(conn, size))
	if err != nil {
		return nil, err
	}
	resp := req.ResponseKind().(*kmsg.MetadataResponse)
	return resp, resp.ReadFrom(body)
}
