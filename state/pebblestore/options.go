package pebblestore

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/oxbow-streams/oxbow/state"
)

// Options says where the state is and what it may cost. Dir and Name must be set.
type Options struct {
	Dir  string // where the state of all applications is
	Name string // application id: a directory in Dir

	CacheBytes    int64         // block cache, memtables not counted; default 64 MiB
	MemtableBytes int64         // all memtables together; default 64 MiB. Batches of more than a quarter come on top
	TableBytes    int64         // size of an ingested table; default 32 MiB
	FlushEvery    time.Duration // default 60 s
	StuckAfter    time.Duration // longest time that a commit, flush or ingest may take; default 60 s

	Log *slog.Logger // default slog.Default()

	// FS is the filesystem; nil is the disk. Tests use vfs.NewMem and others.
	FS vfs.FS
	// Ticker is where the time between flushes comes from; nil is time.NewTicker.
	Ticker func(d time.Duration) (c <-chan time.Time, stop func())
}

const mib = 1 << 20

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, fmt.Errorf("state directory: none is given; set one that outlives the process")
	}
	if err := state.CheckName("application id", o.Name); err != nil {
		return o, err
	}
	def := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	def(&o.CacheBytes, 64*mib)
	def(&o.MemtableBytes, 64*mib)
	def(&o.TableBytes, 32*mib)
	def((*int64)(&o.FlushEvery), int64(60*time.Second))
	def((*int64)(&o.StuckAfter), int64(60*time.Second))
	for what, v := range map[string]int64{
		"CacheBytes": o.CacheBytes, "MemtableBytes": o.MemtableBytes, "TableBytes": o.TableBytes,
		"FlushEvery": int64(o.FlushEvery), "StuckAfter": int64(o.StuckAfter),
	} {
		if v < 0 {
			return o, fmt.Errorf("state directory %s: %s is %d: it must not be negative", o.Dir, what, v)
		}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Ticker == nil {
		o.Ticker = func(d time.Duration) (<-chan time.Time, func()) {
			t := time.NewTicker(d)
			return t.C, t.Stop
		}
	}
	return o, nil
}

// pebbleFormat is pinned: a newer Pebble keeps writing what an older Oxbow can read. It is the last one with tables by row.
// Tables by column (from FormatColumnarBlocks on) cost our rows more: commits of 100 k sorted keys 0.8 against 1.3 M/CPU-s,
// ingests 2.05 against 2.4, a get 6.0 against 5.0 µs. It can be raised later, but never lowered.
const pebbleFormat = pebble.FormatFlushableIngestExcises

// baseBytes is how much the uppermost level of tables may hold. A restore brings a store in a few sorted rounds, each of which comes
// to lie above those before it; at Pebble's 64 MiB they were merged while the restore was still going on.
const baseBytes = 512 * mib

// indexBytes is how large the index of a table may be before it gets a second level: none of ours does.
const indexBytes = 1 * mib

// pebble returns the options of the database. The caller unrefs the cache.
func (o Options) pebble(fs vfs.FS, h *health) *pebble.Options {
	po := &pebble.Options{
		FS:                 fs,
		Cache:              pebble.NewCache(o.CacheBytes + o.MemtableBytes), // of which Pebble takes what its memtables have
		Comparer:           comparer,
		FormatMajorVersion: pebbleFormat,
		DisableWAL:         true,
		// Two memtables: one fills while the other is flushed. Batches of more than half of one skip the skip list.
		MemTableSize:                uint64(max(o.MemtableBytes/2, 64<<10)),
		MemTableStopWritesThreshold: 2,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		LBaseMaxBytes:               baseBytes,
		L0CompactionThreshold:       8, // half as many tables above one another; Pebble's own 4 would merge each round of a restore
		Logger:                      logger{h},
		EventListener:               h.listener(),
	}
	// What is flushed or ingested is written again by a compaction soon, if there is more than a little of it: that is where the
	// time for compressing it is well spent.
	po.Levels[0].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
	for i := 1; i < len(po.Levels); i++ {
		po.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.SnappyCompression }
	}
	// A get looks at the filters of all levels, the last one too: a key that is not there costs no look at a block. The index of a
	// table is one block, not a tree of small ones, each of which would have to be found in the cache.
	for i := range po.Levels {
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		po.Levels[i].FilterType = pebble.TableFilter
		po.Levels[i].IndexBlockSize = indexBytes
	}
	po.EnsureDefaults()
	return po
}
