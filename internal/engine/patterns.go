package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/oxbow-streams/oxbow/internal/engine/topics"
	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// patterns finds out, while the application runs, which topics match the patterns of the program's sources. Without a pattern
// it does nothing.
//
// Every instance looks for itself, every MetadataMaxAge and when the group's leader assigns. Where it sees a change it brings
// the application's topics up to it, drops what is gone from its tasks at once, and joins the group again: what is new comes
// with an assignment. A topic for which an internal topic is not made (it has more partitions than a changelog, say) stops the
// application, as it would at its start.
type patterns struct {
	app *App
	on  bool

	mu   sync.Mutex // one look at a time
	wake chan struct{}

	stoppedMu sync.Mutex
	stopped   []stoppedFetch // since the last look
}

// stoppedFetch is a partition whose topic the brokers do not know any more.
type stoppedFetch struct {
	ev Delivered
	to *runner
}

func newPatterns(a *App) *patterns {
	return &patterns{app: a, on: topics.Patterned(a.cfg.Topology) && a.cfg.MetadataMaxAge > 0, wake: make(chan struct{}, 1)}
}

// lookAgain is the wait after a look that has failed.
const lookAgain = 5 * time.Second

// run looks again and again, until ctx ends.
func (p *patterns) run(ctx context.Context) error {
	if !p.on {
		return nil
	}
	age := p.app.cfg.MetadataMaxAge
	t := time.NewTimer(age)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		case <-p.wake:
		}
		err := p.look(ctx)
		if err != nil && ctx.Err() == nil && !kafka.Retriable(err) {
			return err
		}
		p.resume(err == nil)
		t.Reset(age)
		if err != nil {
			p.app.log.Warn("topics that match patterns could not be listed: they are asked for again", "err", err)
			t.Reset(min(age, lookAgain))
		}
	}
}

// look asks which topics match, and acts upon a change.
func (p *patterns) look(ctx context.Context) error {
	if !p.on {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	book := p.app.topics.Load()
	match, err := topics.Matching(ctx, book.client, book.topo, book.config)
	if err != nil {
		return err
	}
	before := matchedOf(book)
	if !changed(before, match) {
		return nil
	}
	if err := book.ensure(ctx, p.app); err != nil {
		return fmt.Errorf("topics that match patterns have changed: %w", err)
	}
	now := matchedOf(book)
	gone := maps.Clone(before)
	maps.DeleteFunc(gone, func(name string, _ int32) bool { _, ok := now[name]; return ok })
	fresh := maps.Clone(now)
	maps.DeleteFunc(fresh, func(name string, n int32) bool { return n == before[name] })
	p.app.log.Info("topics that match patterns have changed", "new", slices.Sorted(maps.Keys(fresh)), "gone",
		slices.Sorted(maps.Keys(gone)))
	p.app.tasks.dropTopics(gone)
	p.app.group.Rejoin()
	return nil
}

// matchedOf returns the topics of a book that patterns match, with their partitions.
func matchedOf(b *topicBook) map[string]int32 {
	match := map[string]int32{}
	for _, sub := range b.reads() {
		for _, t := range sub.Topics {
			if !slices.Contains(b.topo.Subs[sub.ID].Topics, t.Name) {
				match[t.Name] = t.Partitions
			}
		}
	}
	return match
}

// changed tells whether topics have come, gone or grown. One that has no partitions now cannot be seen at the moment.
func changed(before, now map[string]int32) bool {
	for name, n := range now {
		if n > 0 && n != before[name] {
			return true
		}
	}
	for name := range before {
		if _, ok := now[name]; !ok {
			return true
		}
	}
	return false
}

// known returns the assigned partitions that are there. The leader may have seen a topic that this instance has not, and one may
// be gone since.
func (p *patterns) known(tps []record.TopicPartition) ([]record.TopicPartition, error) {
	book := p.app.topics.Load()
	if !p.on || !slices.ContainsFunc(tps, func(tp record.TopicPartition) bool { return !book.has(tp) }) {
		return tps, nil
	}
	if err := p.look(p.app.ioCtx); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(tps), func(tp record.TopicPartition) bool {
		gone := !book.has(tp) && len(book.topo.Matching(tp.Topic)) > 0
		if gone {
			p.app.log.Warn("a topic that matches a pattern is assigned, and is not there", "partition", tp.String())
		}
		return gone
	}), nil
}

