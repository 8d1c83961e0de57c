package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// Assignor shares tasks among members, and reads what a member was given.
type Assignor interface {
	kafka.Assignor
	// Given returns the tasks of an assignment, with the partitions that each reads.
	Given(a kafka.Assignment, generation int32) (map[record.TaskID][]record.TopicPartition, error)
}

// taskTable knows which worker has which task. It is the handler of the group membership: what the group says becomes
// events for workers, and the group waits where it must.
type taskTable struct {
	app *App

	mu    sync.Mutex
	list  map[record.TaskID]*placed
	fresh chan struct{} // closed when a task has been restored or closed
}

// placed is a task of this instance.
type placed struct {
	id        record.TaskID
	to        *runner
	restored  bool
	leaving   bool
	cancelled context.CancelFunc // of its restore
	idle      chan struct{}      // closed when its restore has ended, or will not begin

	// Both are replaced, never changed, when topics that match patterns come and go.
	inputs []record.TopicPartition
	start  map[record.TopicPartition]int64
}

func newTaskTable(a *App) *taskTable {
	return &taskTable{app: a, list: map[record.TaskID]*placed{}, fresh: make(chan struct{})}
}

// Prepare implements kafka.GroupHandler: it commits everything.
func (t *taskTable) Prepare(ctx context.Context) error {
	t.app.states.to(StateRebalancing)
	return t.eachRunner(func(r *runner) error {
		err := r.ask(ctx, func(n int64) Event { return Request{n} })
		if errors.Is(err, errWorkerEnded) {
			return nil // its error has stopped the application
		}
		if err != nil {
			t.app.warnCommit("the commit before a rebalance failed", "worker", r.id, "err", err)
		}
		return nil
	})
}

