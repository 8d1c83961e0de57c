package engine

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/memstore"
)

// Readers of a global store never see a value that is older than what was committed before they asked, however reads and commits
// meet, and none is kept that a commit has replaced.
func TestGlobalCacheIsNeverBehind(t *testing.T) {
	const keys, rounds = 7, 300
	e := memstore.New()
	defer e.Close()
	space, err := e.Space(record.TaskID{})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := space.Store("s", state.KindKeyValue)
	if err != nil {
		t.Fatal(err)
	}
	cache := newGlobalCache()
	view, writer := &cachedRows{rows, cache}, &writtenSpace{space, cache}
	key := func(i int) []byte { return fmt.Append(nil, "key-", i) }
	var committed atomic.Uint64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	var hits atomic.Int64
	for range 3 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				least := committed.Load()
				got, ok, err := view.Get(nil, key(i%keys))
				if err != nil || ok != (len(got) > 0) || least > 0 && !ok {
					t.Errorf("%x %v %v", got, ok, err)
					return
				}
				if ok && binary.BigEndian.Uint64(got) < least {
					t.Errorf("%d was read after %d was committed", binary.BigEndian.Uint64(got), least)
					return
				}
				hits.Add(1)
			}
		})
	}
	for n := uint64(1); n <= rounds; n++ {
		b := writer.Batch()
		for i := range keys {
			if err := b.Set(rows, key(i), binary.BigEndian.AppendUint64(nil, n)); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Commit(); err != nil {
			t.Fatal(err)
		}
		committed.Store(n)
		for before := hits.Load(); n%10 == 0 && hits.Load() == before && !t.Failed(); {
			view.Get(nil, key(0)) // the readers come in between
		}
	}
	close(stop)
	wg.Wait()
	b := writer.Batch()
	if err := b.DeleteRange(rows, nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := view.Get([]byte("dst"), key(1)); string(got) != "dst" || ok || err != nil {
		t.Errorf("%x %v %v after a deletion of all", got, ok, err)
	}
}

// What is kept is bounded, and what is used stays.
func TestGlobalCacheIsBounded(t *testing.T) {
	cache := newGlobalCache()
	row := make([]byte, 1000)
	hot := []byte("hot")
	for i := range 200_000 {
		key := fmt.Append(nil, i)
		s := cache.shard(key)
		_, _, _, commits := s.get(key)
		s.put(key, globalRow{row, true}, commits)
		if s := cache.shard(hot); i%100 == 0 {
			if r, found, aged, commits := s.get(hot); !found && i > 0 {
				t.Fatalf("it was forgotten after %d others", i)
			} else if !found || aged {
				r.row = row
				s.put(hot, r, commits)
			}
		}
	}
	size := 0
	for i := range cache.shards {
		size += (len(cache.shards[i].young) + len(cache.shards[i].old)) * (len(row) + globalRowCost)
	}
	if size > 2*globalShards*globalRoom {
		t.Errorf("%d bytes are kept", size)
	}
}
