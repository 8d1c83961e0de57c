package stream_test

import (
	goctx "context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/memstore"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/topology"
)

type context = goctx.Context

func from(b *stream.Builder, topic string) stream.Stream[string, string] {
	return stream.From(b, topic, serde.String, serde.String)
}

// rig runs a compiled program on one partition, as plainly as can be: every record to its end, repartition topics included.
// What the application writes is kept as text.
type rig struct {
	t     testing.TB
	topo  *topology.Topology
	tasks []*rigTask
	out   []string // topic key=value @time
	queue []sent

	partitions []sentTo // of all that was written
}

type sentTo struct {
	topic     string
	partition int32
}

type rigTask struct {
	*topology.Instance
	rig *rig
}

type sent struct {
	topic string
	rec   record.Raw
}

func newRig(t testing.TB, b *stream.Builder) *rig {
	t.Helper()
	topo, err := b.Build("app")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, topo: topo}
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	return r
}

// open instantiates every sub-topology.
func (r *rig) open() error {
	engine := memstore.New()
	r.t.Cleanup(func() { engine.Close() })
	for i, sub := range r.topo.Subs {
		task := &node.Task{ID: record.TaskID{Sub: int32(i)}, StreamTime: -1}
		rt := &rigTask{rig: r}
		task.Out = rt
		stores := map[string]state.Store{}
		space, err := engine.Space(task.ID)
		if err != nil {
			return err
		}
		for _, s := range sub.Stores {
			es, err := space.Store(s.Name, s.Spec.Kind)
			if err != nil {
				return err
			}
			spec := s.Spec
			if stores[s.Name], err = spec.Open(&state.Env{Task: task.ID, Units: &task.Units, Engine: es, Time: new(int64)}); err != nil {
				return err
			}
		}
		if rt.Instance, err = r.topo.Instantiate(i, task, stores); err != nil {
			return err
		}
		if err := rt.Init(); err != nil {
			return err
		}
		task.Units.Commit()
		r.tasks = append(r.tasks, rt)
	}
	return nil
}

// send runs one record and all that comes of it. "-" is null, of key and value alike.
func (r *rig) send(topic, key, value string, time int64) error {
	r.t.Helper()
	rec := record.Raw{Key: []byte(key), Value: []byte(value), Time: time}
	if key == "-" {
		rec.Key = nil
	}
	if value == "-" {
		rec.Value = nil
	}
	r.queue = append(r.queue, sent{topic, rec})
	for len(r.queue) > 0 {
		s := r.queue[0]
		r.queue = r.queue[1:]
		if err := r.process(s); err != nil {
			r.queue = nil
			return err
		}
	}
	return nil
}

func (r *rig) process(s sent) error {
	for _, rt := range r.tasks {
		src := rt.Source(s.topic)
		if src == nil {
			continue
		}
		rt.Task.Input = node.Input{Coordinates: record.Coordinates{TopicPartition: record.TopicPartition{Topic: s.topic}}, Raw: &s.rec}
		time, err := src.Time(&s.rec, -1)
		if err == nil {
			rt.Task.StreamTime = max(rt.Task.StreamTime, time)
			err = src.Process(&s.rec, time)
		}
		if err != nil {
			rt.Task.Units.Rollback()
			return err
		}
		rt.Task.Units.Commit()
		for timer := rt.Task.Timers.Due(rt.Task.StreamTime, rt.Task.WallTime); timer != nil; timer = rt.Task.Timers.Due(rt.Task.StreamTime, rt.Task.WallTime) {
			if err := timer.Fire(); err != nil {
				rt.Task.Units.Rollback()
				return err
			}
			rt.Task.Units.Commit()
		}
		for _, d := range rt.Drains {
			for {
				ok, err := d.Take()
				if err != nil || !ok {
					break
				}
				if err := d.Emit(); err != nil {
					return err
				}
				rt.Task.Units.Commit()
			}
		}
	}
	return nil
}

// must is send for records that do not fail.
func (r *rig) must(topic, key, value string, time int64) {
	r.t.Helper()
	if err := r.send(topic, key, value, time); err != nil {
		r.t.Fatal(err)
	}
}

// fails is send for records that fail, with that error.
func (r *rig) fails(topic, key, value string, time int64, want string) {
	r.t.Helper()
	if err := r.send(topic, key, value, time); err == nil || err.Error() != want {
		r.t.Errorf("%s=%s fails with %v, want %s", key, value, err, want)
	}
}

// wants compares all that was written since the last call.
func (r *rig) wants(want ...string) {
	r.t.Helper()
	got, w := strings.Join(r.out, "\n"), strings.Join(want, "\n")
	if got != w {
		r.t.Errorf("written\n%s\nwant\n%s", got, w)
	}
	r.out = nil
}

var topics []string

// Dest implements node.Output.
func (rt *rigTask) Dest(topic string) (node.Dest, error) {
	if topic == "nowhere" {
		return 0, errors.New("unknown topic nowhere")
	}
	for i, t := range topics {
		if t == topic {
			return node.Dest(i), nil
		}
	}
	topics = append(topics, topic)
	return node.Dest(len(topics) - 1), nil
}

// Partitions implements node.Output.
func (rt *rigTask) Partitions(node.Dest) int32 { return 4 }

// Send implements node.Output.
func (rt *rigTask) Send(d node.Dest, partition int32, time int64, key, value []byte, h record.Headers) error {
	r, topic := rt.rig, topics[d]
	r.partitions = append(r.partitions, sentTo{topic, partition})
	rec := record.Raw{Key: clone(key), Value: clone(value), Time: time, Headers: h.Clone()}
	for _, in := range r.topo.Internals {
		if in.Topic == topic {
			r.queue = append(r.queue, sent{topic, rec})
			return nil
		}
	}
	line := fmt.Sprintf("%s %s=%s @%d", topic, text(key), text(value), time)
	if partition != node.ByKey {
		line += fmt.Sprintf(" partition %d", partition)
	}
	for k, v := range h.All() {
		line += fmt.Sprintf(" %s:%s", k, v)
	}
	r.out = append(r.out, line)
	for _, rt := range r.tasks {
		if rt.Source(topic) != nil {
			r.queue = append(r.queue, sent{topic, rec})
		}
	}
	return nil
}

func clone(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}

func text(b []byte) string {
	if b == nil {
		return "-"
	}
	return string(b)
}
