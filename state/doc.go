// Package state is what a task remembers between records: typed stores with a write-back cache over an engine, their undo
// log, the emission buffer of tables, and the restore of a store from its changelog.
//
// A store belongs to the goroutine of its task. Queries of other goroutines read the engine, never the cache.
//
// # Guarantees
//
//	S1  Committed only. The engine sees a write when the batch of a [Store] Freeze is committed, never before. A dirty entry
//	    is not spilled, whatever its size; budgets make the owner commit early.
//	S2  Units. Every write and every note is undone with its unit: value, presence, dirtiness, note and order are as before.
//	S3  One row, one look-up. A key whose entry is cached, absent ones included, is read and written without the engine.
//	S4  Once per commit. Freeze writes each dirty key once, in the order of key bytes, to the batch and to the changelog. A
//	    key that neither the engine nor the changelog has, and that was set and deleted in between, is not written at all.
//	S5  No error at commit. A value whose serde may fail is encoded when it is put; Freeze then meets it as bytes, or has
//	    seen that it encodes. Values of a [serde.Infallible] serde are encoded at Freeze alone.
//	S6  Stored is stored. What a function does to a value that it has read from a store, or after it has put it, does not
//	    reach the store: a value is kept decoded only if its type holds no pointers other than strings, or if its serde is a
//	    [serde.Cloner]; any other is kept encoded.
//	S7  Iterators merge cache and engine, in the order of unsigned key bytes, show the store as of their opening whatever is
//	    written meanwhile, and end with their unit.
//	S8  Emission. A table's notes come out once per key, ordered by each key's last note, with the newest value and context
//	    and the value last emitted. A key that was not there at the last drain and is not there now is left out.
//	S9  Empty is not null. A key or a value of zero bytes is a key or a value.
//	S10 A store that is Replayed ([Versioned]) logs each write, in order, not each row. S4 holds for its rows.
//	S11 Expiry. A row of a window, session or join store is visible while its time is later than stream time - retention; stream
//	    time is that of the store's own rows, and is undone with them. What has expired is dropped by whole segments, with a
//	    commit, from cache and engine; the changelog's retention drops it there. A store that is asked by time drops nothing that
//	    is held.
//	S12 Runs. Of a key the cache knows from which time on it has all rows, and so it does of all keys: there the engine is asked for
//	    none. Forgetting a row raises these times; a row that was set and deleted between two commits leaves nothing behind. A row
//	    whose window is over is forgotten when a commit has brought it to the engine.
//	S13 Due. A store that is asked by time has the times of the rows that are held in memory: where the cache has all rows, asking
//	    what is due costs what is due.
//
// # What it does not do
//
// It knows no topic and no clock: times are arguments. It does not decide when to commit. An entry that is read but not
// written is forgotten under memory pressure. Rows of windows, sessions and joins are entries too, which runs hold together by
// key; versioned and buffer stores have caches of their own kind.
package state
