package main

import (
	"context"
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// layerConsume is our fetcher with nothing above it. It runs only when -only names it: the difference to ours is what
// the engine costs, the difference to the limit what fetching costs.
func layerConsume(ctx context.Context, j *job, m *meter) (count int64, sum uint64, err error) {
	c, err := kafka.Open(kafka.Config{Brokers: j.Brokers})
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(ctx)
	answers := make(chan []kafka.Fetched, 4)
	f := c.NewFetcher(kafka.FetchConfig{}, func(list []kafka.Fetched) {
		select {
		case answers <- list:
		case <-ctx.Done():
		}
	})
	for p := range j.Ends {
		f.Add(record.TopicPartition{Topic: j.Input, Partition: int32(p)}, 0)
	}
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	for count < j.Records {
		select {
		case list := <-answers:
			m.first()
			for _, fd := range list {
				n, s, err := sumFetched(&fd)
				if err != nil {
					return count, sum, err
				}
				count += n
				sum += s
			}
		case <-ctx.Done():
			return count, sum, fmt.Errorf("%d of %d records seen: %w", count, j.Records, ctx.Err())
		}
	}
	return count, sum, nil
}

func sumFetched(f *kafka.Fetched) (count int64, sum uint64, err error) {
	if f.Err != nil {
		return 0, 0, f.Err
	}
	for _, b := range f.Batches {
		c := b.Cursor(f.Position)
		var r record.Raw
		for {
			ok, err := c.Next(&r)
			if err != nil {
				return count, sum, err
			}
			if !ok {
				break
			}
			sum += numberOf(r.Value)
			count++
		}
		b.Release()
	}
	return count, sum, nil
}
