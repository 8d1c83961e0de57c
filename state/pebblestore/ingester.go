package pebblestore

import (
	"context"
	"encoding/binary"
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
	level  int // whose options the tables get
	w      *sstable.Writer
	paths  []string
}

// lowest is where the first tables of a store come to lie: an ingest puts a table as low as it can. Later ones lie above them and
// have filters (see [Options.pebble]), so that a get passes most of them over.
const lowest = 6

// ingestBlock is the size of the blocks of ingested tables. They are not compressed: snappy took a third of the time of a
// restore. Compactions, which merge them with what is written later, compress.
const ingestBlock = 16 << 10

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
		o := e.pebble.MakeWriterOptions(t.level, e.db.TableFormat())
		o.BlockSize, o.Compression = ingestBlock, sstable.NoCompression
		o.WritingToLowestLevel = false // else deletes are marked obsolete, and readers pass over them
		t.w = sstable.NewWriter(objstorageprovider.NewFileWritable(f), o)
	}
	if value == nil {
		return t.w.Delete(key)
	}
	return t.w.Set(key, value)
}

// addAll takes rows as ingester.write has laid them out, and ends tables that have reached their size.
func (t *tables) addAll(rows []byte) error {
	for len(rows) > 0 {
		nk, nv := int(binary.LittleEndian.Uint32(rows)), int(binary.LittleEndian.Uint32(rows[4:]))
		key, value := rows[rowHead:rowHead+nk], []byte(nil)
		rows = rows[rowHead+nk:]
		if nv > 0 {
			value = rows[: nv-1 : nv-1]
			rows = rows[nv-1:]
		}
		if t.w != nil && t.w.Raw().EstimatedSize() >= uint64(t.engine.opts.TableBytes) {
			if err := t.cut(); err != nil {
				return err
			}
		}
		if err := t.add(key, value); err != nil {
			return err
		}
	}
	return nil
}

// cut ends the table.
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
		t := &tables{engine: e, level: lowest}
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

// ingester builds tables of one store. It collects rows and writes many at once, since what writes to the disk may stand
// still, and has to be watched (D6).
type ingester struct {
	store  *store
	tables *tables
	fresh  bool // the store is empty: deletes need not be written
	key    []byte
	any    bool
	rows   []byte
	err    error // what failed; the next calls return it. The tables may still be in use
	spent  bool
}

const (
	rowsBytes = 256 << 10 // how many rows are written at once
	rowHead   = 8         // length of the key, length of the value + 1, or 0 to delete
)

func (s *store) Ingester() (state.Ingester, error) {
	if err := s.check("ingest"); err != nil {
		return nil, err
	}
	in := &ingester{store: s, tables: &tables{engine: s.handle.engine}}
	from, _ := s.bounds(nil, nil)
	to := makePrefix(s.handle.id, s.made.number+1, 0)
	err := s.handle.engine.read(&s.handle.id, s.name, "ingest", func() error {
		it, err := s.handle.engine.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to[:]})
		if err != nil {
			return err
		}
		if in.fresh = !it.First(); in.fresh {
			in.tables.level = lowest
		}
		return errors.Join(it.Error(), it.Close())
	})
	if err != nil {
		return nil, err
	}
	return in, nil
}

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
	if value == nil && in.fresh {
		return nil
	}
	n := uint32(0)
	if value != nil {
		n = uint32(len(value)) + 1
	}
	in.rows = binary.LittleEndian.AppendUint32(in.rows, uint32(len(in.key)))
	in.rows = binary.LittleEndian.AppendUint32(in.rows, n)
	in.rows = append(append(in.rows, in.key...), value...)
	if len(in.rows) < rowsBytes {
		return nil
	}
	return in.write()
}

func (in *ingester) usable() error {
	s := in.store
	if in.spent {
		return fmt.Errorf("task %s: store %q: ingest: ingester %w", s.handle.id, s.name, state.ErrClosed)
	}
	return in.err
}

// write writes the rows that were collected.
func (in *ingester) write() error {
	s, rows := in.store, in.rows
	in.err = s.check("ingest")
	if in.err == nil {
		in.err = s.handle.engine.bounded(&s.handle.id, s.name, "ingest", func() error { return in.tables.addAll(rows) })
	}
	in.rows = in.rows[:0]
	if in.err != nil {
		in.rows = nil
	}
	return in.err
}

func (in *ingester) Finish(o state.StoredOffset) error {
	if err := in.usable(); err != nil {
		return err
	}
	if err := in.store.check("ingest"); err != nil {
		return err
	}
	s, e := in.store, in.store.handle.engine
	rec := storeRecord{format: storeFormat, kind: s.kind, hasOffset: true, offset: o}
	key, value := makePrefix(s.handle.id, s.made.number, kindRecord), make([]byte, rec.len())
	rec.put(value)
	in.spent = true
	e.dirty.Store(true)
	t, rows := in.tables, in.rows
	in.rows = nil
	err := e.bounded(&s.handle.id, s.name, "ingest", func() error {
		// The tables belong to this call: the caller may be gone when it ends.
		err := t.addAll(rows)
		if err == nil {
			err = t.add(key[:], value)
		}
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

// Abort removes the tables. After an error they may still be in use; then they are removed when the engine is opened.
func (in *ingester) Abort() {
	if in.spent {
		return
	}
	in.spent = true
	if in.err == nil && len(in.tables.paths) > 0 {
		s := in.store
		_ = s.handle.engine.bounded(&s.handle.id, s.name, "ingest", func() error { in.tables.abort(); return nil })
	}
}
