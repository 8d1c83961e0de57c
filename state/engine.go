package state

import "github.com/oxbow-streams/oxbow/internal/record"

// Kind is what a store remembers by. It decides key layouts and how the keys of the store compare in an engine.
type Kind uint8

// The kinds of store. Values are part of the format on disk.
const (
	KindKeyValue  Kind = 1
	KindWindow    Kind = 2
	KindSession   Kind = 3
	KindVersioned Kind = 4
	KindBuffer    Kind = 5
)

// Engine holds the committed state of one app instance: ordered bytes, divided by task and store. It never sees a write
// that has not been committed. Its methods may be called from any goroutine; each Space has one writer, its task.
type Engine interface {
	// Space returns the part of the engine that belongs to a task, whether or not it holds anything yet.
	Space(id record.TaskID) (Space, error)
	// Tasks lists the tasks of which the engine holds committed state, in order.
	Tasks() ([]record.TaskID, error)
	// Flush makes all that has been committed durable.
	Flush() error
	// Close flushes and gives up the state directory. Iterators must be closed before: while one is open, Close flushes and
	// returns an error that says how many there are.
	Close() error
}

// Space is the state of one task.
type Space interface {
	// Store returns the store of that name, and makes it if the space lacks it; it is remembered with the first commit that
	// touches it. A store that exists with another kind or format version is an error that names both.
	Store(name string, kind Kind) (EngineStore, error)
	// Batch returns an empty batch over this space.
	Batch() Batch
	// Offset returns what was stored with [Batch.SetOffset] for a store; ok is false if nothing was.
	Offset(store string) (o StoredOffset, ok bool, err error)
	// Wipe deletes all state of the task, offsets included. A crash before the next Flush may bring back what had been
	// committed, whole and with its offsets.
	Wipe() error
	// Close releases the space. The state stays.
	Close() error
}

// StoredOffset says up to where a store follows its changelog. It is committed in one batch with the data.
type StoredOffset struct {
	Changelog  int64  // next offset of the changelog partition to read
	BrokerTime int64  // ms, the largest broker timestamp known at that offset; 0 if unknown
	Position   []byte // input positions that the state includes, encoded by the engine's caller
}

// EngineStore reads one store of a space. Reads see committed state only and may come from any goroutine. Keys are ordered
// by [Kind.Compare], and keys and bounds shorter than the suffix of the kind are refused.
type EngineStore interface {
	Name() string
	Kind() Kind
	// Get appends the value of key to dst. ok is false if there is none.
	Get(dst, key []byte) (value []byte, ok bool, err error)
	// Iter iterates over [lower, upper), nil for no bound, as of now. It sees no later commit.
	Iter(lower, upper []byte, reverse bool) (Iterator, error)
	// Ingester loads restored data in bulk, beside the batches: what it has ingested is visible, with its offset, all at once.
	Ingester() (Ingester, error)
}

// Iterator walks keys in order. It starts before the first key. Key and Value are valid until the next call. It is not for
// concurrent use. When Next returns false, Err tells the end from a failure.
type Iterator interface {
	Next() bool
	Key() []byte
	Value() []byte
	Err() error
	Close() error
}

// Batch is a set of writes that is committed whole or not at all; of two writes to one key the later one holds. Keys should
// be added in order: an engine may be several times faster then. It is not for concurrent use. Key and value are copied; a
// nil value is stored as an empty one. Commit and Discard spend it.
type Batch interface {
	Set(s EngineStore, key, value []byte) error
	Delete(s EngineStore, key []byte) error
	DeleteRange(s EngineStore, lower, upper []byte) error
	// SetOffset stores how far a store follows its changelog. The store has been made by [Space.Store].
	SetOffset(store string, o StoredOffset) error
	Len() int // bytes
	// Commit applies the batch. It may block while the disk is busy; an engine that is in trouble (disk full, I/O error,
	// corruption) returns an *EngineError in bounded time.
	Commit() error
	Discard()
}

// Ingester takes the keys of one store in strictly ascending order; a nil value deletes. Finish makes them visible together
// with the offset, all at once, and spends the ingester; so does Abort, which leaves no trace and does nothing after Finish.
// While an ingester is open nothing else writes to its store.
type Ingester interface {
	Add(key, value []byte) error
	Finish(o StoredOffset) error
	Abort()
}
