package state

// StoreStats describes the cache of a store.
type StoreStats struct {
	Entries int   // keys in the cache
	Loads   int64 // look-ups that the engine was asked for, since the store was opened
}

// EngineStats describes what an engine has on disk and in memory.
type EngineStats struct {
	DiskBytes      int64 // of tables and logs
	MemtableBytes  int64
	CompactionDebt int64 // bytes that compactions have yet to write, estimated
	IngestedTables int64 // since the engine was opened
}

// Measured is an Engine that can describe itself. Stats may be called from any goroutine, also after Close.
type Measured interface{ Stats() EngineStats }

// Stats describes the cache. It belongs to the goroutine of the task.
func (c *core[K, V]) Stats() StoreStats { return c.cold.stats() }

func (c *cache[X]) stats() StoreStats { return StoreStats{c.used, c.loads} }
