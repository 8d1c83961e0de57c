package conformance

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/stream"
)

type anyRecord = stream.Record[any, any]

func buildObserve(p *program, s *Step) (any, error) {
	sink := s.Text("sink")
	if s.Bool("changes", false) {
		if t, ok := p.made[s.Of[0]].(windowTable); ok {
			observeWindowChanges(p, t, sink)
			return nil, nil
		}
		t, err := of[anyTable](p, s)
		if err != nil {
			return nil, err
		}
		observeChanges(p, t, sink)
		return nil, nil
	}
	if in, ok := p.made[s.Of[0]].(windowStream); ok {
		stream.Process(in, func() *windowObserver { return &windowObserver{observer{sink: sink, record: p.record}} }, nil)
		return nil, nil
	}
	in, err := of[anyStream](p, s)
	if err != nil {
		return nil, err
	}
	stream.Process(in, func() *observer { return &observer{sink: sink, record: p.record} }, nil)
	return nil, nil
}

// observer notes every record that arrives.
type observer struct {
	sink   string
	record func(Output)
}

func (o *observer) Process(_ *stream.ProcessContext[any, any], r anyRecord) error {
	out, err := o.output(r.Key, r.Value.Or(nil), r.Time, r.Headers)
	if err == nil {
		o.record(out)
	}
	return err
}

func (o *observer) output(k, v any, t time.Time, h stream.Headers) (Output, error) {
	out := Output{Sink: o.sink, Key: k, Value: v, Time: t.UnixMilli()}
	for k, v := range h.All() {
		b, err := json.Marshal([2]string{k, string(v)})
		if err != nil {
			return out, err
		}
		out.Headers = append(out.Headers, b)
	}
	return out, nil
}

// processors maps each proc to what makes it.
var processors = map[string]func(s *Step, proc *Step) (func() *processor, error){
	"forward": func(*Step, *Step) (func() *processor, error) {
		return func() *processor {
			return &processor{process: func(c forwarder, r anyRecord) error { c.Forward(r); return nil }}
		}, nil
	},
	"addTime": func(_ *Step, proc *Step) (func() *processor, error) {
		ms := proc.Number("ms", 0)
		return func() *processor {
			return &processor{process: func(c forwarder, r anyRecord) error {
				r.Time = r.Time.Add(time.Duration(ms) * time.Millisecond)
				c.Forward(r)
				return nil
			}}
		}, nil
	},
	"addHeader": func(_ *Step, proc *Step) (func() *processor, error) {
		key, value := proc.Text("key"), proc.Text("value")
		return func() *processor {
			return &processor{process: func(c forwarder, r anyRecord) error {
				r.Headers = r.Headers.With(key, []byte(value))
				c.Forward(r)
				return nil
			}}
		}, nil
	},
	"fanOut":    fanOut,
	"failIf":    failIf,
	"punctuate": punctuate,
	"mapValue": func(s *Step, proc *Step) (func() *processor, error) {
		f, err := typed(proc, "fn", s.Value)
		if err != nil {
			return nil, err
		}
		return func() *processor {
			return &processor{process: func(c forwarder, r anyRecord) error {
				v, err := f(env{"key": r.Key, "value": r.Value.Or(nil)})
				if err != nil {
					return err
				}
				r.Value = some(v)
				c.Forward(r)
				return nil
			}}
		}, nil
	},
}

// forwarder is what processors act through, whether or not they keep the key.
type forwarder interface {
	Forward(r anyRecord)
	ForwardTo(step string, r anyRecord)
}

// valueProcessor runs a processor where the key must stay.
type valueProcessor struct{ p *processor }

func (v *valueProcessor) Process(c *stream.ValueContext[any, any], r anyRecord) error {
	return v.p.process(valueForwarder{c}, r)
}

type valueForwarder struct {
	c *stream.ValueContext[any, any]
}

func (f valueForwarder) Forward(r anyRecord) { f.c.ForwardWith(r.Value, r.Time, r.Headers) }

func (f valueForwarder) ForwardTo(step string, _ anyRecord) {
	panic("a processor of values forwards to all: " + step)
}

// processor runs one of the vocabulary's processors.
type processor struct {
	init    func(c *stream.InitContext[any, any])
	process func(c forwarder, r anyRecord) error
}

func (p *processor) Init(c *stream.InitContext[any, any]) error {
	if p.init != nil {
		p.init(c)
	}
	return nil
}

func (p *processor) Process(c *stream.ProcessContext[any, any], r anyRecord) error {
	return p.process(c, r)
}

