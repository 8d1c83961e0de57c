package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/topology"
)

// Workshop has what it takes to make tasks of a topology.
type Workshop struct {
	Topology *topology.Topology
	Engine   state.Engine // of the stores on disk
	Memory   state.Engine // of the stores that are kept in memory
	Budget   *state.Budget
	// Context and CallTimeout are for the user's fallible functions.
	Context     context.Context
	CallTimeout time.Duration
	// Globals are the stores of the global tables, by name, for the tasks that join with them.
	Globals map[string]node.GlobalView
	// Space opens the state of a task; nil: as the engine does.
	Space func(id record.TaskID, e state.Engine) (state.Space, error)
}

// Assemble opens the stores of a task and wires its nodes. Its stores must be restored before the program's Init.
func (s *Workshop) Assemble(id record.TaskID, out *Out, now int64) (p *Program, err error) {
	if id.Sub < 0 || int(id.Sub) >= len(s.Topology.Subs) {
		return nil, fmt.Errorf("task %s: the topology has %d sub-topologies", id, len(s.Topology.Subs))
	}
	n := &node.Task{ID: id, Out: out.Sender(), WallTime: now, StreamTime: -1, Context: s.Context, CallTimeout: s.CallTimeout,
		Globals: s.Globals}
	p = &Program{Node: n, Time: new(int64)}
	var closers []func() error
	p.Close = func() error {
		var errs []error
		for i := len(closers) - 1; i >= 0; i-- {
			errs = append(errs, closers[i]())
		}
		closers = nil
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("task %s: %w", id, err)
			p.Close()
		}
	}()
	spaces := map[state.Engine]state.Space{}
	stores := map[string]state.Store{}
	for _, st := range s.Topology.Subs[id.Sub].Stores {
		engine := s.Engine
		if st.Spec.InMemory {
			engine = s.Memory
		}
		space := spaces[engine]
		if space == nil {
			if space, err = s.space(id, engine); err != nil {
				return nil, err
			}
			spaces[engine] = space
			closers = append(closers, space.Close)
		}
		ts, err := s.open(p, st, space)
		if err != nil {
			return nil, fmt.Errorf("store %s: %w", st.Name, err)
		}
		closers = append(closers, ts.Store.Close)
		stores[st.Name] = ts.Store
		p.Stores = append(p.Stores, ts)
	}
	in, err := s.Topology.Instantiate(int(id.Sub), n, stores)
	if err != nil {
		return nil, err
	}
	closers = append(closers, in.Close)
	p.Source, p.Infos, p.Path, p.Init = in.Source, in.Infos, in.Path, in.Init
	for _, d := range in.Drains {
		p.Drains = append(p.Drains, d)
	}
	p.PassThrough = in.PassThrough
	return p, nil
}

func (s *Workshop) space(id record.TaskID, e state.Engine) (state.Space, error) {
	if s.Space != nil {
		return s.Space(id, e)
	}
	return e.Space(id)
}

func (s *Workshop) open(p *Program, st *topology.Store, space state.Space) (TaskStore, error) {
	es, err := space.Store(st.Name, st.Spec.Kind)
	if err != nil {
		return TaskStore{}, err
	}
	o, _, err := space.Offset(st.Name)
	if err != nil {
		return TaskStore{}, err
	}
	env := &state.Env{Task: p.Node.ID, Units: &p.Node.Units, Engine: es, Budget: s.Budget, Time: p.Time}
	if st.Changelog != "" {
		if env.RecordBytes, err = p.Node.Out.(*sender).out.rowBytes(st.Changelog); err != nil {
			return TaskStore{}, fmt.Errorf("changelog: %w", err)
		}
	}
	store, err := st.Spec.Open(env)
	if err != nil {
		return TaskStore{}, err
	}
	return TaskStore{Store: store, Space: space, Engine: es, Spec: st.Spec, Changelog: st.Changelog, Source: st.Source, Next: o.Changelog}, nil
}
