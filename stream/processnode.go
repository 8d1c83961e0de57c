package stream

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/topology"
)

// instance is a user's processor in one task.
type instance[K, V, K2, V2 any] struct {
	user    any
	process func(*ProcessContext[K2, V2], Record[K, V]) error
	init    func(*InitContext[K2, V2]) error // nil: none
	close   func() error                     // nil: none
}

func initOf[K, V any](p any) func(*InitContext[K, V]) error {
	if i, ok := p.(Initializer[K, V]); ok {
		return i.Init
	}
	return nil
}

func closeOf(p any) func() error {
	switch c := p.(type) {
	case interface{ Close() error }:
		return c.Close
	case interface{ Close() }:
		return func() error {
			c.Close()
			return nil
		}
	}
	return nil
}

// process adds the node of a processor.
func process[K, V, K2, V2 any](s Stream[K, V], set settings, prefix string, stores []StoreRef, mk any,
	build func() instance[K, V, K2, V2]) Stream[K2, V2] {
	b := s.builder()
	name := set.name
	if name == "" {
		name = b.graph.Name(prefix)
	}
	op := &topology.Op{Site: set.site, Write: func(c *topology.Compiler) *topology.Node {
		if !reflect.ValueOf(mk).IsNil() {
			checkProcessor(c, &set, build(), build(), prefix)
		}
		n := topology.NewProcessor(name, wired(s, c, &set,
			func(in *topology.Instance, self *topology.Node) (node.Proc[K, V], error) {
				return hosted(in, self, build), nil
			}))
		n.OnError = set.policy
		c.Add(n, c.Out(s.op))
		addStores(c, n, &set, stores)
		return n
	}}
	b.graph.Add(op, s.op)
	return Stream[K2, V2]{b: b, op: op, name: name, sources: s.sources, again: new(reuse)}
}

// addStores adds the stores that a processor may open.
func addStores(c *topology.Compiler, n *topology.Node, set *settings, stores []StoreRef) {
	for i, ref := range stores {
		if ref == nil {
			c.Fault("%s: store %d of its list is nil", set.call, i)
			continue
		}
		ref.add(c, n)
	}
}

// checkProcessor finds what the compiler cannot: optional methods with other types, which would never be called, and a mk that
// gives all tasks the same processor.
func checkProcessor[K, V, K2, V2 any](c *topology.Compiler, set *settings, p, q instance[K, V, K2, V2], prefix string) {
	v := reflect.ValueOf(p.user)
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			c.Fault("%s: its function returns a nil %s", set.call, v.Type())
			return
		}
		if v.Type().Elem().Size() > 0 && v.Pointer() == reflect.ValueOf(q.user).Pointer() {
			c.Fault("%s: its function returns the same %s twice: every task needs one of its own", set.call, v.Type())
		}
	}
	want := "*" + reflect.TypeFor[InitContext[K2, V2]]().String()
	if prefix != "KSTREAM-PROCESSOR-" {
		want = "*stream.StoreContext"
	}
	if m := v.MethodByName("Init"); m.IsValid() && p.init == nil {
		c.Fault("%s: %s has an Init of type %s that would never be called: want func(%s) error", set.call, v.Type(), m.Type(), want)
	}
	if m := v.MethodByName("Close"); m.IsValid() && p.close == nil {
		c.Fault("%s: %s has a Close of type %s that would never be called: want func() or func() error", set.call, v.Type(), m.Type())
	}
}

// host carries a processor in one task.
type host[K, V any] struct {
	opener
	task     *node.Task
	at       *node.Info
	next     node.Proc[K, V]
	children map[string]node.Proc[K, V]
	calls    *node.Calls
	ctx      ProcessContext[K, V]
	out      node.Rec[K, V]
	time     int64 // of the record or punctuation in work
	timers   []*node.Timer
}

// hosted makes the Proc of a processor.
func hosted[K, V, K2, V2 any](in *topology.Instance, self *topology.Node, build func() instance[K, V, K2, V2]) node.Proc[K, V] {
	at := in.Info(self)
	h := &host[K2, V2]{task: in.Task, at: at, next: topology.After[K2, V2](in, self),
		children: topology.Children[K2, V2](in, self), calls: node.NewCalls(in.Task, at)}
	h.ctx.h = h
	h.opener = opener{task: in.Task, at: at, in: in, names: self.Stores}
	var p instance[K, V, K2, V2]
	in.OnInit(func() error {
		p = build()
		if p.init == nil {
			return nil
		}
		return h.around("Init", func() error { return p.init(&InitContext[K2, V2]{h}) })
	})
	in.OnClose(func() error {
		for _, t := range h.timers {
			t.Cancel()
		}
		h.timers = nil
		return h.around("Close", p.close)
	})
	return func(r *node.Rec[K, V]) error {
		at.Stats.In++
		return h.run(dlq.StageProcess, r.Time, func() error { return p.process(&h.ctx, fromRec(r)) })
	}
}

// run calls the user's function and says what became of it.
func (h *host[K, V]) run(stage dlq.Stage, time int64, f func() error) error {
	h.task.At, h.time = h.at, time
	h.ctx.Context = h.calls.Context()
	h.err = nil
	err := f()
	h.calls.Over()
	if trouble := h.trouble(); trouble != nil {
		return trouble
	}
	if err == nil {
		return nil
	}
	if f := (*dlq.Failure)(nil); errors.As(err, &f) {
		return err
	}
	return h.task.Fail(stage, h.at, err)
}

func (h *host[K, V]) forward(next node.Proc[K, V], r Record[K, V]) {
	if h.err != nil {
		return
	}
	time := h.time
	if !r.Time.IsZero() {
		time = r.Time.UnixMilli()
	}
	if time < 0 {
		h.misuse("a record with the timestamp %d is forwarded, which no topic takes", time)
		return
	}
	v, ok := r.Value.Get()
	h.out = node.Rec[K, V]{Key: r.Key, Value: v, NullKey: r.NullKey, Null: !ok, Time: time, Headers: r.Headers}
	h.err = next(&h.out)
	h.task.At = h.at
}

func (h *host[K, V]) streamTime() time.Time { return streamTime(h.task) }

func streamTime(task *node.Task) (t time.Time) {
	if task.StreamTime >= 0 {
		t = time.UnixMilli(task.StreamTime).UTC()
	}
	return t
}

func (h *host[K, V]) childNames() string { return fmt.Sprint(slices.Sorted(maps.Keys(h.children))) }

func (h *host[K, V]) every(d time.Duration, f Punctuator[K, V],
	schedule func(*node.Info, int64, func(int64) error) *node.Timer) *Timer {
	switch {
	case f == nil:
		h.misuse("a punctuation has no function")
		return &Timer{}
	case d < time.Millisecond:
		h.misuse("a punctuation every %s: want 1ms or more", d)
		return &Timer{}
	}
	t := schedule(h.at, d.Milliseconds(), func(now int64) error {
		return h.run(dlq.StagePunctuate, now, func() error { return f(&h.ctx, time.UnixMilli(now).UTC()) })
	})
	h.timers = append(h.timers, t)
	return &Timer{t}
}