func (t *taskTable) eachRunner(f func(r *runner) error) error {
	var wg sync.WaitGroup
	errs := make([]error, len(t.app.runners))
	for i, r := range t.app.runners {
		wg.Add(1)
		go func() {
			defer wg.Done()
			errs[i] = f(r)
		}()
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Revoked implements kafka.GroupHandler: the tasks that read these partitions are committed and closed.
func (t *taskTable) Revoked(ctx context.Context, tps []record.TopicPartition) error {
	if err := t.app.patterns.look(ctx); err != nil { // tasks go on without topics that are gone
		t.app.log.Warn("topics that match patterns could not be listed", "err", err)
	}
	err := t.release(ctx, t.reading(tps))
	if err != nil {
		t.app.warnCommit("tasks were given up without a last commit: another member will repeat a part", "err", err)
	}
	return ctx.Err()
}

// Lost implements kafka.GroupHandler: the tasks are dropped.
func (t *taskTable) Lost(ctx context.Context, tps []record.TopicPartition) {
	t.app.states.to(StateRebalancing)
	for r, ids := range t.byRunner(ctx, t.reading(tps)) {
		closed := make(chan struct{})
		if !r.box.post(func() {
			r.w.Step(t.app.nowMs(), Lose{ids})
			r.obey()
			close(closed)
		}) {
			continue
		}
		select {
		case <-closed:
		case <-r.done:
		}
	}
}

// reading returns the tasks that read one of these partitions.
func (t *taskTable) reading(tps []record.TopicPartition) []*placed {
	t.mu.Lock()
	defer t.mu.Unlock()
	var tasks []*placed
	for _, p := range t.list {
		if slices.ContainsFunc(p.inputs, func(tp record.TopicPartition) bool { return slices.Contains(tps, tp) }) {
			tasks = append(tasks, p)
		}
	}
	return tasks
}

// byRunner groups tasks by worker, marks them as leaving and ends their restores. When it returns nothing writes to the
// stores of those that were being restored: they can be closed, and restored again.
func (t *taskTable) byRunner(ctx context.Context, tasks []*placed) map[*runner][]record.TaskID {
	by := t.leave(tasks)
	for _, p := range tasks {
		select {
		case <-p.idle:
		case <-p.to.done:
		case <-ctx.Done(): // its worker is stuck
		}
	}
	return by
}

func (t *taskTable) leave(tasks []*placed) map[*runner][]record.TaskID {
	t.mu.Lock()
	defer t.mu.Unlock()
	by := map[*runner][]record.TaskID{}
	for _, p := range tasks {
		if t.list[p.id] != p {
			continue
		}
		p.leaving = true
		p.cancelled()
		by[p.to] = append(by[p.to], p.id)
	}
	return by
}

func (t *taskTable) release(ctx context.Context, tasks []*placed) error {
	by := t.byRunner(ctx, tasks)
	return t.eachRunner(func(r *runner) error {
		if len(by[r]) == 0 {
			return nil
		}
		return r.ask(ctx, func(n int64) Event { return Release{n, by[r]} })
	})
}

func (t *taskTable) releaseAll(ctx context.Context) error {
	t.mu.Lock()
	all := slices.Collect(maps.Values(t.list))
	t.mu.Unlock()
	return t.release(ctx, all)
}

// Assigned implements kafka.GroupHandler: tasks that are new are made, and restored beside everything else.
func (t *taskTable) Assigned(ctx context.Context, as kafka.Assignment, generation int32) error {
	given, err := t.app.assignor.Given(as, generation)
	if err != nil {
		return err
	}
	t.app.rebalances.Add(1)
	t.app.log.Info("tasks assigned", "generation", generation, "tasks", len(given))
	t.mu.Lock()
	var fresh []record.TaskID
	var gone []*placed
	for id := range given {
		if p := t.list[id]; p == nil || p.leaving {
			fresh = append(fresh, id)
		}
	}
	for id, p := range t.list {
		if _, ok := given[id]; !ok && !p.leaving {
			gone = append(gone, p)
		}
	}
	t.mu.Unlock()
	if len(gone) > 0 { // the group takes back by Revoked; this is for one that does not
		if err := t.release(ctx, gone); err != nil {
			t.app.warnCommit("tasks were given up without a last commit: another member will repeat a part", "err", err)
		}
	}
	slices.SortFunc(fresh, record.TaskID.Compare)
	if err := t.begin(ctx, fresh, given); err != nil {
		return err
	}
	if err := t.widen(ctx, given); err != nil {
		return err
	}
	t.settle()
	return nil
}

// begin makes tasks and hands them to workers.
func (t *taskTable) begin(ctx context.Context, ids []record.TaskID, given map[record.TaskID][]record.TopicPartition) error {
	if len(ids) == 0 || t.app.closing.Load() {
		return nil
	}
	inputs := make(map[record.TaskID][]record.TopicPartition, len(ids))
	for _, id := range ids {
		inputs[id] = given[id]
	}
	offsets, err := t.app.startOffsets(ctx, inputs)
	if err != nil {
		return err
	}
	for _, id := range ids {
		running, cancel := context.WithCancel(t.app.ioCtx)
		p := &placed{id: id, inputs: given[id], to: t.choose(id), cancelled: cancel, idle: make(chan struct{}),
			start: make(map[record.TopicPartition]int64, len(given[id]))}
		for _, tp := range p.inputs {
			p.start[tp] = offsets[tp].At
		}
		t.mu.Lock()
		t.list[id] = p
		t.mu.Unlock()
		p.to.tasks.Add(1)
		p.to.box.post(func() { t.make(running, p, offsets) })
	}
	return nil
}

// choose picks the worker with the fewest tasks.
func (t *taskTable) choose(id record.TaskID) *runner {
	best := t.app.runners[int(id.Partition)%len(t.app.runners)]
	for _, r := range t.app.runners {
		if r.tasks.Load() < best.tasks.Load() {
			best = r
		}
	}
	return best
}

// make builds a task on its worker's goroutine and begins its restore.
func (t *taskTable) make(ctx context.Context, p *placed, offsets map[record.TopicPartition]kafka.Offset) {
	a, r := t.app, p.to
	inputs, start := t.readsOf(p)
	inputs = slices.DeleteFunc(slices.Clone(inputs), func(tp record.TopicPartition) bool {
		_, ok := offsets[tp]
		return !ok // it has come since: AddInput follows
	})
	prog, err := a.shop.Assemble(p.id, r.w.Out, a.nowMs())
	if err != nil {
		t.drop(p)
		a.fail(err)
		return
	}
	task, err := NewTask(a.taskConfig(p.id, prog, r.w.Out), inputs)
	if err != nil {
		t.drop(p)
		a.fail(errors.Join(err, prog.Close()))
		return
	}
	for _, tp := range inputs {
		if err := task.Seek(tp, offsets[tp].At, offsets[tp].Metadata); err != nil {
			a.log.Warn("offset metadata cannot be read: partition time begins anew", "partition", tp.String(), "err", err)
		}
	}
	r.w.Step(a.nowMs(), AddTask{task})
	a.spawn(func() {
		defer close(p.idle)
		ends, err := a.restore(ctx, p.id, prog.Stores, start)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			a.fail(err)
		default:
			r.box.post(func() {
				r.w.Step(a.nowMs(), Restored{ID: p.id, Ends: ends})
				t.restored(p)
			})
		}
	})
}

func (a *App) taskConfig(id record.TaskID, prog *Program, out *Out) TaskConfig {
	return TaskConfig{App: a.cfg.App, Version: a.cfg.Version, ID: id, Program: prog, Out: out,
		DeadLetters: a.cfg.DeadLetters, Policy: a.cfg.Policy, TopicPolicy: a.cfg.TopicPolicy,
		MaxIdle: a.cfg.MaxTaskIdle.Milliseconds(), KeepPartial: a.cfg.KeepPartial, Twice: a.cfg.Twice, Chance: chance,
		Transactional: a.cfg.ExactlyOnce, Salt: salt(), RowPatience: a.cfg.TransactionTimeout.Milliseconds() / 2}
}

// drop forgets a task that could not be made.
func (t *taskTable) drop(p *placed) {
	close(p.idle)
	p.to.tasks.Add(-1)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.list[p.id] == p {
		delete(t.list, p.id)
	}
	p.cancelled()
}

// closed is told by a worker that a task is no longer its own.
func (t *taskTable) closed(id record.TaskID, r *runner) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.list[id]; p != nil && p.to == r {
		p.cancelled()
		delete(t.list, id)
	}
	t.app.queries.Changed()
}

