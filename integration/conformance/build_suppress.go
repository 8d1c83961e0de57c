package conformance

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/tap"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

func buildSuppress(p *program, s *Step) (any, error) {
	opts, err := bufferOptions(s)
	if err != nil {
		return nil, err
	}
	grace, graced := s.Field("grace_ms")
	switch until := s.Text("until"); until {
	case "windowCloses":
		t, err := of[windowTable](p, s)
		if err != nil {
			return nil, err
		}
		if graced {
			tap.CloseAfter(t, whole(grace))
		}
		return stream.SuppressUntilWindowCloses(t, opts...), nil
	case "timeLimit":
		d, err := limitOf(s)
		if err != nil {
			return nil, err
		}
		if t, ok := p.made[s.Of[0]].(windowTable); ok {
			return t.SuppressUntilTimeLimit(d, opts...), nil
		}
		t, err := of[anyTable](p, s)
		if err != nil {
			return nil, err
		}
		opts = append(opts, stream.WithKey[any](dynamic{s.Key}), stream.WithValue[any](dynamic{s.Value}))
		return t.SuppressUntilTimeLimit(d, opts...), nil
	default:
		return nil, fmt.Errorf("until %q is not in the vocabulary", until)
	}
}

func limitOf(s *Step) (time.Duration, error) {
	limit, ok := s.Field("limit_ms")
	switch {
	case !ok:
		return 0, fmt.Errorf("it lacks the field %q", "limit_ms")
	case limit == "max":
		return time.Duration(math.MaxInt64).Truncate(time.Millisecond), nil
	}
	return time.Duration(whole(limit)) * time.Millisecond, nil
}

func bufferOptions(s *Step) (opts []stream.BufferOption, err error) {
	if n, ok := s.Field("max_records"); ok {
		opts = append(opts, stream.MaxRecords(int(whole(n))))
	}
	if n, ok := s.Field("max_bytes"); ok {
		opts = append(opts, stream.MaxBytes(whole(n)))
	}
	limited := len(opts) > 0
	switch full := s.Text("when_full"); {
	case full == "":
	case full == "emit" && limited:
		opts = append(opts, stream.EmitEarlyWhenFull())
	case full == "stop" && limited:
		opts = append(opts, stream.StopWhenFull())
	case full != "emit" && full != "stop":
		return nil, fmt.Errorf("when_full %q is not in the vocabulary", full)
	}
	return opts, nil
}

// changes are the inputs of a table whose changes are the inputs themselves.
type changes struct {
	keys   string
	window string // kind, "" for plain keys
	value  string
}

func buildChanges(p *program, s *Step) (any, error) {
	c := &changes{value: s.Value}
	topic := s.Text("topic")
	p.changes[topic] = c
	k, windows := inner(s.Key)
	given, ok := s.Field("window")
	if windows != ok {
		return nil, fmt.Errorf("keys are %s, but its window is %v", s.Key, given)
	}
	values := dynamic{s.Value}
	if !windows {
		c.keys = s.Key
		return tap.ChangesFrom(p.b, topic, dynamic{s.Key}, values, changeSerde{s.Value}), nil
	}
	c.keys = k
	f := &Step{Rest: given.(map[string]any), used: map[string]bool{}}
	var keys serde.Serde[windowed]
	switch kind := f.Text("kind"); kind {
	case "time":
		keys = serde.TimeWindowed[any](dynamic{k}, time.Duration(f.Number("size_ms", 0))*time.Millisecond)
	case "session":
		keys = serde.SessionWindowed[any](dynamic{k})
	default:
		return nil, fmt.Errorf("window of kind %q", kind)
	}
	if left := f.Unused(); len(left) > 0 {
		return nil, fmt.Errorf("window: fields %v are not in the vocabulary", left)
	}
	p.windowKeys[topic] = keys
	return tap.ChangesFrom(p.b, topic, keys, values, changeSerde{s.Value}), nil
}

// feedChange pipes the change that an input is.
func (p *program) feedChange(d *streamtest.Driver, c *changes, in Input) error {
	v, err := parse(in.Value, c.value)
	if err != nil {
		return err
	}
	old, err := parse(in.OldValue, c.value)
	if err != nil {
		return err
	}
	k, err := parse(in.Key, c.keys)
	if err != nil {
		return err
	}
	change := stream.Some(node.Change[any]{New: some(v), Old: some(old)})
	at := time.UnixMilli(in.Time)
	if keys := p.windowKeys[in.Topic]; keys != nil {
		if in.Window == nil {
			return fmt.Errorf("a change of %s without a window", in.Topic)
		}
		key := windowed{Key: k, Start: time.UnixMilli(in.Window[0]).UTC(), End: time.UnixMilli(in.Window[1]).UTC()}
		return streamtest.Input(d, in.Topic, keys, serde.Serde[node.Change[any]](changeSerde{c.value})).PipeRecord(
			stream.Record[windowed, node.Change[any]]{Key: key, Value: change, Time: at})
	}
	return streamtest.Input[any, node.Change[any]](d, in.Topic, dynamic{c.keys}, changeSerde{c.value}).PipeRecord(
		stream.Record[any, node.Change[any]]{Key: k, Value: change, Time: at})
}

// changeSerde writes both values of a change, each as its type says.
type changeSerde struct{ value string }

func (s changeSerde) Append(dst []byte, c node.Change[any]) ([]byte, error) {
	var sides [2]*[]byte
	for i, v := range []opt{c.New, c.Old} {
		if x, ok := v.Get(); ok {
			b, err := dynamic{s.value}.Append([]byte{}, x)
			if err != nil {
				return dst, err
			}
			sides[i] = &b
		}
	}
	b, err := json.Marshal(sides)
	return append(dst, b...), err
}

func (s changeSerde) Decode(b []byte) (c node.Change[any], err error) {
	var sides [2]*[]byte
	if err := json.Unmarshal(b, &sides); err != nil {
		return c, err
	}
	for i, to := range []*opt{&c.New, &c.Old} {
		if sides[i] == nil {
			continue
		}
		v, err := dynamic{s.value}.Decode(*sides[i])
		if err != nil {
			return c, err
		}
		*to = some(v)
	}
	return c, nil
}

// observeWindowChanges is observeChanges for a table of windows.
func observeWindowChanges(p *program, t windowTable, sink string) {
	p.observesChanges = true
	tap.Changes(t, func(k any, c node.Change[any], at int64) {
		w := k.(windowed)
		p.record(Output{Sink: sink, Key: w.Key, Value: c.New.Or(nil), OldValue: c.Old.Or(nil), Time: at,
			Window: &[2]int64{w.Start.UnixMilli(), w.End.UnixMilli()}})
	})
}