func buildProcess(p *program, s *Step) (any, error) {
	in, err := of[anyStream](p, s)
	if err != nil {
		return nil, err
	}
	fields, ok := s.Field("processor")
	if !ok {
		return nil, fmt.Errorf("it lacks the field %q", "processor")
	}
	proc := &Step{Rest: fields.(map[string]any), used: map[string]bool{}}
	name := proc.Text("proc")
	make, ok := processors[name]
	if !ok || name == "mapValue" && s.Op != "processValues" {
		return nil, fmt.Errorf("processor %q is not in the vocabulary of %s", name, s.Op)
	}
	mk, err := make(s, proc)
	if err != nil {
		return nil, err
	}
	if left := proc.Unused(); len(left) > 0 {
		return nil, fmt.Errorf("fields %v of the processor are not in the vocabulary", left)
	}
	if s.Op == "processValues" {
		return stream.ProcessValues(in, func() *valueProcessor { return &valueProcessor{mk()} }, nil, stream.Named(s.As)), nil
	}
	return stream.Process(in, mk, nil, stream.Named(s.As)), nil
}

func fanOut(_ *Step, proc *Step) (func() *processor, error) {
	type forward struct {
		add time.Duration
		to  string
	}
	var forwards []forward
	list, _ := proc.Field("forwards")
	for _, item := range list.([]any) {
		f := &Step{Rest: item.(map[string]any), used: map[string]bool{}}
		forwards = append(forwards, forward{time.Duration(f.Number("add_ms", 0)) * time.Millisecond, f.Text("to")})
		if left := f.Unused(); len(left) > 0 {
			return nil, fmt.Errorf("fields %v of a forward are not in the vocabulary", left)
		}
	}
	return func() *processor {
		return &processor{process: func(c forwarder, r anyRecord) error {
			for _, f := range forwards {
				out := r
				out.Time = r.Time.Add(f.add)
				if f.to == "" {
					c.Forward(out)
					continue
				}
				c.ForwardTo(f.to, out)
			}
			return nil
		}}
	}, nil
}

func failIf(_ *Step, proc *Step) (func() *processor, error) {
	cond, err := condition(proc, "if")
	if err != nil {
		return nil, err
	}
	return func() *processor {
		return &processor{process: func(c forwarder, r anyRecord) error {
			fail, err := cond(env{"key": r.Key, "value": r.Value.Or(nil)})
			if err != nil {
				return err
			}
			if fail {
				return fmt.Errorf("the program says to fail")
			}
			c.Forward(r)
			return nil
		}}
	}, nil
}

func punctuate(_ *Step, proc *Step) (func() *processor, error) {
	every := time.Duration(proc.Number("interval_ms", 0)) * time.Millisecond
	kind := proc.Text("type")
	if kind != "stream_time" && kind != "wall_clock" {
		return nil, fmt.Errorf("punctuation of type %q", kind)
	}
	fire := func(c *stream.ProcessContext[any, any], t time.Time) error {
		c.Forward(anyRecord{Key: "punctuate", Value: some(fmt.Sprint(t.UnixMilli())), Time: t})
		return nil
	}
	return func() *processor {
		return &processor{
			init: func(c *stream.InitContext[any, any]) {
				if kind == "stream_time" {
					c.EveryStreamTime(every, fire)
				} else {
					c.EveryWallClock(every, fire)
				}
			},
			process: func(forwarder, anyRecord) error { return nil },
		}
	}, nil
}

// checkPunctuationQueue drives the timers of a task as the ops of a case say.
func checkPunctuationQueue(c *Scenario) error {
	s := fresh(c.Program)[0]
	if s.Op != "punctuationQueue" || len(c.Program) != 1 {
		return fmt.Errorf("op %q is not in the vocabulary of the level processor", s.Op)
	}
	every, first, cancel := s.Number("interval_ms", 0), s.Number("first_due_ms", 0), s.Bool("cancel_on_fire", false)
	if left := s.Unused(); len(left) > 0 {
		return fmt.Errorf("fields %v are not in the vocabulary", left)
	}
	task := &node.Task{WallTime: first - every}
	var timer *node.Timer
	timer = task.EveryWallClock(&node.Info{Name: "queue"}, every, func(int64) error {
		if cancel {
			timer.Cancel()
		}
		return nil
	})
	task.Units.Commit()
	for i, op := range c.Ops {
		now, fired := whole(op["time"]), int64(0)
		for t := task.Timers.Due(-1, now); t != nil; t = task.Timers.Due(-1, now) {
			if err := t.Fire(); err != nil {
				return err
			}
			task.Units.Commit()
			fired++
		}
		task.Timers.Refresh()
		next := any(nil)
		if task.Timers.Wall != math.MaxInt64 {
			next = task.Timers.Wall
		}
		if want := whole(op["fires"]); fired != want || !same(next, op["next_due"], "int64") {
			return fmt.Errorf("op %d, at %d: fired %d times, next at %v; want %d, %v", i, now, fired, next, want, op["next_due"])
		}
	}
	return nil
}
