package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
)

const (
	limitAnswer = 8 << 20 // bytes per fetch
	limitPart   = limitAnswer / partitions
	// limitInFlight is how many produce requests wait for their answers: as many as an idempotent producer may have.
	limitInFlight = 5
)

// limitReader fetches a topic to its end with one request in flight per broker, one after another.
type limitReader struct {
	pool  *pool
	topic string
	nodes []*limitNode
}

type limitNode struct {
	call    call
	address string
	parts   []*fetchPart
}

func newLimitReader(ctx context.Context, brokers []string, topic string, ends []int64, arrived func()) (*limitReader, error) {
	r := &limitReader{pool: newPool(brokers), topic: topic}
	leaders, addrs, err := r.pool.leaders(ctx, topic)
	if err != nil {
		return nil, err
	}
	for id, list := range leaders {
		n := &limitNode{address: addrs[id], call: call{node: id, key: 1, version: 12, flexible: true, arrived: arrived}}
		for _, p := range list {
			if int(p) >= len(ends) {
				return nil, fmt.Errorf("%s has more than %d partitions", topic, len(ends))
			}
			n.parts = append(n.parts, &fetchPart{partition: p, end: ends[p]})
		}
		r.nodes = append(r.nodes, n)
	}
	return r, nil
}

func (r *limitReader) close() { r.pool.close() }

