package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/topology"
)

// globals fill the stores that every instance has whole. They have a worker of their own, whose tasks read all partitions of
// their topics and belong to no group: where they are is stored with the state, in the same batch.
//
// The group is joined when every global store holds what its topic held at the start. From then on it follows its topic.
type globals struct {
	app    *App
	runner *runner
	views  map[string]node.GlobalView
	spaces []state.Space // that views read
	caches map[record.TaskID]*globalCache

	mu    sync.Mutex
	goals map[record.TopicPartition]int64 // ends that were to be reached, of partitions that have not
	ready chan struct{}                   // closed when there is none
}

// globalInterval is the longest time between two commits: until then tasks do not see an update.
const globalInterval = 100 // ms

func newGlobals(a *App) *globals {
	return &globals{app: a, views: map[string]node.GlobalView{}, caches: map[record.TaskID]*globalCache{},
		goals: map[record.TopicPartition]int64{}, ready: make(chan struct{})}
}

// globalID is the task that fills a global store.
func globalID(g *topology.Global) record.TaskID { return record.TaskID{Sub: int32(g.Sub.ID)} }

// open makes the views that tasks read by.
func (g *globals) open() error {
	for _, t := range g.app.cfg.Topology.Globals {
		engine := g.app.cfg.Engine
		if t.Store.Spec.InMemory {
			engine = g.app.cfg.Memory
		}
		space, err := engine.Space(globalID(t))
		if err != nil {
			return err
		}
		g.spaces = append(g.spaces, space)
		rows, err := space.Store(t.Store.Name, t.Store.Spec.Kind)
		if err != nil {
			return err
		}
		g.views[t.Store.Name] = rows
		if !t.Store.Spec.InMemory {
			cache := newGlobalCache()
			g.caches[globalID(t)] = cache
			g.views[t.Store.Name] = &cachedRows{rows, cache}
		}
	}
	return nil
}

// space opens the space that a task writes to.
func (g *globals) space(id record.TaskID, e state.Engine) (state.Space, error) {
	s, err := e.Space(id)
	if cache := g.caches[id]; err == nil && cache != nil && e == g.app.cfg.Engine {
		return &writtenSpace{s, cache}, nil
	}
	return s, err
}

