package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

// run builds a case and feeds it. It returns the wire types of what was observed with what came out, and at which input the
// application failed, −1 if it did not.
func run(c *Scenario, caching bool) (got []Output, p *program, failedAt int, err error) {
	at := 0
	p, err = build(fresh(c.Program), caching, func(o Output) {
		o.After = at
		got = append(got, o)
	})
	if err != nil {
		return nil, nil, -1, err
	}
	d, err := streamtest.Open(p.b, driverOptions(p.cfg, caching)...)
	if err != nil {
		return nil, p, -1, err
	}
	failedAt = -1
	for i, in := range c.Inputs {
		at = i
		if err := p.feed(d, in); err != nil {
			if c.FailsAt == nil {
				return got, p, i, errors.Join(fmt.Errorf("input %d: %w", i, err), d.Close())
			}
			failedAt = i
			break
		}
	}
	return got, p, failedAt, d.Close()
}

// fresh copies a program, so that what one run has looked at is not taken as looked at by the next.
func fresh(steps []Step) []Step {
	out := make([]Step, len(steps))
	for i, s := range steps {
		out[i] = s
		out[i].used = map[string]bool{}
	}
	return out
}

func driverOptions(cfg programConfig, caching bool) []streamtest.Option {
	opts := []streamtest.Option{streamtest.StartAt(time.UnixMilli(0)), streamtest.KeepPartial()}
	if cfg.onError == "continue" {
		opts = append(opts, streamtest.OnError(stream.Skip))
	} else {
		opts = append(opts, streamtest.OnError(stream.Fail()))
	}
	if cfg.maxTaskIdle > 0 {
		opts = append(opts, streamtest.MaxTaskIdle(time.Duration(cfg.maxTaskIdle)*time.Millisecond))
	}
	if !caching {
		opts = append(opts, streamtest.NoCaching())
	}
	return opts
}

func (p *program) feed(d *streamtest.Driver, in Input) error {
	if in.Advance != nil {
		return d.Advance(time.Duration(*in.Advance) * time.Millisecond)
	}
	if c := p.changes[in.Topic]; c != nil {
		return p.feedChange(d, c, in)
	}
	w, err := p.sourceOf(in.Topic)
	if err != nil {
		return err
	}
	r := stream.Record[any, any]{Time: time.UnixMilli(in.Time)}
	if r.Key, err = parse(in.Key, w.key); err != nil {
		return err
	}
	r.NullKey = r.Key == nil
	v, err := parse(in.Value, w.value)
	if err != nil {
		return err
	}
	r.Value = some(v)
	for _, h := range in.Headers {
		var kv [2]string
		if err := json.Unmarshal(h, &kv); err != nil {
			return err
		}
		r.Headers = r.Headers.With(kv[0], []byte(kv[1]))
	}
	return streamtest.Input[any, any](d, in.Topic, dynamic{w.key}, dynamic{w.value}).PipeRecord(r)
}

func (p *program) sourceOf(topic string) (wire, error) {
	for _, s := range p.sources {
		if s.topic == topic {
			return s.wire, nil
		}
		if s.pattern != "" {
			if ok, err := regexp.MatchString(`\A(?:`+s.pattern+`)\z`, topic); err == nil && ok {
				return s.wire, nil
			}
		}
	}
	return wire{}, fmt.Errorf("no source of the program reads %s", topic)
}

// lines writes entries in the form that is compared: what the case gives, and nothing else.
func lines(c *Scenario, p *program, out []Output, expected bool) []string {
	var all []string
	for _, o := range out {
		var b strings.Builder
		fmt.Fprintf(&b, "after %d", o.After)
		if o.Sink != "" {
			fmt.Fprintf(&b, " [%s]", o.Sink)
		}
		fmt.Fprintf(&b, " %s", literal(o.Key))
		if o.Window != nil && c.Assertion != "exact-sequence (key, value)" && c.Assertion != "exact-sequence (values)" {
			fmt.Fprintf(&b, "[%d,%d]", o.Window[0], o.Window[1])
		}
		b.WriteString(" | ")
		fmt.Fprintf(&b, "%s", literal(o.Value))
		if p.observesChanges {
			fmt.Fprintf(&b, " <- %s", literal(o.OldValue))
		}
		if c.Assertion != "exact-sequence (key, value)" && c.Assertion != "exact-sequence (values)" {
			fmt.Fprintf(&b, " @%d", o.Time)
		}
		if c.comparesHeaders() {
			for _, h := range o.Headers {
				b.Write(h)
			}
		}
		all = append(all, strings.ReplaceAll(b.String(), "\", \"", "\",\""))
	}
	return all
}

func literal(v any) string {
	if n, ok := v.(json.Number); ok {
		if i, err := n.Int64(); err == nil {
			return text(i)
		}
		f, _ := n.Float64()
		return text(f)
	}
	return text(v)
}

func (c *Scenario) comparesHeaders() bool {
	for _, o := range c.Expected {
		if len(o.Headers) > 0 {
			return true
		}
	}
	return false
}

// keyOfLine is what "last per key" is per: the line up to the value, with the input's number only where each step counts.
func keyOfLine(assertion string) func(line string) string {
	return func(line string) string {
		key, _, _ := strings.Cut(line, " | ")
		if assertion != "map-per-step" {
			_, key, _ = strings.Cut(key, " ") // "after"
			_, key, _ = strings.Cut(key, " ")
		}
		return key
	}
}
