package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// This file is the part of the protocol that the limit loop needs, written down as plainly as it can be: it shares no
// code with the library that it is the measure of.

// call is a request of any kind to one broker, over kafka-go's pool.
type call struct {
	node         int32
	key, version int16
	flexible     bool
	body         []byte
	answer       []byte // in: a buffer to use; out: the body of the answer
	arrived      func() // called when the answer begins
}

func (c *call) ApiKey() protocol.ApiKey { return protocol.ApiKey(c.key) }
func (c *call) Broker(protocol.Cluster) (protocol.Broker, error) {
	return protocol.Broker{ID: c.node}, nil
}
func (c *call) Required(map[protocol.ApiKey]int16) bool { return true }

const correlation = 0x0b0b

func (c *call) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	be := binary.BigEndian
	b := be.AppendUint32(nil, 0)
	b = be.AppendUint16(b, uint16(c.key))
	b = be.AppendUint16(b, uint16(c.version))
	b = be.AppendUint32(b, correlation)
	b = be.AppendUint16(b, 5)
	b = append(b, "bench"...)
	if c.flexible {
		b = append(b, 0)
	}
	b = append(b, c.body...)
	be.PutUint32(b, uint32(len(b)-4))
	if _, err := rw.Write(b); err != nil {
		return nil, err
	}
	var head [8]byte
	if _, err := io.ReadFull(rw, head[:]); err != nil {
		return nil, err
	}
	if c.arrived != nil {
		c.arrived()
	}
	size := int(be.Uint32(head[:])) - 4
	if size < 0 || be.Uint32(head[4:]) != correlation {
		return nil, fmt.Errorf("answer of %d bytes to request %x", size, be.Uint32(head[4:]))
	}
	if cap(c.answer) < size {
		c.answer = make([]byte, size+size/4)
	}
	c.answer = c.answer[:size]
	_, err := io.ReadFull(rw, c.answer)
	if err == nil && c.flexible {
		c.answer = c.answer[1:] // no tagged fields in the header
	}
	return c, err
}

// pool is kafka-go's connections to a cluster.
type pool struct {
	transport *kafkago.Transport
	addr      net.Addr
}

func newPool(brokers []string) *pool {
	return &pool{&kafkago.Transport{}, kafkago.TCP(brokers...)}
}

func (p *pool) close() { p.transport.CloseIdleConnections() }

func (p *pool) do(ctx context.Context, c *call) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	_, err := p.transport.RoundTrip(ctx, p.addr, c)
	return err
}

// leaders returns the partitions of a topic by the broker that leads them, and the brokers' addresses.
func (p *pool) leaders(ctx context.Context, topic string) (map[int32][]int32, map[int32]string, error) {
	c := kafkago.Client{Addr: p.addr, Transport: p.transport, Timeout: 30 * time.Second}
	m, err := c.Metadata(ctx, &kafkago.MetadataRequest{Topics: []string{topic}})
	if err != nil {
		return nil, nil, err
	}
	parts, addrs := map[int32][]int32{}, map[int32]string{}
	for _, t := range m.Topics {
		if t.Error != nil {
			return nil, nil, fmt.Errorf("%s: %w", topic, t.Error)
		}
		for _, q := range t.Partitions {
			id := int32(q.Leader.ID)
			parts[id] = append(parts[id], int32(q.ID))
			addrs[id] = net.JoinHostPort(q.Leader.Host, fmt.Sprint(q.Leader.Port))
		}
	}
	return parts, addrs, nil
}

// fetchPart is one partition of a fetch loop.
type fetchPart struct {
	partition   int32
	offset, end int64
	records     []byte // of the last answer
}

// appendFetch is the body of a Fetch v12 request for the parts that have not been read to their end.
func appendFetch(b []byte, topic string, parts []*fetchPart, maxBytes, partBytes int) []byte {
	be := binary.BigEndian
	open := 0
	for _, p := range parts {
		if p.offset < p.end {
			open++
		}
	}
	b = be.AppendUint32(b, 0xffffffff)
	b = be.AppendUint32(b, 500)
	b = be.AppendUint32(b, 1)
	b = be.AppendUint32(b, uint32(maxBytes))
	b = append(b, 0)
	b = be.AppendUint32(b, 0)
	b = be.AppendUint32(b, 0xffffffff)
	b = append(b, 2)
	b = binary.AppendUvarint(b, uint64(len(topic)+1))
	b = append(b, topic...)
	b = binary.AppendUvarint(b, uint64(open+1))
	for _, p := range parts {
		if p.offset >= p.end {
			continue
		}
		b = be.AppendUint32(b, uint32(p.partition))
		b = be.AppendUint32(b, 0xffffffff)
		b = be.AppendUint64(b, uint64(p.offset))
		b = be.AppendUint32(b, 0xffffffff)
		b = be.AppendUint64(b, 0xffffffffffffffff)
		b = be.AppendUint32(b, uint32(partBytes))
		b = append(b, 0)
	}
	return append(b, 0, 1, 1, 0) // topic's tags, no forgotten topics, no rack, tags
}

// cutFetch finds the records of the parts in the body of a Fetch v12 answer.
func cutFetch(b []byte, parts []*fetchPart) error {
	be := binary.BigEndian
	if code := be.Uint16(b[4:]); code != 0 {
		return fmt.Errorf("fetch: error %d", code)
	}
	b = b[10:]
	topics, b := uvarint(b)
	for range topics - 1 {
		n, rest := uvarint(b)
		count, rest := uvarint(rest[n-1:])
		b = rest
		for range count - 1 {
			partition, code := int32(be.Uint32(b)), be.Uint16(b[4:])
			if code != 0 {
				return fmt.Errorf("fetch: partition %d: error %d", partition, code)
			}
			aborted, rest := uvarint(b[30:])
			if aborted > 1 {
				return fmt.Errorf("fetch: partition %d has transactions", partition)
			}
			size, rest := uvarint(rest[4:])
			size = max(size, 1)
			for _, p := range parts {
				if p.partition == partition {
					p.records = rest[:size-1]
				}
			}
			b = skipTags(rest[size-1:])
		}
		b = skipTags(b)
	}
	return nil
}

func uvarint(b []byte) (int, []byte) {
	v, n := binary.Uvarint(b)
	return int(v), b[n:]
}

func skipTags(b []byte) []byte {
	n, b := uvarint(b)
	for range n {
		var size int
		_, b = uvarint(b)
		size, b = uvarint(b)
		b = b[size:]
	}
	return b
}
