package pebblestore

import (
	"io"
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/storetest"
)

// small are options under which a few rows already flush, compact, and make batches too large for a memtable.
func small(fs vfs.FS) Options {
	return Options{
		Dir: "/state", Name: "app", FS: fs, CacheBytes: 1 << 20, MemtableBytes: 256 << 10, TableBytes: 2 << 10,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

func TestEngine(t *testing.T) {
	storetest.Engine(t, func() storetest.Place {
		fs := vfs.NewMem()
		return storetest.Place{Durable: true, Open: func() (state.Engine, error) { return Open(small(fs)) }}
	})
}

func TestSubscriptions(t *testing.T) {
	storetest.Subscriptions(t, func() storetest.Place {
		fs := vfs.NewMem()
		return storetest.Place{Durable: true, Open: func() (state.Engine, error) { return Open(small(fs)) }}
	})
}

func TestBuffer(t *testing.T) {
	storetest.Buffer(t, func() storetest.Place {
		fs := vfs.NewMem()
		return storetest.Place{Durable: true, Open: func() (state.Engine, error) { return Open(small(fs)) }}
	})
}

func TestUnmatched(t *testing.T) {
	storetest.Unmatched(t, func() storetest.Place {
		fs := vfs.NewMem()
		return storetest.Place{Durable: true, Open: func() (state.Engine, error) { return Open(small(fs)) }}
	})
}

func TestStores(t *testing.T) {
	storetest.Stores(t, func() storetest.Place {
		fs := vfs.NewMem()
		return storetest.Place{Durable: true, Open: func() (state.Engine, error) { return Open(small(fs)) }}
	}, nil)
}
