package state_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/memstore"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// sized takes what a freeze logs and remembers the largest record.
type sized struct{ n, most int }

func (s *sized) Append(_ int64, key, value []byte, _ record.Headers) error {
	s.n, s.most = s.n+1, max(s.most, len(key)+len(value))
	return nil
}

// A row that its changelog would not take is refused when it is written, whatever the store keeps; one byte less goes through.
func TestRowsAreNoLargerThanTheChangelogTakes(t *testing.T) {
	type pair struct{ A, B string }
	str := func(n int) string { return strings.Repeat("x", n) }
	key := str(100)
	for _, c := range []struct {
		name  string
		limit int
		put   func(env *state.Env, more int) (state.Store, error) // a row of limit+more bytes
	}{
		{"bytes", 9000, func(env *state.Env, more int) (state.Store, error) {
			s, err := state.OpenKeyValue(env, serde.String, serde.Bytes)
			return s, errors.Join(err, s.Put(key, make([]byte, 8900+more)))
		}},
		{"strings", 9000, func(env *state.Env, more int) (state.Store, error) {
			s, err := state.OpenKeyValue(env, serde.String, serde.String)
			return s, errors.Join(err, s.Put(key, str(8900+more)))
		}},
		{"strings in JSON", 9000, func(env *state.Env, more int) (state.Store, error) {
			s, err := state.OpenKeyValue(env, serde.String, serde.JSON[pair]())
			return s, errors.Join(err, s.Put(key, pair{A: strings.Repeat("\x01", 1480), B: str(8900 + more - 6*1480 - len(`{"A":"","B":""}`))}))
		}},
		{"a number with a long key", 9000, func(env *state.Env, more int) (state.Store, error) {
			s, err := state.OpenKeyValue(env, serde.String, serde.Int64)
			return s, errors.Join(err, s.Put(str(8992+more), 7))
		}},
		{"a number under a low limit", 108, func(env *state.Env, more int) (state.Store, error) {
			s, err := state.OpenKeyValue(env, serde.String, serde.Int64)
			return s, errors.Join(err, s.Put(str(100+more), 7))
		}},
		{"a table", 9000, func(env *state.Env, more int) (state.Store, error) {
			s, err := state.OpenTable(env, serde.String, serde.Bytes)
			if err != nil {
				return s, err
			}
			e, err := s.Find(key)
			return s, errors.Join(err, s.Set(e, make([]byte, 8900+more), 1))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, more := range []int{1, 0} {
				space, err := memstore.New().Space(record.TaskID{})
				if err != nil {
					t.Fatal(err)
				}
				es, err := space.Store("s", state.KindKeyValue)
				if err != nil {
					t.Fatal(err)
				}
				var units record.Units
				s, err := c.put(&state.Env{Units: &units, Engine: es, Time: new(int64), RecordBytes: c.limit}, more)
				var fault *state.CodecError
				if refused := errors.As(err, &fault); refused != (more > 0) || err != nil && !refused {
					t.Errorf("%d bytes over the limit: %v", more, err)
				}
				if want := fmt.Sprintf("%d bytes of key and value", c.limit+1); more > 0 && !strings.Contains(err.Error(), want) {
					t.Errorf("error %v does not say %q", err, want)
				}
				units.Commit()
				var log sized
				b := space.Batch()
				if err := s.Freeze(b, &log); err != nil {
					t.Fatal(err)
				}
				if log.n != 1-more || log.most > c.limit || more == 0 && log.most != c.limit {
					t.Errorf("%d bytes over: %d records, the largest of %d bytes", more, log.n, log.most)
				}
				b.Discard()
			}
		})
	}
}