// run starts the worker and its tasks, and waits until they have caught up.
func (g *globals) run(ctx context.Context) error {
	a := g.app
	if len(a.cfg.Topology.Globals) == 0 {
		return nil
	}
	r := newRunner(a, a.cfg.Workers, false)
	r.global = g
	r.w.cfg.CommitInterval = min(r.w.cfg.CommitInterval, globalInterval)
	g.runner = r
	a.live.Lock()
	a.globalRunner = r
	a.live.Unlock()
	go r.run()
	for _, t := range a.cfg.Topology.Globals {
		from, err := g.begin(ctx, t)
		if err != nil {
			return fmt.Errorf("global store %s: %w", t.Store.Name, err)
		}
		r.box.post(func() {
			if err := g.make(t, from); err != nil {
				a.fail(fmt.Errorf("global store %s: %w", t.Store.Name, err))
			}
		})
	}
	g.reached(nil)
	select {
	case <-g.ready:
		a.log.Info("global stores have caught up", "stores", len(a.cfg.Topology.Globals))
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// close gives back what the views read. Nobody reads them any more.
func (g *globals) close() (err error) {
	for _, s := range g.spaces {
		err = errors.Join(err, s.Close())
	}
	g.spaces = nil
	return err
}

// begin decides where a store goes on, and notes what it has to reach. State that can not be completed is wiped.
func (g *globals) begin(ctx context.Context, t *topology.Global) (from map[record.TopicPartition]int64, err error) {
	a := g.app
	limits, err := a.topics.Load().limitsOf(t.Topic)
	if err != nil {
		return nil, err
	}
	starts, ends, err := g.bounds(ctx, t.Topic, limits.Partitions)
	if err != nil {
		return nil, err
	}
	engine := a.cfg.Engine
	if t.Store.Spec.InMemory {
		engine = a.cfg.Memory
	}
	space, err := g.space(globalID(t), engine)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, space.Close()) }() // the task opens one of its own
	o, stored, err := space.Offset(t.Store.Name)
	if err != nil {
		return nil, err
	}
	if from, err = decodePosition(o.Position); err != nil {
		return nil, err
	}
	if why := unfit(from, starts, ends, a.nowMs()-o.BrokerTime > limits.DeleteRetention/2); stored && why != "" {
		a.log.Warn("a global store is dropped and read again from the beginning of its topic", "store", t.Store.Name, "topic", t.Topic,
			"because", why)
		if err := space.Wipe(); err != nil {
			return nil, err
		}
		if cache := g.caches[globalID(t)]; cache != nil {
			cache.forgetAll()
		}
		clear(from)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for tp, start := range starts {
		if _, ok := from[tp]; !ok {
			from[tp] = start
		}
		if from[tp] < ends[tp] {
			g.goals[tp] = ends[tp]
		}
	}
	return from, nil
}

// unfit says why state cannot be completed from its topic, or nothing.
func unfit(from, starts, ends map[record.TopicPartition]int64, stale bool) string {
	for tp, at := range from {
		end, ok := ends[tp]
		switch {
		case !ok:
			return fmt.Sprintf("its topic has no partition %d any more", tp.Partition)
		case at > end:
			return fmt.Sprintf("it is ahead of %s, which was made anew or has lost records", tp)
		case at < starts[tp]:
			return fmt.Sprintf("%s begins later: what lies between is gone", tp)
		case at < end && stale:
			return fmt.Sprintf("it is older than half of delete.retention.ms: deletions may be gone from %s", tp)
		}
	}
	return ""
}

// bounds asks where the partitions of a topic begin and end.
func (g *globals) bounds(ctx context.Context, topic string, n int32) (starts, ends map[record.TopicPartition]int64, err error) {
	list := func(at int64) (map[record.TopicPartition]int64, error) {
		ask, found := map[record.TopicPartition]int64{}, map[record.TopicPartition]int64{}
		for p := range n {
			ask[record.TopicPartition{Topic: topic, Partition: p}] = at
		}
		res, err := g.app.client.ListOffsets(ctx, ask, kafka.ReadUncommitted)
		for tp, r := range res {
			found[tp] = r.Offset
		}
		return found, err
	}
	if ends, err = list(kafka.LatestOffset); err != nil {
		return nil, nil, err
	}
	starts, err = list(kafka.EarliestOffset)
	for tp, start := range starts {
		ends[tp] = max(ends[tp], start) // asked at different times
	}
	return starts, ends, err
}

// make builds the task of a global store on its worker's goroutine.
func (g *globals) make(t *topology.Global, from map[record.TopicPartition]int64) error {
	a, r := g.app, g.runner
	prog, err := a.shop.Assemble(globalID(t), r.w.Out, a.nowMs())
	if err != nil {
		return err
	}
	inputs := make([]record.TopicPartition, 0, len(from))
	for tp := range from {
		inputs = append(inputs, tp)
	}
	cfg := a.taskConfig(globalID(t), prog, r.w.Out)
	cfg.MaxIdle = -1 // partitions do not wait for one another
	cfg.Transactional = false
	task, err := NewTask(cfg, inputs)
	if err != nil {
		return errors.Join(err, prog.Close())
	}
	for tp, at := range from {
		if err := task.Seek(tp, at, ""); err != nil {
			return err
		}
	}
	r.w.Step(a.nowMs(), AddTask{task})
	r.w.Step(a.nowMs(), Restored{ID: task.ID})
	r.obey()
	return nil
}

// reached notes where tasks are that have been committed.
func (g *globals) reached(tasks []*Task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range tasks {
		for _, p := range t.inputs {
			if goal, ok := g.goals[p.tp]; ok && p.applied.position >= goal {
				delete(g.goals, p.tp)
			}
		}
	}
	if len(g.goals) == 0 {
		select {
		case <-g.ready:
		default:
			close(g.ready)
			g.app.queries.Changed()
		}
	}
}

// caughtUp tells whether the stores have held what their topics held at the start.
func (g *globals) caughtUp() bool {
	select {
	case <-g.ready:
		return true
	default:
		return false
	}
}

// stop commits what was read and ends the worker.
func (g *globals) stop(ctx context.Context) (err error) {
	r := g.runner
	if r == nil {
		return nil
	}
	var ids []record.TaskID
	for _, t := range g.app.cfg.Topology.Globals {
		ids = append(ids, globalID(t))
	}
	if err = r.ask(ctx, func(n int64) Event { return Release{n, ids} }); errors.Is(err, errWorkerEnded) {
		err = nil // its error has stopped the application
	}
	r.closing.Store(true)
	r.box.post(func() {})
	<-r.done
	return err
}
