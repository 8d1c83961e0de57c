package main

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/twmb/franz-go/pkg/kgo"
)

// franzRestore is what one writes first: every record of the changelog becomes a Set of a Pebble batch.
func franzRestore(ctx context.Context, j *job, m *meter) (count int64, sum uint64, err error) {
	db, err := pebble.Open(filepath.Join(j.Dir, "db"), &pebble.Options{DisableWAL: true, MemTableSize: 64 << 20, Logger: quiet{}})
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	at := map[string]map[int32]kgo.Offset{j.Input: {}}
	for p := range j.Ends {
		at[j.Input][int32(p)] = kgo.NewOffset().At(0)
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(j.Brokers...), kgo.ConsumePartitions(at), kgo.FetchMaxPartitionBytes(1<<20))
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	b := db.NewBatch()
	var failed error
	count, sum, err = franzEach(ctx, c, j, m, func(r *kgo.Record) {
		b.Set(r.Key, r.Value, nil)
		if b.Count() >= 1000 {
			failed = errors.Join(failed, db.Apply(b, pebble.NoSync))
			b.Reset()
		}
	})
	return count, sum, errors.Join(err, failed, db.Apply(b, pebble.NoSync), b.Close(), db.Flush())
}

// quiet is a logger that says nothing.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(string, ...any) {}
