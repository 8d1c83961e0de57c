package state

import (
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// DefaultRestoreRoom is the memory that a Restorer sorts in.
const DefaultRestoreRoom = 64 << 20

// Restorer brings a changelog into an engine: of each key the last record, sorted, in as few and as large rounds as its memory
// allows. A round becomes visible whole, together with the offset up to which it goes, so a restore that is cut off goes on
// from there.
//
// It belongs to one goroutine.
type Restorer struct {
	store EngineStore
	from  func(dst []byte, r record.Raw) (key, value []byte, err error)
	// Of records of the topic that the store's table is read from.
	fromSource func(dst []byte, r record.Raw) (key, value []byte, ok bool)
	source     bool

	room  int64
	at    StoredOffset // after the records added so far
	done  StoredOffset // after those that are in the engine
	stats RestoreStats
	clock *restoredClock // of a window or session store; else nil
	again *replay        // of a store that is Replayed; else nil

	seed  maphash.Seed
	index index
	rows  []restored
	mem   arena
	buf   []byte
	ids   []uint32
}

// RestoreStats counts what a restore has done.
type RestoreStats struct {
	Records int64 // read
	Bytes   int64 // of their keys and values
	Rows    int64 // given to the engine, deletions included
	Deleted int64 // of these, deletions
	Rounds  int64
}

// restored is the last record of a key: key and value in one span.
type restored struct {
	at   span
	klen uint32
	gone bool
}

// rowCost is what a row takes beside its bytes: the row, two entries of the index, number and two items of the sort.
const rowCost = 16 + 8 + 4 + 32

// NewRestorer restores a store from where its changelog has been read to. room is the memory to sort in, 0 for
// [DefaultRestoreRoom].
func NewRestorer(store EngineStore, spec *Spec, from StoredOffset, room int64) *Restorer {
	if room <= 0 {
		room = DefaultRestoreRoom
	}
	r := &Restorer{
		store: store, from: spec.FromChangelog, fromSource: spec.FromSource, room: room, at: from, done: from,
		seed: maphash.MakeSeed(), index: make(index, minIndex),
	}
	if spec.segments != nil {
		r.clock = &restoredClock{g: spec.segments, now: -1}
	}
	if spec.Replayed {
		r.again = &replay{spec: spec, room: room}
	}
	return r
}

// Stats returns what has been done so far.
func (r *Restorer) Stats() RestoreStats { return r.stats }

// Done returns up to where the engine follows the changelog.
func (r *Restorer) Done() StoredOffset { return r.done }

// Add takes the next record of the changelog, a view. brokerTime is the largest broker timestamp known of its batch. When there
// is no room for it, what came before goes to the engine first.
func (r *Restorer) Add(rec record.Raw, brokerTime int64) error {
	if rec.Key == nil && !r.source {
		return r.fail(rec.Offset, fmt.Errorf("record without a key"))
	}
	if rec.Offset < r.at.Changelog {
		return r.fail(rec.Offset, fmt.Errorf("record out of order, %d is next", r.at.Changelog))
	}
	if r.again != nil {
		if err := r.replay(rec); err != nil {
			return err
		}
		r.added(rec, brokerTime)
		return nil
	}
	key, value, ok, err := r.row(rec)
	if err != nil {
		return r.fail(rec.Offset, err)
	}
	if !ok {
		r.added(rec, brokerTime)
		return nil
	}
	if n := len(key) + len(value); n > cap(r.buf) && n <= loadRoom {
		r.buf = make([]byte, 0, 2*n)
	}
	if len(r.rows) > 0 && r.used()+int64(len(key)+len(value))+rowCost > r.room {
		if err := r.round(r.at); err != nil {
			return err
		}
	}
	r.put(key, value)
	if r.clock != nil {
		r.clock.now = max(r.clock.now, r.clock.g.timeOf(key))
	}
	r.added(rec, brokerTime)
	return nil
}

// row is what the engine keeps of a record; ok is false for one of a source topic that its table passes over.
func (r *Restorer) row(rec record.Raw) (key, value []byte, ok bool, err error) {
	if r.source {
		key, value, ok = r.fromSource(r.buf[:0], rec)
		return key, value, ok, nil
	}
	key, value, err = r.from(r.buf[:0], rec)
	return key, value, true, err
}

// FromSource says that the records are those of the topic that the store's table is read from. It is called before the first Add.
func (r *Restorer) FromSource() { r.source = true }

// added counts a record that was taken.
func (r *Restorer) added(rec record.Raw, brokerTime int64) {
	r.stats.Records++
	r.stats.Bytes += int64(len(rec.Key) + len(rec.Value))
	r.at.Changelog = rec.Offset + 1
	r.at.BrokerTime = max(r.at.BrokerTime, brokerTime)
}

// used is the memory that the rows take; the arena's last chunk comes on top.
func (r *Restorer) used() int64 { return r.mem.live + int64(len(r.rows))*rowCost }

// put keeps a row in place of the one of the same key.
func (r *Restorer) put(key, value []byte) {
	hash := maphash.Bytes(r.seed, key)
	i, ok := r.lookup(hash, key)
	if !ok {
		if 2*(len(r.rows)+1) > len(r.index) {
			r.rehash()
		}
		i = uint32(len(r.rows))
		r.rows = append(r.rows, restored{})
		r.index.enter(hash, i)
	}
	row := &r.rows[i]
	if n := uint32(len(key) + len(value)); !ok || n != row.at.n {
		r.mem.release(row.at)
		row.at = r.mem.reserve(n)
	}
	b := r.mem.bytes(row.at)
	copy(b[copy(b, key):], value)
	row.klen, row.gone = uint32(len(key)), value == nil
}

func (r *Restorer) lookup(hash uint64, key []byte) (i uint32, ok bool) {
	mask, tag := r.index.mask(), uint32(hash>>32)
	for p := uint32(hash) & mask; r.index[p] != 0; p = (p + 1) & mask {
		if e := r.index[p]; (e^tag)&^mask == 0 && string(r.key(e&mask-1)) == string(key) {
			return e&mask - 1, true
		}
	}
	return 0, false
}

func (r *Restorer) key(i uint32) []byte { return r.mem.bytes(r.rows[i].at)[:r.rows[i].klen] }

func (r *Restorer) rehash() {
	r.index = make(index, 2*len(r.index))
	for i := range r.rows {
		r.index.enter(maphash.Bytes(r.seed, r.key(uint32(i))), uint32(i))
	}
}

// Finish brings what is left into the engine. The changelog has been read to o.
func (r *Restorer) Finish(o StoredOffset) error {
	if o.Changelog < r.at.Changelog {
		return r.fail(o.Changelog, fmt.Errorf("restore ends before offset %d, which has been read", r.at.Changelog))
	}
	return r.round(o)
}

// round sorts the rows and gives them to the engine.
func (r *Restorer) round(o StoredOffset) error {
	in, err := r.store.Ingester()
	if err != nil {
		return r.fail(o.Changelog, err)
	}
	if r.clock != nil {
		if err := r.clock.add(r.store, in); err != nil {
			in.Abort()
			return r.fail(o.Changelog, err)
		}
	}
	rows := len(r.rows)
	if r.again != nil {
		if rows, err = r.again.freeze(in, &r.stats); err != nil {
			in.Abort()
			return r.fail(o.Changelog, err)
		}
	}
	for _, i := range r.sorted() {
		row := &r.rows[i]
		key, value := r.key(i), r.mem.bytes(row.at)[row.klen:]
		if row.gone {
			value = nil
			r.stats.Deleted++
		}
		if err := in.Add(key, value); err != nil {
			in.Abort()
			return r.fail(o.Changelog, err)
		}
	}
	if err := in.Finish(o); err != nil {
		return r.fail(o.Changelog, err)
	}
	if r.again != nil {
		r.again.applied()
	}
	r.stats.Rows += int64(rows)
	r.stats.Rounds++
	r.at, r.done = o, o
	r.rows = r.rows[:0]
	r.mem.clear()
	clear(r.index)
	return nil
}

// sorted returns the rows in the order of the engine.
func (r *Restorer) sorted() []uint32 {
	r.ids = r.ids[:0]
	for i := range r.rows {
		r.ids = append(r.ids, uint32(i))
	}
	if kind := r.store.Kind(); kind.SuffixLen() > 0 {
		slices.SortFunc(r.ids, func(a, b uint32) int { return kind.Compare(r.key(a), r.key(b)) })
	} else {
		sortByKey(r.ids, r.key)
	}
	return r.ids
}

func (r *Restorer) fail(offset int64, err error) error {
	return fmt.Errorf("store %s: restore at changelog offset %d: %w", r.store.Name(), offset, err)
}
