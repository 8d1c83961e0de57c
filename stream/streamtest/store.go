package streamtest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

func sortedTopics(m map[string]*topic) []string { return slices.Sorted(maps.Keys(m)) }

// Row is a row of a store. Time is the zero time in a plain key-value store.
type Row[K, V any] = stream.Row[K, V]

// Store returns the committed rows of a key-value store or table, ordered by encoded key.
func Store[K, V any](d *Driver, name string, k serde.Serde[K], v serde.Serde[V]) ([]Row[K, V], error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.topo.Stores {
		if s.Name != name {
			continue
		}
		space, err := d.opts.engine.Space(record.TaskID{Sub: int32(s.Sub)})
		if err != nil {
			return nil, err
		}
		defer space.Close()
		es, err := space.Store(name, s.Spec.Kind)
		if err != nil {
			return nil, err
		}
		it, err := es.Iter(nil, nil, false)
		if err != nil {
			return nil, err
		}
		defer it.Close()
		var rows []Row[K, V]
		for it.Next() {
			var row Row[K, V]
			key := it.Key()
			if s.Spec.StoreKey != nil {
				var ok bool
				if key, ok = s.Spec.StoreKey(key); !ok {
					continue
				}
			}
			if row.Key, err = k.Decode(key); err != nil {
				return nil, fmt.Errorf("store %s: key: %w", name, err)
			}
			b := it.Value()
			if s.Spec.Timestamped {
				if len(b) < 8 {
					return nil, fmt.Errorf("store %s: a row of %d bytes has no timestamp", name, len(b))
				}
				row.Time, b = time.UnixMilli(timestamp(b)).UTC(), b[8:]
			}
			if row.Value, err = v.Decode(b); err != nil {
				return nil, fmt.Errorf("store %s: value: %w", name, err)
			}
			rows = append(rows, row)
		}
		return rows, it.Err()
	}
	return nil, fmt.Errorf("the program has no store %q", name)
}

func timestamp(b []byte) (t int64) {
	for _, x := range b[:8] {
		t = t<<8 | int64(x)
	}
	return t
}
