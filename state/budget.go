package state

import "sync/atomic"

// Budget is the memory that the stores of an app share. Stores add to it in steps, so what it says lags by up to
// [foldStep] per store.
type Budget struct {
	dirtyLimit, bufferLimit, cacheLimit int64
	least                               int // slots that a store may have whatever the limit

	dirty, buffered, total atomic.Int64
}

// foldStep is how far a store's own counters may run ahead of the budget's: one atomic add per some hundred updates.
const foldStep = 32 << 10

// NewBudget returns a budget. Beyond dirty bytes of uncommitted writes, or beyond buffered bytes of rows that wait for the
// next drain, the app should commit; beyond cache bytes in all, stores forget entries that are not in use. 0 is no limit.
func NewBudget(dirty, buffered, cache int64) *Budget {
	return &Budget{dirtyLimit: dirty, bufferLimit: buffered, cacheLimit: cache, least: chunkLen}
}

// Dirty is what is written but not in the engine.
func (b *Budget) Dirty() int64 { return b.dirty.Load() }

// Buffered is what waits in emission buffers.
func (b *Budget) Buffered() int64 { return b.buffered.Load() }

// Total is the memory of all caches.
func (b *Budget) Total() int64 { return b.total.Load() }

// CommitDue tells whether a limit asks for an early commit.
func (b *Budget) CommitDue() bool {
	return b.dirtyLimit > 0 && b.dirty.Load() >= b.dirtyLimit ||
		b.bufferLimit > 0 && b.buffered.Load() >= b.bufferLimit
}

// account is one store's part of a budget.
type account struct {
	b                       *Budget
	dirty, frozen           int64 // bytes of dirty entries, and of frozen ones that are not applied yet
	buffered, total         int64
	inDirty, inBuf, inCache int64 // what the budget has been told
}

// addDirty counts n more bytes (or fewer) that wait for the next commit.
func (a *account) addDirty(n int64) {
	a.dirty += n
	if d := a.dirty + a.frozen - a.inDirty; d > foldStep || d < -foldStep {
		a.fold()
	}
}

func (a *account) addBuffered(n int64) {
	a.buffered += n
	if d := a.buffered - a.inBuf; d > foldStep || d < -foldStep {
		a.fold()
	}
}

// setTotal is told at once: it changes with chunks of memory, not with entries.
func (a *account) setTotal(n int64) {
	if a.total = n; a.total != a.inCache {
		a.fold()
	}
}

// room tells whether n more bytes of cache are within the limit.
func (a *account) room(n int64) bool {
	return a.b == nil || a.b.cacheLimit <= 0 || a.b.total.Load()+n <= a.b.cacheLimit
}

// fold tells the budget.
func (a *account) fold() {
	if a.b == nil {
		return
	}
	a.b.dirty.Add(a.dirty + a.frozen - a.inDirty)
	a.b.buffered.Add(a.buffered - a.inBuf)
	a.b.total.Add(a.total - a.inCache)
	a.inDirty, a.inBuf, a.inCache = a.dirty+a.frozen, a.buffered, a.total
}
