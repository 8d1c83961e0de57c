package engine

import (
	"hash/maphash"
	"sync"

	"github.com/oxbow-streams/oxbow/state"
)

// globalCache keeps rows of global stores in memory for the tasks of all workers, over the one writer's engine. It holds what is
// committed: a commit takes the rows that it has changed out.
//
// A reader that fetches a row while the writer commits another value of it must not put the old one back: a row is only kept if
// no commit has touched its shard since the engine was asked.
type globalCache struct {
	seed   maphash.Seed
	shards [globalShards]globalShard
}

const (
	globalShards = 16
	// globalRoom bounds each half of a shard: 32 MiB for a store.
	globalRoom = 1 << 20
	// rowCost is what a kept row takes beside its bytes, about.
	globalRowCost = 64
)

// globalShard is two halves: rows go into the young one; when that is full it becomes the old one, whose rows are forgotten unless
// they were used again.
type globalShard struct {
	mu         sync.RWMutex
	young, old map[string]globalRow
	size       int    // of young
	commits    uint64 // that touched the shard
}

type globalRow struct {
	row []byte
	ok  bool // false: the engine has none
}

func newGlobalCache() *globalCache {
	c := &globalCache{seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].young = map[string]globalRow{}
	}
	return c
}

func (c *globalCache) shard(key []byte) *globalShard {
	return &c.shards[maphash.Bytes(c.seed, key)%globalShards]
}

// get returns a kept row, and what put needs to know if there is none.
func (s *globalShard) get(key []byte) (r globalRow, found, aged bool, commits uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if r, found = s.young[string(key)]; !found {
		r, found = s.old[string(key)]
		aged = found
	}
	return r, found, aged, s.commits
}

// put keeps a row, unless a commit has come in between.
func (s *globalShard) put(key []byte, r globalRow, commits uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.commits != commits {
		return
	}
	cost := len(key) + len(r.row) + globalRowCost
	if cost > globalRoom/4 {
		return
	}
	if s.size += cost; s.size > globalRoom {
		s.old, s.young, s.size = s.young, map[string]globalRow{}, cost
	}
	s.young[string(key)] = r
}

// forget takes out what a commit has changed.
func (c *globalCache) forget(keys [][]byte) {
	for _, key := range keys {
		s := c.shard(key)
		s.mu.Lock()
		s.commits++
		delete(s.young, string(key))
		delete(s.old, string(key))
		s.mu.Unlock()
	}
}

// forgetAll empties the cache.
func (c *globalCache) forgetAll() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.commits++
		s.young, s.old, s.size = map[string]globalRow{}, nil, 0
		s.mu.Unlock()
	}
}

// cachedRows reads a global store through the cache. It implements node.GlobalView.
type cachedRows struct {
	state.EngineStore
	cache *globalCache
}

// Get implements node.GlobalView.
func (r *cachedRows) Get(dst, key []byte) ([]byte, bool, error) {
	s := r.cache.shard(key)
	kept, found, aged, commits := s.get(key)
	if !found {
		row, ok, err := r.EngineStore.Get(nil, key)
		if err != nil {
			return dst, false, err
		}
		kept = globalRow{row, ok}
	}
	if !found || aged {
		s.put(key, kept, commits)
	}
	return append(dst, kept.row...), kept.ok, nil
}

// writtenSpace is the space of a global store's writer: it tells the cache what its commits change.
type writtenSpace struct {
	state.Space
	cache *globalCache
}

// Batch implements [state.Space].
func (s *writtenSpace) Batch() state.Batch {
	return &writtenBatch{Batch: s.Space.Batch(), cache: s.cache}
}

type writtenBatch struct {
	state.Batch
	cache *globalCache
	keys  [][]byte
	all   bool
}

// mostForgotten is how many rows are taken out one by one; a commit that changes more empties the cache.
const mostForgotten = 10_000

func (b *writtenBatch) note(key []byte) {
	if b.all = b.all || len(b.keys) == mostForgotten; !b.all {
		b.keys = append(b.keys, append([]byte(nil), key...))
	}
}

// Set implements [state.Batch].
func (b *writtenBatch) Set(s state.EngineStore, key, value []byte) error {
	b.note(key)
	return b.Batch.Set(s, key, value)
}

// Delete implements [state.Batch].
func (b *writtenBatch) Delete(s state.EngineStore, key []byte) error {
	b.note(key)
	return b.Batch.Delete(s, key)
}

// DeleteRange implements [state.Batch].
func (b *writtenBatch) DeleteRange(s state.EngineStore, lower, upper []byte) error {
	b.all = true
	return b.Batch.DeleteRange(s, lower, upper)
}

// Commit implements [state.Batch].
func (b *writtenBatch) Commit() error {
	err := b.Batch.Commit()
	if b.all {
		b.cache.forgetAll()
	} else {
		b.cache.forget(b.keys)
	}
	return err
}