// fetchFailed takes over a fetch that has ended because the topic is gone. It is looked into outside of the fetcher.
func (p *patterns) fetchFailed(ev Delivered, to *runner) bool {
	if !p.on || !kafka.IsMissing(ev.Err) || len(p.app.cfg.Topology.Matching(ev.TP.Topic)) == 0 {
		return false
	}
	p.stoppedMu.Lock()
	defer p.stoppedMu.Unlock()
	p.stopped = append(p.stopped, stoppedFetch{ev, to})
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return true
}

// resume lets the workers hear of partitions that could not be fetched any more although their topic is there. The others have
// been dropped.
func (p *patterns) resume(looked bool) {
	if !looked {
		return
	}
	p.stoppedMu.Lock()
	defer p.stoppedMu.Unlock()
	for _, s := range p.stopped {
		if p.app.topics.Load().has(s.ev.TP) && !s.to.box.post(s.ev) {
			for _, b := range s.ev.Batches {
				b.Release()
			}
		}
	}
	p.stopped = nil
}

// goneAfter is how long a commit goes on that a broker refuses because it does not know a topic, before it is looked into.
const goneAfter = 2 * time.Second

// commit commits offsets to the group, without those of topics that are gone by then.
func (p *patterns) commit(ctx context.Context, offsets map[record.TopicPartition]kafka.Offset) error {
	if !p.on {
		return p.app.group.Commit(ctx, offsets)
	}
	for end := time.Now().Add(30 * goneAfter); ; {
		attempt, cancel := context.WithTimeout(ctx, goneAfter)
		err := p.app.group.Commit(attempt, offsets)
		over := attempt.Err() != nil
		cancel()
		if err == nil || !over || ctx.Err() != nil || time.Now().After(end) {
			return err
		}
		if !kafka.IsMissing(err) || p.look(ctx) != nil {
			continue
		}
		book := p.app.topics.Load()
		maps.DeleteFunc(offsets, func(tp record.TopicPartition, _ kafka.Offset) bool { return !book.has(tp) })
	}
}

// dropTopics lets the tasks go on without topics that are gone.
func (t *taskTable) dropTopics(gone map[string]int32) {
	if len(gone) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.list {
		var stay []record.TopicPartition
		for _, tp := range p.inputs {
			if _, ok := gone[tp.Topic]; !ok {
				stay = append(stay, tp)
			} else {
				p.to.box.post(DropInput{p.id, tp})
			}
		}
		p.inputs = stay
	}
}

// readsOf returns what a task reads at the moment, and where it began.
func (t *taskTable) readsOf(p *placed) ([]record.TopicPartition, map[record.TopicPartition]int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return p.inputs, p.start
}

// widen lets tasks that stay here read partitions that are new to them.
func (t *taskTable) widen(ctx context.Context, given map[record.TaskID][]record.TopicPartition) error {
	wider := map[record.TaskID][]record.TopicPartition{}
	for id, tps := range given {
		t.mu.Lock()
		p := t.list[id]
		if p != nil && !p.leaving && slices.ContainsFunc(tps, func(tp record.TopicPartition) bool { return !slices.Contains(p.inputs, tp) }) {
			wider[id] = tps
		}
		t.mu.Unlock()
	}
	if len(wider) == 0 {
		return nil
	}
	offsets, err := t.app.startOffsets(ctx, wider)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, tps := range wider {
		p := t.list[id]
		if p == nil || p.leaving {
			continue
		}
		inputs, start := slices.Clone(p.inputs), maps.Clone(p.start)
		for _, tp := range tps {
			if slices.Contains(inputs, tp) {
				continue
			}
			inputs, start[tp] = append(inputs, tp), offsets[tp].At
			p.to.box.post(AddInput{ID: id, TP: tp, From: offsets[tp].At, Metadata: offsets[tp].Metadata})
		}
		p.inputs, p.start = inputs, start
	}
	return nil
}
