package conformance

import (
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/memstore"
	"github.com/oxbow-streams/oxbow/state/pebblestore"
)

// checkStore runs the ops of a case on the store of its program, on every engine, with a commit after each op and with none.
func checkStore(t *testing.T, c *Scenario) {
	engines := map[string]func() (state.Engine, error){
		"memory": func() (state.Engine, error) { return memstore.New(), nil },
		"pebble": func() (state.Engine, error) {
			return pebblestore.Open(pebblestore.Options{Dir: "/state", Name: "app", FS: vfs.NewMem(), CacheBytes: 1 << 20,
				MemtableBytes: 256 << 10})
		},
	}
	for name, open := range engines {
		for _, commits := range []bool{false, true} {
			if err := runStore(c, open, commits); err != nil {
				t.Errorf("%s, commits %t: %v", name, commits, err)
			}
		}
	}
}

// storeRun is a store under test, with what it needs of a task.
type storeRun struct {
	spec    state.Spec
	engine  state.Engine
	space   state.Space
	es      state.EngineStore
	units   record.Units
	store   *state.Versioned[any, any]
	typ     wire
	dropped int64
	offset  int64
}

func runStore(c *Scenario, open func() (state.Engine, error), commits bool) (err error) {
	if len(c.Program) != 1 || c.Program[0].Op != "store" {
		return fmt.Errorf("a program of the level store is one step, of op store")
	}
	s := fresh(c.Program)[0]
	if kind := s.Text("kind"); kind != "versioned" {
		return fmt.Errorf("kind %q is not in the vocabulary", kind)
	}
	cfg := state.VersionedConfig{History: s.Number("history_ms", 0), Segment: s.Number("segment_ms", 0)}
	if left := s.Unused(); len(left) > 0 {
		return fmt.Errorf("fields %v are not in the vocabulary", left)
	}
	r := &storeRun{typ: wire{s.Key, s.Value}}
	r.spec = state.VersionedSpec[any, any]("store", dynamic{s.Key}, dynamic{s.Value}, cfg)
	if r.engine, err = open(); err != nil {
		return err
	}
	if r.space, err = r.engine.Space(record.TaskID{}); err != nil {
		return err
	}
	if r.es, err = r.space.Store("store", r.spec.Kind); err != nil {
		return err
	}
	opened, err := r.spec.Open(&state.Env{Units: &r.units, Engine: r.es})
	if err != nil {
		return err
	}
	r.store = opened.(*state.Versioned[any, any])
	for i, op := range c.Ops {
		if err := r.do(op); err != nil {
			return fmt.Errorf("op %d %v: %w", i, op, err)
		}
		r.units.Commit()
		if commits {
			if err := r.commit(); err != nil {
				return err
			}
		}
	}
	return r.engine.Close()
}

func (r *storeRun) commit() error {
	b := r.space.Batch()
	if err := r.store.Freeze(b, nil); err != nil {
		return err
	}
	if err := b.Commit(); err != nil {
		return err
	}
	r.store.Applied()
	return nil
}

// do runs one op and compares what it gives.
func (r *storeRun) do(op Fields) error {
	key, err := parse(op["key"], r.typ.key)
	if err != nil {
		return err
	}
	number := func(name string) int64 { return whole(op[name]) }
	switch op["op"] {
	case "put":
		return r.put(op, key)
	case "delete":
		ended, written, err := r.store.Delete(key, number("ts"))
		if err != nil {
			return err
		}
		if !written {
			r.dropped++
		}
		v, ok := ended.Get()
		return r.returns(op["returns"], v, ok)
	case "get":
		v, from, ok, err := r.store.Get(key)
		if err != nil {
			return err
		}
		return r.returns(op["returns"], state.Version[any]{Value: v, From: from, To: state.StillValid}, ok)
	case "get_as_of":
		v, ok, err := r.store.GetAsOf(key, number("as_of"))
		if err != nil {
			return err
		}
		return r.returns(op["returns"], v, ok)
	case "get_range":
		return r.getRange(op, key)
	case "restore_batch":
		return r.restore(op["records"].([]any))
	case "dropped_records_total":
		if want := number("value"); r.dropped != want {
			return fmt.Errorf("%d were dropped, want %d", r.dropped, want)
		}
		return nil
	}
	return fmt.Errorf("op %v is not in the vocabulary", op["op"])
}

func (r *storeRun) put(op Fields, key any) error {
	value, err := parse(op["value"], r.typ.value)
	if err != nil {
		return err
	}
	to, stored, err := r.store.Put(key, some(value), whole(op["ts"]))
	if err != nil {
		return err
	}
	if !stored {
		r.dropped++
	}
	if stored != op["stored"] || stored && !sameEnd(to, op["valid_to"]) {
		return fmt.Errorf("stored %t, to %d", stored, to)
	}
	return nil
}

func (r *storeRun) getRange(op Fields, key any) error {
	list, err := r.store.Range(key, whole(op["from"]), whole(op["to"]))
	if err != nil {
		return err
	}
	switch op["order"] {
	case "ASCENDING":
		slices.Reverse(list)
	case "ANY", "DESCENDING":
	default:
		return fmt.Errorf("order %v is not in the vocabulary", op["order"])
	}
	want := op["returns"].([]any)
	if len(list) != len(want) {
		return fmt.Errorf("%v", list)
	}
	for i, v := range list {
		if err := r.returns(want[i], v, true); err != nil {
			return fmt.Errorf("%d: %w", i, err)
		}
	}
	return nil
}

// returns compares a version with what a case gives: null, or its value, time and end.
func (r *storeRun) returns(want any, v state.Version[any], ok bool) error {
	w, some := want.(map[string]any)
	if !some && want != nil {
		return fmt.Errorf("returns %v", want)
	}
	if ok != some || ok && (!same(v.Value, w["value"], r.typ.value) || v.From != whole(w["ts"]) || !sameEnd(v.To, w["valid_to"])) {
		return fmt.Errorf("got %v, %t", v, ok)
	}
	return nil
}

func sameEnd(to int64, want any) bool {
	if want == nil {
		return to == state.StillValid
	}
	return to == whole(want)
}

// restore brings records into the engine, as a start of the application would.
func (r *storeRun) restore(records []any) error {
	if err := r.commit(); err != nil {
		return err
	}
	restorer := state.NewRestorer(r.es, &r.spec, state.StoredOffset{Changelog: r.offset}, 0)
	for _, x := range records {
		f := x.(map[string]any)
		rec := record.Raw{Time: whole(f["ts"]), Offset: r.offset}
		for _, part := range []struct {
			name, typ string
			into      *[]byte
		}{{"key", r.typ.key, &rec.Key}, {"value", r.typ.value, &rec.Value}} {
			v, err := parse(f[part.name], part.typ)
			if err != nil {
				return err
			}
			if v == nil {
				continue
			}
			if *part.into, err = (dynamic{part.typ}).Append([]byte{}, v); err != nil {
				return err
			}
		}
		if err := restorer.Add(rec, 0); err != nil {
			return err
		}
		r.offset++
	}
	if err := restorer.Finish(state.StoredOffset{Changelog: r.offset}); err != nil {
		return err
	}
	r.store.Reset()
	return nil
}
