package main

import (
	"context"
	"encoding/binary"
	"errors"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
)

const coldRecords = 10_000_000

// coldCache is what state may keep in memory, as small beside the keys in a short run as in a long one.
func coldCache(j *job) int64 { return max(64<<20*j.Records/coldRecords, 1<<20) }

// limitCold reads as the limit does, and gets and puts each count in Pebble, without a log.
func limitCold(ctx context.Context, j *job, m *meter) (records int64, sum uint64, err error) {
	cache := pebble.NewCache(coldCache(j))
	defer cache.Unref()
	db, err := pebble.Open(filepath.Join(j.Dir, "db"), &pebble.Options{
		DisableWAL: true, MemTableSize: 64 << 20, Cache: cache, Logger: quiet{},
	})
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	r, err := newLimitReader(ctx, j.Brokers, j.Input, j.Ends, m.first)
	if err != nil {
		return 0, 0, err
	}
	defer r.close()
	var buf []byte
	value := make([]byte, 8)
	err = r.read(ctx, func(n *limitNode) error {
		var failed error
		err := n.eachOf(&buf, func(_ *fetchPart, raw, set []byte) {
			eachRecord(set, countOf(raw), func(key, _ []byte) {
				records++
				failed = errors.Join(failed, addOne(db, key, value))
			})
		})
		return errors.Join(err, failed)
	})
	m.end()
	if err != nil {
		return records, 0, err
	}
	it, err := db.NewIter(nil)
	if err != nil {
		return records, 0, err
	}
	for ok := it.First(); ok; ok = it.Next() {
		sum += binary.BigEndian.Uint64(it.Value())
	}
	return records, sum, it.Close()
}

func addOne(db *pebble.DB, key, value []byte) error {
	var n uint64
	switch old, closer, err := db.Get(key); {
	case err == nil:
		n = binary.BigEndian.Uint64(old)
		closer.Close()
	case !errors.Is(err, pebble.ErrNotFound):
		return err
	}
	binary.BigEndian.PutUint64(value, n+1)
	return db.Set(key, value, pebble.NoSync)
}
