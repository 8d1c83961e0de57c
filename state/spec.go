package state

import (
	"encoding/binary"
	"maps"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// Spec describes a store of a topology: what a task needs to open, log and restore it.
type Spec struct {
	Name        string // see Spec.Check
	Kind        Kind
	InMemory    bool              // the engine keeps it in memory, to be restored at every start
	Logged      bool              // it has a changelog
	TopicConfig map[string]string // of the changelog topic
	Timestamped bool              // engine values begin with the 8-byte time of the value
	Buffered    bool              // updates go downstream once per commit, through the emission buffer

	// Open opens the store of one task. It returns a *KeyValue[K, V], a *Table[K, V]...
	Open func(*Env) (Store, error)

	// View reads the store's rows from an engine, for queries: a *View[K, V] for a store of keys and values. nil: it cannot be
	// queried.
	View any

	// FromChangelog turns a changelog record into what the engine keeps; a nil value deletes. Results alias the record or
	// dst, whose room may be used.
	FromChangelog func(dst []byte, r record.Raw) (key, value []byte, err error)

	// FromSource is FromChangelog for a store that is restored from the topic that its table, or its processor, is read from. ok is false for a
	// record that the table passes over. nil: it cannot be.
	FromSource func(dst []byte, r record.Raw) (key, value []byte, ok bool)

	// StoreKey returns a row's key, as the changelog has it, by its key in the engine; ok is false for what the store keeps for
	// itself. nil: the keys are the same.
	StoreKey func(engineKey []byte) (key []byte, ok bool)

	segments *segments // of a window or session store, to restore it; else nil

	// Replayed says that the rows of the engine depend on each record of the changelog and on their order: FromChangelog is nil,
	// and a restore writes the records again, into a store of its own that is a [Replayer].
	Replayed bool
}

// Replayer is a store that can be restored only by writing what its changelog says again.
type Replayer interface {
	Store
	// Replay writes a record of the changelog, a view. Between calls nothing of a unit is open.
	Replay(r record.Raw) error
}

// Env is what a store is opened in.
type Env struct {
	Task   record.TaskID
	Units  *record.Units // of the task
	Engine EngineStore
	Budget *Budget // of the app; nil: no limits
	Time   *int64  // the time of the record in work: what a plain store logs its writes with; nil: 0
	// RecordBytes is what key and value of a changelog record may have together: a write that would make a larger one fails.
	// 0: no limit.
	RecordBytes int
}

// Changelog takes what a commit writes to a changelog topic. A nil value is a tombstone. Bytes are copied.
type Changelog interface {
	Append(time int64, key, value []byte, h record.Headers) error
}

// Store is what a task sees of a store, whatever its types.
//
// Freeze, Applied, Reset and Close are called between units.
type Store interface {
	record.Undoer
	Name() string

	// DirtyBytes is about how much the next Freeze writes.
	DirtyBytes() int

	// Freeze writes what has changed since the last one to the batch and, unless it is nil, to the changelog. Until Applied
	// the entries stay in the cache, since the engine lacks them; they may be written again at once, for the next commit.
	// After an error nothing is frozen: the caller discards what it has and calls Reset or Close.
	Freeze(b Batch, log Changelog) error

	// Applied says that the batch of the last Freeze is in the engine.
	Applied()

	// Reset forgets everything that is not in the engine, notes included.
	Reset()

	// Close forgets everything and gives the memory back. The engine's part is not closed.
	Close() error
}

// compacted is the configuration of a key-value changelog, as Kafka Streams makes it.
var compacted = map[string]string{"cleanup.policy": "compact"}

// KeyValueSpec describes a plain key-value store. Fields may be changed afterwards.
func KeyValueSpec[K, V any](name string, keys serde.Serde[K], vals serde.Serde[V]) Spec {
	return Spec{
		Name: name, Kind: KindKeyValue, Logged: true, TopicConfig: maps.Clone(compacted),
		Open:          func(env *Env) (Store, error) { return OpenKeyValue(env, keys, vals) },
		FromChangelog: plainFromChangelog, FromSource: fromSource(keys, vals, plainFromChangelog), View: newView(name, keys, vals, false),
	}
}

// TableSpec describes a timestamped key-value store, the store of a table. Fields may be changed afterwards.
func TableSpec[K, V any](name string, keys serde.Serde[K], vals serde.Serde[V]) Spec {
	return Spec{
		Name: name, Kind: KindKeyValue, Logged: true, TopicConfig: maps.Clone(compacted), Timestamped: true,
		Open:          func(env *Env) (Store, error) { return OpenTable(env, keys, vals) },
		FromChangelog: timestampedFromChangelog, FromSource: fromSource(keys, vals, timestampedFromChangelog),
		View: newView(name, keys, vals, true),
	}
}

// fromSource passes over what a table drops, and what it could not decode: that was dead-lettered.
func fromSource[K, V any](keys serde.Serde[K], vals serde.Serde[V],
	from func([]byte, record.Raw) (key, value []byte, err error)) func([]byte, record.Raw) (key, value []byte, ok bool) {
	return func(dst []byte, r record.Raw) (key, value []byte, ok bool) {
		if r.Key == nil || r.Time < 0 {
			return nil, nil, false
		}
		if _, err := keys.Decode(r.Key); err != nil {
			return nil, nil, false
		}
		if r.Value != nil {
			if _, err := vals.Decode(r.Value); err != nil {
				return nil, nil, false
			}
		}
		key, value, _ = from(dst, r)
		return key, value, true
	}
}

func plainFromChangelog(_ []byte, r record.Raw) (key, value []byte, err error) {
	return r.Key, r.Value, nil
}

func timestampedFromChangelog(dst []byte, r record.Raw) (key, value []byte, err error) {
	if r.Value == nil {
		return r.Key, nil, nil
	}
	dst = binary.BigEndian.AppendUint64(dst[:0], uint64(r.Time))
	return r.Key, append(dst, r.Value...), nil
}
