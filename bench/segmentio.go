package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// The loops that a programmer would write with kafka-go: a group Reader that commits each second, a Writer.

func segmentioReader(j *job) *kafkago.Reader {
	return kafkago.NewReader(kafkago.ReaderConfig{
		Brokers: j.Brokers, GroupID: j.App, Topic: j.Input, StartOffset: kafkago.FirstOffset,
		MaxBytes: 8 << 20, QueueCapacity: 10_000, CommitInterval: time.Second,
		MaxWait: 500 * time.Millisecond, // closing the reader waits for it
	})
}

func segmentioWriter(j *job) (*kafkago.Writer, error) {
	codecs := map[string]kafkago.Compression{"none": 0, "gzip": kafkago.Gzip, "snappy": kafkago.Snappy, "lz4": kafkago.Lz4, "zstd": kafkago.Zstd}
	codec, ok := codecs[j.Codec]
	if !ok {
		return nil, fmt.Errorf("codec %q is not kafka-go's", j.Codec)
	}
	return &kafkago.Writer{
		Addr: kafkago.TCP(j.Brokers...), Topic: j.Output, Balancer: kafkago.Murmur2Balancer{}, Compression: codec,
		BatchSize: 1000, BatchBytes: 1 << 20, BatchTimeout: 10 * time.Millisecond, RequiredAcks: kafkago.RequireAll,
	}, nil
}

// segmentioEach reads until all records of the input have been seen. Closing the reader commits.
func segmentioEach(ctx context.Context, j *job, m *meter, f func(*kafkago.Message) error) (count int64, sum uint64, err error) {
	r := segmentioReader(j)
	defer r.Close()
	for count < j.Records {
		msg, err := r.ReadMessage(ctx)
		if err != nil {
			return count, sum, err
		}
		m.first()
		sum += numberOf(msg.Value)
		count++
		if err := f(&msg); err != nil {
			return count, sum, err
		}
	}
	return count, sum, nil
}

func segmentioConsume(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
	return segmentioEach(ctx, j, m, func(*kafkago.Message) error { return nil })
}

// segmentioChunk is how many messages one WriteMessages call takes: it waits for all of them.
const segmentioChunk = 10_000

// chunks writes messages in calls of segmentioChunk, which keeps their order.
type chunks struct {
	ctx  context.Context
	w    *kafkago.Writer
	list []kafkago.Message
}

func (c *chunks) add(m kafkago.Message) error {
	if c.list = append(c.list, m); len(c.list) < segmentioChunk {
		return nil
	}
	return c.flush()
}

func (c *chunks) flush() error {
	if len(c.list) == 0 {
		return nil
	}
	err := c.w.WriteMessages(c.ctx, c.list...)
	c.list = c.list[:0]
	return err
}

func segmentioPass(ctx context.Context, j *job, m *meter) (count int64, sum uint64, err error) {
	w, err := segmentioWriter(j)
	if err != nil {
		return 0, 0, err
	}
	defer w.Close()
	out := &chunks{ctx: ctx, w: w}
	if count, sum, err = segmentioEach(ctx, j, m, func(msg *kafkago.Message) error {
		return out.add(kafkago.Message{Key: msg.Key, Value: msg.Value, Time: msg.Time, Headers: msg.Headers})
	}); err != nil {
		return count, sum, err
	}
	return count, sum, out.flush()
}

func segmentioCount(ctx context.Context, j *job, m *meter) (count int64, sum uint64, err error) {
	w, err := segmentioWriter(j)
	if err != nil {
		return 0, 0, err
	}
	defer w.Close()
	out := &chunks{ctx: ctx, w: w}
	counts := make(map[string]*int64, j.Keys)
	if count, sum, err = segmentioEach(ctx, j, m, func(msg *kafkago.Message) error {
		n := counts[string(msg.Key)]
		if n == nil {
			n = new(int64)
			counts[string(msg.Key)] = n
		}
		*n++
		return out.add(kafkago.Message{Key: msg.Key, Value: binary.BigEndian.AppendUint64(nil, uint64(*n)), Time: msg.Time})
	}); err != nil {
		return count, sum, err
	}
	return count, sum, out.flush()
}

func segmentioJoin(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
	table, err := readTable(ctx, j)
	if err != nil {
		return 0, 0, err
	}
	var joined uint64
	count, _, err := segmentioEach(ctx, j, m, func(msg *kafkago.Message) error {
		if right, ok := table[string(msg.Key)]; ok {
			joined += joinSum(msg.Value, right)
		}
		return nil
	})
	return count, joined, err
}
