package main

import (
	"context"
	"time"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// guaranteeCases are the cases of -case eos: the same application exactly once, with at least once as the limit, both with commits every
// 100 ms. A ratio of 0.87 is 15 % dearer.
var guaranteeCases = []benchCase{
	{name: "eos-pass", records: 3_000_000, input: inputTopic, output: true, candidates: guaranteed(eosPass), check: asOurs(checkPass)},
	{name: "eos-count", records: 2_000_000, input: inputTopic, output: true, candidates: guaranteed(eosCount), check: asOurs(checkCount)},
	{name: "eos-shuffle", records: 2_000_000, input: inputTopic, candidates: guaranteed(eosShuffle),
		check: checkSum(func(j *job) uint64 { return sumTo(j.Records) })},
}

func guaranteed(run func(ctx context.Context, j *job, m *meter, cfg stream.Config) (int64, uint64, error)) []candidate {
	with := func(g stream.Guarantee) loop {
		return func(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
			cfg := oursConfig(j)
			cfg.Guarantee, cfg.CommitInterval = g, 100*time.Millisecond
			return run(ctx, j, m, cfg)
		}
	}
	return []candidate{{limitName, with(stream.AtLeastOnce)}, {oursName, with(stream.ExactlyOnce)}}
}

// asOurs checks both candidates by what they have written.
func asOurs(check func(context.Context, *job, *outcome) error) func(context.Context, *job, *outcome) error {
	return func(ctx context.Context, j *job, o *outcome) error {
		ours := *j
		ours.Candidate = oursName
		return check(ctx, &ours, o)
	}
}

func eosPass(ctx context.Context, j *job, m *meter, cfg stream.Config) (int64, uint64, error) {
	b := stream.NewBuilder()
	stream.From(b, j.Input, serde.BytesView, serde.BytesView).To(j.Output)
	return oursUntilCommitted(ctx, b, cfg, j, m)
}

func eosCount(ctx context.Context, j *job, m *meter, cfg stream.Config) (int64, uint64, error) {
	b := stream.NewBuilder()
	counts := stream.From(b, j.Input, serde.BytesView, serde.BytesView).GroupByKey().Count(stream.As("counts"))
	counts.ToStream().To(j.Output)
	return oursUntilCommitted(ctx, b, cfg, j, m)
}

// eosShuffle sends every record through a repartition topic. It is over when all have come out of it.
func eosShuffle(ctx context.Context, j *job, m *meter, cfg stream.Config) (int64, uint64, error) {
	b, t := stream.NewBuilder(), newTally(j, m)
	stream.From(b, j.Input, serde.BytesView, serde.BytesView).Repartition().ForEach(func(_, v []byte) { t.add(numberOf(v)) })
	err := runOurs(ctx, b, cfg, t.wait)
	return t.records, t.sum, err
}