func (t *taskTable) restored(p *placed) {
	t.mu.Lock()
	p.restored = true
	t.mu.Unlock()
	t.app.queries.Changed()
	t.settle()
}

// residents are the tasks of the application for queries.
type residents struct{ a *App }

// Resident implements [Residents].
func (r residents) Resident(id record.TaskID) (Resident, bool) {
	if r.global(id.Sub) {
		return Resident{Restoring: !r.a.globals.caughtUp()}, id.Partition == 0
	}
	t := r.a.tasks
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.list[id]
	if p == nil {
		return Resident{}, false
	}
	return Resident{Restoring: !p.restored, Start: p.start}, true
}

// Tasks implements [Residents].
func (r residents) Tasks(sub int32) int32 {
	if r.global(sub) {
		return 1
	}
	if book := r.a.topics.Load(); book != nil {
		return book.tasks(sub)
	}
	return 0
}

func (r residents) global(sub int32) bool { return r.a.cfg.Topology.Subs[sub].Global != nil }

// Running implements [Residents].
func (r residents) Running() error {
	now, _, _ := r.a.states.get()
	if now == StateCreated || r.a.topics.Load() == nil {
		return fmt.Errorf("%s", now)
	}
	return nil
}

// settle changes the state to RUNNING when every task is restored.
func (t *taskTable) settle() {
	t.mu.Lock()
	for _, p := range t.list {
		if !p.restored {
			t.mu.Unlock()
			return
		}
	}
	t.mu.Unlock()
	t.app.states.to(StateRunning)
}
