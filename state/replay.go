package state

import (
	"errors"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// replay is how a [Restorer] restores a store that must be written again record by record: into one that is opened for it, whose
// dirty rows are a round.
type replay struct {
	spec  *Spec
	room  int64
	units record.Units
	store Replayer // nil before the first record
}

// open opens the store.
func (p *replay) open(engine EngineStore) error {
	s, err := p.spec.Open(&Env{Engine: engine, Units: &p.units, Budget: NewBudget(0, 0, p.room/2)})
	if err != nil {
		return err
	}
	var ok bool
	if p.store, ok = s.(Replayer); !ok {
		return errors.New("the store cannot be restored: it has no Replay")
	}
	return nil
}

// replay writes a record of the changelog again.
func (r *Restorer) replay(rec record.Raw) error {
	p := r.again
	if p.store == nil {
		if err := p.open(r.store); err != nil {
			return r.fail(rec.Offset, err)
		}
	}
	if int64(p.store.DirtyBytes()) > p.room/2 {
		if err := r.round(r.at); err != nil {
			return err
		}
	}
	if err := p.store.Replay(rec); err != nil {
		return r.fail(rec.Offset, err)
	}
	return nil
}

// freeze gives the dirty rows to an ingester. It returns how many they are.
func (p *replay) freeze(in Ingester, stats *RestoreStats) (rows int, err error) {
	if p.store == nil {
		return 0, nil
	}
	b := &ingestBatch{in: in}
	err = p.store.Freeze(b, nil)
	stats.Deleted += int64(b.deleted)
	return b.rows, err
}

func (p *replay) applied() {
	if p.store != nil {
		p.store.Applied()
	}
}

// ingestBatch is an ingester in the form of a batch, for a store that writes its rows in the order of their keys.
type ingestBatch struct {
	Batch         // nil: what an ingester has not is not called
	in            Ingester
	rows, deleted int
}

// Set is part of [Batch].
func (b *ingestBatch) Set(_ EngineStore, key, value []byte) error {
	if value == nil {
		value = empty
	}
	b.rows++
	return b.in.Add(key, value)
}

// Delete is part of [Batch].
func (b *ingestBatch) Delete(_ EngineStore, key []byte) error {
	b.rows++
	b.deleted++
	return b.in.Add(key, nil)
}
