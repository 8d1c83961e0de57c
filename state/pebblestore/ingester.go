package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/oxbow-streams/oxbow/state"
)

// tables writes sorted rows into tables of bounded size, beside the database.
type tables struct {
	engine *Engine
	w      *sstable.Writer
	paths  []string
}

// lowest is the level whose options tables are written with: an ingest puts a table as low as it can.
const lowest = 6

// add takes the next row. A nil value deletes.
func (t *tables) add(key, value []byte) error {
	if t.w == nil {
		e := t.engine
		path := e.fs.PathJoin(e.dir, ingestDir, strconv.FormatInt(e.tables.Add(1), 10)+".sst")
		f, err := e.fs.Create(path, vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		t.paths = append(t.paths, path)
		o := e.pebble.MakeWriterOptions(lowest, e.db.TableFormat())
		o.WritingToLowestLevel = false // else deletes are marked obsolete, and readers pass over them
		t.w = sstable.NewWriter(objstorageprovider.NewFileWritable(f), o)
	}
	if value == nil {
		return t.w.Delete(key)
	}
	return t.w.Set(key, value)
}

// full tells whether the table has reached its size; then cut ends it.
func (t *tables) full() bool {
	return t.w != nil && t.w.Raw().EstimatedSize() >= uint64(t.engine.opts.TableBytes)
}

func (t *tables) cut() error {
	if t.w == nil {
		return nil
	}
	w := t.w
	t.w = nil
	return w.Close()
}

// ingest makes the rows visible, all at once.
func (t *tables) ingest() error {
	if err := t.cut(); err != nil {
		return err
	}
	if err := t.engine.db.Ingest(context.Background(), t.paths); err != nil {
		return err
	}
	t.engine.ingested.Add(int64(len(t.paths)))
	t.paths = nil
	return nil
}

func (t *tables) abort() {
	_ = t.cut() // the table is thrown away
	for _, p := range t.paths {
		_ = t.engine.fs.Remove(p) // what stays is removed when the engine is opened
	}
	t.paths = nil
}

// ingestRow writes one row of the whole database, durably. No batch ever writes there, so the ingest need not wait for a
// memtable, and the row is in the manifest when it returns.
func (e *Engine) ingestRow(key, value []byte) error {
	return e.bounded(nil, "", "write row", func() error {
		t := &tables{engine: e}
		err := t.add(key, value)
		if err == nil {
			err = t.ingest()
		}
		if err != nil {
			t.abort()
		}
		return err
	})
}

// ingester builds tables of one store.
type ingester struct {
	store  *store
	tables tables
	fresh  bool // the store is empty: deletes need not be written
	key    []byte
	any    bool
	err    error // what failed; the next calls return it
	spent  bool
	n      int
}

func (s *store) Ingester() (state.Ingester, error) {
	if err := s.check("ingest"); err != nil {
		return nil, err
	}
	in := &ingester{store: s, tables: tables{engine: s.handle.engine}}
	from, _ := s.bounds(nil, nil)
	to := makePrefix(s.handle.id, s.made.number+1, 0)
	err := s.handle.engine.read(&s.handle.id, s.name, "ingest", func() error {
		it, err := s.handle.engine.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to[:]})
		if err != nil {
			return err
		}
		in.fresh = !it.First()
		return errors.Join(it.Error(), it.Close())
	})
	if err != nil {
		return nil, err
	}
	return in, nil
}

// checkEvery is how many rows are added between two looks at whether the engine is closed or has failed.
const checkEvery = 1024

func (in *ingester) Add(key, value []byte) error {
	s := in.store
	if err := in.usable(); err != nil {
		return err
	}
	if err := s.checkKey("ingest", key); err != nil {
		return err
	}
	// Both keys have the same 12 bytes in front, which leaves the order of the store's keys.
	prev := len(in.key)
	in.key = appendKey(in.key, &s.prefix, s.suffix, key)
	if in.any && compare(in.key[:prev], in.key[prev:]) >= 0 {
		was := storeKey(new([]byte), s.suffix, in.key[:prev])
		in.key = in.key[:prev]
		return fmt.Errorf("task %s: store %q: ingest: key %x does not come after key %x", s.handle.id, s.name, key, was)
	}
	in.key = append(in.key[:0], in.key[prev:]...)
	in.any = true
	in.n++
	if value == nil && in.fresh {
		return nil
	}
	if value == nil {
		return in.write(in.key, nil)
	}
	if len(value) == 0 {
		value = []byte{}
	}
	return in.write(in.key, value)
}

func (in *ingester) usable() error {
	s := in.store
	if in.spent {
		return fmt.Errorf("task %s: store %q: ingest: ingester %w", s.handle.id, s.name, state.ErrClosed)
	}
	if in.err != nil {
		return in.err
	}
	if in.n%checkEvery == 0 {
		if err := s.check("ingest"); err != nil {
			return err
		}
		return s.handle.engine.open(&s.handle.id, s.name, "ingest")
	}
	return nil
}

// write adds a row. The disk is written to when a block or a table is full, and may then be slow; only ending a table
// waits for it, so only that is bounded.
func (in *ingester) write(key, value []byte) error {
	s, e := in.store, in.store.handle.engine
	if in.tables.full() {
		if in.err = e.bounded(&s.handle.id, s.name, "ingest", in.tables.cut); in.err != nil {
			return in.err
		}
	}
	if err := guarded(func() error { return in.tables.add(key, value) }); err != nil {
		in.err = e.health.broke(&s.handle.id, s.name, "ingest", err)
	}
	return in.err
}

func (in *ingester) Finish(o state.StoredOffset) error {
	in.n = 0 // look at the engine
	if err := in.usable(); err != nil {
		return err
	}
	s, e := in.store, in.store.handle.engine
	rec := storeRecord{format: storeFormat, kind: s.kind, hasOffset: true, offset: o}
	key, value := makePrefix(s.handle.id, s.made.number, kindRecord), make([]byte, rec.len())
	rec.put(value)
	in.spent = true
	e.dirty.Store(true)
	t := in.tables
	err := e.bounded(&s.handle.id, s.name, "ingest", func() error {
		// The tables belong to this call: the caller may be gone when it ends.
		err := t.add(key[:], value)
		if err == nil {
			err = t.ingest()
		}
		if err != nil {
			t.abort()
		}
		return err
	})
	if err != nil {
		return err
	}
	e.dirty.Store(true) // an ingest that had to queue behind a memtable is durable with it
	s.handle.mu.Lock()
	defer s.handle.mu.Unlock()
	s.made.recorded, s.made.wiped = true, false
	return nil
}

func (in *ingester) Abort() {
	if in.spent {
		return
	}
	in.spent = true
	if in.store.handle.engine.gate.enter() != nil {
		return // closed; the tables are removed when the engine is opened
	}
	defer in.store.handle.engine.gate.leave()
	_ = guarded(func() error { in.tables.abort(); return nil })
}
