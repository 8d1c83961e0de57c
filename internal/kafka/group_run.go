package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// leaveTimeout bounds how long a leaving member waits for the coordinator. Without an answer the group waits for the
// session to expire.
const leaveTimeout = 5 * time.Second

// groupRun is what one Run has under way.
type groupRun struct {
	*Group
	requests      context.Context // of join and sync: Run's
	handlers      context.Context // of handler calls and heartbeats: ends when Run returns
	cancelHandler context.CancelFunc
	wg            sync.WaitGroup
	err           error
	ended         bool
}

// Run is a member of the group until ctx ends, and leaves it then (a static member stays). It returns when no handler
// runs any more: nil after ctx ended, else what made going on impossible. It can be called once.
func (g *Group) Run(ctx context.Context) error {
	if !g.running.CompareAndSwap(false, true) {
		return fmt.Errorf("group %q: Run was called before", g.cfg.Group)
	}
	r := &groupRun{Group: g, cancelHandler: func() {}}
	r.requests = ctx
	var cancel context.CancelFunc
	r.handlers, cancel = context.WithCancel(context.WithoutCancel(ctx))
	defer r.wg.Wait()
	defer close(g.over)
	defer cancel()

	r.step(groupTick{})
	done := ctx.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for !r.ended {
		timer.Stop()
		if at := g.m.wake(); !at.IsZero() {
			timer.Reset(max(0, time.Until(at)))
		}
		select {
		case ev := <-g.events:
			if ctx.Err() != nil && done != nil { // else the requests that it ended would count as failed
				done = nil
				r.step(groupStop{})
			}
			r.step(ev)
		case <-g.kick:
			r.step(groupRejoin{})
		case <-timer.C:
			r.step(groupTick{})
		case <-done:
			done = nil
			r.step(groupStop{})
		}
	}
	if r.err != nil {
		return fmt.Errorf("group %q: %w", g.cfg.Group, r.err)
	}
	return nil
}

func (r *groupRun) step(ev groupEvent) {
	was := r.m.state
	actions := r.m.Step(time.Now(), ev)
	r.publish()
	if r.m.state != was {
		r.c.cfg.Logger.Debug("group membership", "group", r.cfg.Group, "member", r.m.memberID, "generation", r.m.generation,
			"from", was.String(), "to", r.m.state.String())
	}
	for _, a := range actions {
		r.carryOut(a)
	}
}

// carryOut begins an action. What takes time runs in a goroutine of its own and posts an event when it is done.
func (r *groupRun) carryOut(a groupAction) {
	switch a := a.(type) {
	case doJoin:
		r.run(func() groupEvent { return r.join(r.requests, a) })
	case doPlan:
		r.run(func() groupEvent {
			plan, err := r.plan(a.members)
			return groupPlanned{a.seq, plan, err}
		})
	case doSync:
		r.run(func() groupEvent { return r.sync(r.requests, a) })
	case doBeat:
		r.run(func() groupEvent {
			sent := time.Now()
			return groupBeat{a.generation, sent, r.beat(r.handlers, a)}
		})
	case doPrepare:
		r.handle(r.cfg.Handler.Prepare)
	case doRevoke:
		r.handle(func(ctx context.Context) error { return r.cfg.Handler.Revoked(ctx, a.partitions) })
	case doTake:
		r.handle(func(ctx context.Context) error { return r.cfg.Handler.Assigned(ctx, a.assignment, a.generation) })
	case doLose:
		r.handle(func(ctx context.Context) error { r.cfg.Handler.Lost(ctx, a.partitions); return nil })
	case doCancelHandler:
		r.cancelHandler()
	case doLeave:
		r.run(func() groupEvent {
			ctx, cancel := context.WithTimeout(r.handlers, leaveTimeout)
			defer cancel()
			if err := r.leaveGroup(ctx, a.memberID); err != nil && !errors.Is(err, ErrClosed) {
				r.c.cfg.Logger.Warn("could not leave the group: it waits until the session expires", "group", r.cfg.Group, "error", err)
			}
			return groupLeft{}
		})
	case doEnd:
		r.err, r.ended = a.err, true
	}
}

func (r *groupRun) run(f func() groupEvent) {
	r.wg.Go(func() { r.post(f()) })
}

func (r *groupRun) handle(f func(ctx context.Context) error) {
	ctx, cancel := context.WithCancel(r.handlers)
	r.cancelHandler = cancel
	r.run(func() groupEvent {
		defer cancel()
		return groupHandled{f(ctx)}
	})
}
