package node

import (
	"context"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// Call is the context that a fallible function of a user gets. It is made once per node and serves call after call without an
// allocation; only a function that asks for the deadline pays for one. A function that has asked may leave goroutines behind
// that hold the context, so that Call is given up to them, ended, and the next call gets a new one.
type Call struct {
	task *Task
	at   *Info
	ctx  context.Context // with the deadline, once asked for
	end  context.CancelFunc
	meta *Metadata // of a call that has ended
}

// Metadata is what a function may know of the record in work.
type Metadata struct {
	record.Coordinates
	Time    int64
	Headers record.Headers
	Task    record.TaskID
	Node    string
}

// metadataKey asks a Call for itself.
type metadataKey struct{}

// MetadataOf returns what is known of the record that a call with this context works on.
func MetadataOf(ctx context.Context) (Metadata, bool) {
	c, ok := ctx.Value(metadataKey{}).(*Call)
	if !ok {
		return Metadata{}, false
	}
	return c.metadata(), true
}

func (c *Call) metadata() Metadata {
	if c.meta != nil {
		return *c.meta
	}
	in := &c.task.Input
	var raw record.Raw
	if in.Raw != nil {
		raw = *in.Raw
	}
	h := raw.Headers
	if in.Origin != nil {
		h, _ = cutOrigin(h)
	}
	return Metadata{Coordinates: in.Coordinates, Time: raw.Time, Headers: h, Task: c.task.ID, Node: c.at.Name}
}

// base is the context without the deadline.
func (c *Call) base() context.Context {
	if c.task.Context != nil {
		return c.task.Context
	}
	return context.Background()
}

func (c *Call) timed() context.Context {
	if c.ctx == nil {
		if c.task.CallTimeout > 0 {
			c.ctx, c.end = context.WithTimeout(c.base(), c.task.CallTimeout)
		} else {
			c.ctx, c.end = context.WithCancel(c.base())
		}
	}
	return c.ctx
}

// Deadline is when the call has to be over.
func (c *Call) Deadline() (time.Time, bool) { return c.timed().Deadline() }

// Done is closed when the deadline has passed, the application stops hard, or the call is over.
func (c *Call) Done() <-chan struct{} { return c.timed().Done() }

// Err tells why Done is closed.
func (c *Call) Err() error {
	if c.ctx != nil {
		return c.ctx.Err()
	}
	return c.base().Err()
}

// Value returns what the application's context holds, and the record's metadata for its own key.
func (c *Call) Value(key any) any {
	if _, ok := key.(metadataKey); ok {
		return c
	}
	return c.base().Value(key)
}

// Calls hands out the contexts of one node.
type Calls struct{ now *Call }

// NewCalls returns the contexts of a node.
func NewCalls(t *Task, at *Info) *Calls { return &Calls{&Call{task: t, at: at}} }

// Context is that of the running call.
func (c *Calls) Context() context.Context { return c.now }

// Over ends the running call.
func (c *Calls) Over() {
	old := c.now
	if old.ctx == nil {
		return
	}
	c.now = &Call{task: old.task, at: old.at}
	m := old.metadata()
	m.Headers = m.Headers.Clone()
	old.meta = &m
	old.end()
}

// Try1 makes a plain function of one that takes a context and one argument.
func Try1[T, R any](t *Task, at *Info, f func(context.Context, T) (R, error)) func(T) (R, error) {
	c := NewCalls(t, at)
	return func(v T) (R, error) {
		r, err := f(c.now, v)
		c.Over()
		return r, err
	}
}

// Try makes a plain function of one that takes a context.
func Try[K, V, R any](t *Task, at *Info, f func(context.Context, K, V) (R, error)) func(K, V) (R, error) {
	c := NewCalls(t, at)
	return func(k K, v V) (R, error) {
		r, err := f(c.now, k, v)
		c.Over()
		return r, err
	}
}

// TryPair is [Try] for two results.
func TryPair[K, V, R, S any](t *Task, at *Info, f func(context.Context, K, V) (R, S, error)) func(K, V) (R, S, error) {
	c := NewCalls(t, at)
	return func(k K, v V) (R, S, error) {
		r, s, err := f(c.now, k, v)
		c.Over()
		return r, s, err
	}
}

// TryDo is [Try] for no result.
func TryDo[K, V any](t *Task, at *Info, f func(context.Context, K, V) error) func(K, V) error {
	c := NewCalls(t, at)
	return func(k K, v V) error {
		err := f(c.now, k, v)
		c.Over()
		return err
	}
}

// TryFold is [Try] for three arguments: a key, a value and what there was before.
func TryFold[K, V, A, R any](t *Task, at *Info, f func(context.Context, K, V, A) (R, error)) func(K, V, A) (R, error) {
	c := NewCalls(t, at)
	return func(k K, v V, a A) (R, error) {
		r, err := f(c.now, k, v, a)
		c.Over()
		return r, err
	}
}