// read calls answer after each fetch, with the records in the parts. Positions move when it returns.
func (r *limitReader) read(ctx context.Context, answer func(n *limitNode) error) error {
	for open := true; open; {
		open = false
		for _, n := range r.nodes {
			if !slices.ContainsFunc(n.parts, func(p *fetchPart) bool { return p.offset < p.end }) {
				continue
			}
			open = true
			for _, p := range n.parts {
				p.records = nil
			}
			n.call.body = appendFetch(n.call.body[:0], r.topic, n.parts, limitAnswer, limitPart)
			if err := r.pool.do(ctx, &n.call); err != nil {
				return err
			}
			if err := cutFetch(n.call.answer, n.parts); err != nil {
				return err
			}
			if err := answer(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// eachOf calls f with every batch of an answer, its records unpacked, and moves the positions.
func (n *limitNode) eachOf(buf *[]byte, f func(p *fetchPart, raw, records []byte)) error {
	for _, p := range n.parts {
		err := eachBatch(p.records, func(raw []byte, base, next int64) error {
			records, err := unpack(raw, buf)
			if err != nil {
				return fmt.Errorf("partition %d@%d: %w", p.partition, base, err)
			}
			f(p, raw, records)
			p.offset = next
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// limitConsume is the limit of everything that reads: fetch, checksum, decompression, walk.
func limitConsume(ctx context.Context, j *job, m *meter) (count int64, sum uint64, err error) {
	r, err := newLimitReader(ctx, j.Brokers, j.Input, j.Ends, m.first)
	if err != nil {
		return 0, 0, err
	}
	defer r.close()
	var buf []byte
	err = r.read(ctx, func(n *limitNode) error {
		return n.eachOf(&buf, func(_ *fetchPart, raw, records []byte) {
			c := countOf(raw)
			sum += sumRecords(records, c)
			count += int64(c)
		})
	})
	return count, sum, err
}

// limitPass reads as limitConsume does and produces the batches as they came, acks all, pipelined.
func limitPass(ctx context.Context, j *job, m *meter) (count int64, sum uint64, err error) {
	r, err := newLimitReader(ctx, j.Brokers, j.Input, j.Ends, m.first)
	if err != nil {
		return 0, 0, err
	}
	defer r.close()
	var buf []byte
	conns := map[*limitNode]*limitProducer{}
	defer func() {
		for _, p := range conns {
			p.conn.Close()
		}
	}()
	err = r.read(ctx, func(n *limitNode) error {
		out := conns[n]
		if out == nil {
			if out, err = dialProducer(ctx, n.address); err != nil {
				return err
			}
			conns[n] = out
		}
		if err := n.eachOf(&buf, func(p *fetchPart, raw, records []byte) {
			c := countOf(raw)
			sum += sumRecords(records, c)
			count += int64(c)
			out.add(p.partition, raw)
		}); err != nil {
			return err
		}
		return out.flush(j.Output)
	})
	return count, sum, err
}

// limitProducer sends batches over a connection of its own.
type limitProducer struct {
	conn    net.Conn
	pending map[int32][][]byte
	id      uint32
	flying  int
	answer  []byte
}

func dialProducer(ctx context.Context, address string) (*limitProducer, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	return &limitProducer{conn: conn, pending: map[int32][][]byte{}}, err
}

// add takes a batch for one of the next requests. Its offset, which the checksum does not cover, is the broker's to give.
func (p *limitProducer) add(partition int32, raw []byte) {
	binary.BigEndian.PutUint64(raw, 0)
	p.pending[partition] = append(p.pending[partition], raw)
}

// flush produces what is pending, one batch per partition and request as brokers demand, and waits for the answers.
func (p *limitProducer) flush(topic string) error {
	for {
		var parts []int32
		for q, list := range p.pending {
			if len(list) > 0 {
				parts = append(parts, q)
			}
		}
		if len(parts) == 0 {
			break
		}
		if p.flying == limitInFlight {
			if err := p.await(); err != nil {
				return err
			}
		}
		if err := p.send(topic, parts); err != nil {
			return err
		}
	}
	for p.flying > 0 {
		if err := p.await(); err != nil {
			return err
		}
	}
	return nil
}

// send writes a Produce v8 request with the first pending batch of each partition.
func (p *limitProducer) send(topic string, parts []int32) error {
	be := binary.BigEndian
	b := be.AppendUint32(nil, 0)
	b = append(b, 0, 0, 0, 8)
	b = be.AppendUint32(b, p.id)
	b = append(b, 0, 5)
	b = append(b, "bench"...)
	b = append(b, 0xff, 0xff, 0xff, 0xff) // no transaction, acks all
	b = be.AppendUint32(b, 30_000)
	b = be.AppendUint32(b, 1)
	b = be.AppendUint16(b, uint16(len(topic)))
	b = append(b, topic...)
	b = be.AppendUint32(b, uint32(len(parts)))
	var out net.Buffers
	size := 0
	for _, q := range parts {
		raw := p.pending[q][0]
		p.pending[q] = p.pending[q][1:]
		b = be.AppendUint32(b, uint32(q))
		b = be.AppendUint32(b, uint32(len(raw)))
		out = append(out, b, raw)
		size += len(b) + len(raw)
		b = nil
	}
	be.PutUint32(out[0], uint32(size-4))
	p.id++
	p.flying++
	_, err := out.WriteTo(p.conn)
	return err
}

// await reads one answer and checks that every partition took its batch.
func (p *limitProducer) await() error {
	p.flying--
	be := binary.BigEndian
	var head [4]byte
	if _, err := io.ReadFull(p.conn, head[:]); err != nil {
		return err
	}
	b := slices.Grow(p.answer[:0], int(be.Uint32(head[:])))[:be.Uint32(head[:])]
	p.answer = b
	if _, err := io.ReadFull(p.conn, b); err != nil {
		return err
	}
	b = b[8:] // correlation id, one topic
	b = b[2+int(be.Uint16(b)):]
	count := be.Uint32(b)
	b = b[4:]
	for range count {
		if code := int16(be.Uint16(b[4:])); code != 0 {
			return fmt.Errorf("produce: partition %d: error %d", be.Uint32(b), code)
		}
		b = b[4+2+8+8+8:]
		errors := be.Uint32(b)
		if errors != 0 {
			return fmt.Errorf("produce: %d records refused", errors)
		}
		b = b[4:]
		if n := int16(be.Uint16(b)); n > 0 {
			b = b[n:]
		}
		b = b[2:]
	}
	return nil
}
