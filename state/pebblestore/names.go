package pebblestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/oxbow-streams/oxbow/state"
)

// engineFormat is the version of the layout of keys (keys.go, comparer.go).
const engineFormat = 1

const (
	formatName = "format" // row of the format: version, then the application's name
	namePrefix = "store/" // rows of stores: the name, with the number as value
)

// checkFormat reads the format of the database, or marks a new one.
func (e *Engine) checkFormat() error {
	var row []byte
	empty := true
	err := e.read(nil, "", "open", func() error {
		v, closer, err := e.db.Get(wholeKey(formatName))
		if err == nil {
			row = append([]byte{}, v...)
			return closer.Close()
		}
		if !errors.Is(err, pebble.ErrNotFound) {
			return err
		}
		it, err := e.db.NewIter(nil)
		if err != nil {
			return err
		}
		empty = !it.First()
		return errors.Join(it.Error(), it.Close())
	})
	if err != nil {
		return err
	}
	refuse := func(format string, args ...any) error {
		return &state.EngineError{Trouble: state.TroubleFormat, Dir: e.dir, Op: "open", Err: fmt.Errorf(format, args...)}
	}
	switch {
	case row == nil && empty:
		row = append(binary.BigEndian.AppendUint32(nil, engineFormat), e.opts.Name...)
		return e.ingestRow(wholeKey(formatName), row)
	case row == nil:
		return e.health.fail(&state.EngineError{Trouble: state.TroubleCorrupt, Op: "open", Err: errors.New("there are rows, but no format")})
	case len(row) < 4:
		return e.health.fail(&state.EngineError{Trouble: state.TroubleCorrupt, Op: "open", Err: fmt.Errorf("the format %x is malformed", row)})
	}
	if v := binary.BigEndian.Uint32(row); v != engineFormat {
		return refuse("the state was written in format %d, and this version knows format %d only: run the version that wrote it, "+
			"or remove the directory to restore from the changelogs", v, engineFormat)
	}
	if name := string(row[4:]); name != e.opts.Name {
		return refuse("the state belongs to the application %q, not to %q: it was copied or moved here", name, e.opts.Name)
	}
	return nil
}

// names maps the names of stores to numbers. A number is given once and never again.
type names struct {
	engine *Engine
	mu     sync.Mutex
	byName map[string]uint32
	last   uint32
}

func (n *names) load() error {
	e := n.engine
	n.byName = map[string]uint32{}
	return e.read(nil, "", "open", func() error {
		lower := wholeKey(namePrefix)
		it, err := e.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: state.PrefixEnd(lower)})
		if err != nil {
			return err
		}
		for ok := it.First(); ok; ok = it.Next() {
			v, err := it.ValueAndErr()
			if err == nil && len(v) != 4 {
				err = fmt.Errorf("the row of store %q is malformed: %x", it.Key()[len(lower):], v)
			}
			if err != nil {
				return errors.Join(err, it.Close())
			}
			id := binary.BigEndian.Uint32(v)
			n.byName[string(it.Key()[len(lower):])] = id
			n.last = max(n.last, id)
		}
		return errors.Join(it.Error(), it.Close())
	})
}

func (n *names) get(name string) (uint32, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	id, ok := n.byName[name]
	return id, ok
}

// number returns the number of a store, and gives it one, durably (D5), if it has none.
func (n *names) number(name string) (uint32, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if id, ok := n.byName[name]; ok {
		return id, nil
	}
	if n.last == maxStore {
		return 0, fmt.Errorf("state directory %s: store %q: %d names of stores have been used: remove the directory to restore from the changelogs", n.engine.dir, name, n.last)
	}
	id := n.last + 1
	if err := n.engine.ingestRow(wholeKey(namePrefix+name), binary.BigEndian.AppendUint32(nil, id)); err != nil {
		return 0, err
	}
	n.byName[name], n.last = id, id
	return id, nil
}
