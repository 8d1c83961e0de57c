package main

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// The loops that a programmer would write with franz-go: a group with autocommit each second, an idempotent producer.

func franzClient(j *job, more ...kgo.Opt) (*kgo.Client, error) {
	codec, err := codecOf(j.Codec)
	if err != nil {
		return nil, err
	}
	return kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(j.Brokers...), kgo.ConsumerGroup(j.App), kgo.ConsumeTopics(j.Input),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.AutoCommitInterval(time.Second),
		kgo.FetchMaxPartitionBytes(1 << 20), kgo.DefaultProduceTopic(j.Output),
		kgo.ProducerBatchCompression(codec), kgo.ProducerLinger(10 * time.Millisecond), kgo.ProducerBatchMaxBytes(batchBytes),
		kgo.MaxBufferedRecords(100_000), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
	}, more...)...)
}

// franzEach polls until all records of the input have been seen.
func franzEach(ctx context.Context, c *kgo.Client, j *job, m *meter, f func(*kgo.Record)) (count int64, sum uint64, err error) {
	for count < j.Records {
		polled := c.PollFetches(ctx)
		if err := polled.Err(); err != nil {
			return count, sum, err
		}
		polled.EachRecord(func(r *kgo.Record) {
			m.first()
			sum += numberOf(r.Value)
			count++
			f(r)
		})
	}
	return count, sum, nil
}

// franzFinish flushes what was produced and commits.
func franzFinish(ctx context.Context, c *kgo.Client, failed chan error) error {
	if err := c.Flush(ctx); err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	default:
		return c.CommitUncommittedOffsets(ctx)
	}
}

func note(failed chan error) func(*kgo.Record, error) {
	return func(_ *kgo.Record, err error) {
		if err != nil {
			select {
			case failed <- err:
			default:
			}
		}
	}
}

func franzConsume(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
	c, err := franzClient(j)
	if err != nil {
		return 0, 0, err
	}
	defer c.CloseAllowingRebalance()
	count, sum, err := franzEach(ctx, c, j, m, func(*kgo.Record) {})
	return count, sum, errors.Join(err, c.CommitUncommittedOffsets(ctx))
}

func franzPass(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
	c, err := franzClient(j)
	if err != nil {
		return 0, 0, err
	}
	defer c.CloseAllowingRebalance()
	failed := make(chan error, 1)
	promise := note(failed)
	count, sum, err := franzEach(ctx, c, j, m, func(r *kgo.Record) {
		c.Produce(ctx, &kgo.Record{Key: r.Key, Value: r.Value, Timestamp: r.Timestamp, Headers: r.Headers}, promise)
	})
	return count, sum, errors.Join(err, franzFinish(ctx, c, failed))
}

// franzCount counts in a Go map and writes every new count to the output: the changelog of a store without a cache. It
// keeps nothing on disk and restores nothing.
func franzCount(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
	c, err := franzClient(j)
	if err != nil {
		return 0, 0, err
	}
	defer c.CloseAllowingRebalance()
	failed := make(chan error, 1)
	promise := note(failed)
	counts := make(map[string]*int64, j.Keys)
	count, sum, err := franzEach(ctx, c, j, m, func(r *kgo.Record) {
		n := counts[string(r.Key)]
		if n == nil {
			n = new(int64)
			counts[string(r.Key)] = n
		}
		*n++
		c.Produce(ctx, &kgo.Record{Key: r.Key, Value: binary.BigEndian.AppendUint64(nil, uint64(*n)), Timestamp: r.Timestamp}, promise)
	})
	return count, sum, errors.Join(err, franzFinish(ctx, c, failed))
}

// franzMap counts in a Go map and tells nobody.
func franzMap(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
	c, err := franzClient(j)
	if err != nil {
		return 0, 0, err
	}
	defer c.CloseAllowingRebalance()
	counts := make(map[string]*int64, j.Keys)
	count, _, err := franzEach(ctx, c, j, m, func(r *kgo.Record) {
		n := counts[string(r.Key)]
		if n == nil {
			n = new(int64)
			counts[string(r.Key)] = n
		}
		*n++
	})
	var total uint64
	for _, n := range counts {
		total += uint64(*n)
	}
	return count, total, errors.Join(err, c.CommitUncommittedOffsets(ctx))
}

// franzJoin reads the table into a Go map and looks every record up.
func franzJoin(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
	table, err := readTable(ctx, j)
	if err != nil {
		return 0, 0, err
	}
	c, err := franzClient(j)
	if err != nil {
		return 0, 0, err
	}
	defer c.CloseAllowingRebalance()
	var joined uint64
	count, _, err := franzEach(ctx, c, j, m, func(r *kgo.Record) {
		if right, ok := table[string(r.Key)]; ok {
			joined += joinSum(r.Value, right)
		}
	})
	return count, joined, errors.Join(err, c.CommitUncommittedOffsets(ctx))
}

// readTable is the table side, read before the clock starts.
func readTable(ctx context.Context, j *job) (map[string][]byte, error) {
	table := make(map[string][]byte, j.Keys)
	err := readAll(ctx, j.Brokers, j.Table, j.TableEnds, func(_ int32, key, value []byte) {
		table[string(key)] = append([]byte(nil), value...)
	})
	return table, err
}
