package stream_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

var seen = stream.KeyValue("seen", serde.String, serde.String)

// counter does what its input's value says.
type counter struct {
	kv    stream.KVStore[string, string]
	timer *stream.Timer
	log   []string
}

func (p *counter) Init(c *stream.InitContext[string, string]) error {
	p.kv = seen.Open(c)
	p.timer = c.EveryStreamTime(10*time.Millisecond, func(ctx *stream.ProcessContext[string, string], now time.Time) error {
		if now.UnixMilli() == 666 {
			return errors.New("cursed")
		}
		ctx.Forward(stream.Record[string, string]{Key: "tick", Value: stream.Some(fmt.Sprint(now.UnixMilli()))})
		return nil
	})
	return nil
}

func (p *counter) Close() { p.log = append(p.log, "closed") }

func (p *counter) Process(ctx *stream.ProcessContext[string, string], r stream.Record[string, string]) error {
	v, _ := r.Value.Get()
	switch word, arg, _ := strings.Cut(v, " "); word {
	case "put":
		if err := p.kv.Put(r.Key, arg); err != nil {
			return err
		}
	case "fail":
		_ = p.kv.Put(r.Key, "lost")
		return errors.New("fail as told")
	case "list":
		var all []string
		for k, v := range p.kv.All() {
			all = append(all, k+":"+v)
		}
		for k := range p.kv.ReverseRange("a", "b") {
			all = append(all, k)
		}
		r.Value = stream.Some(strings.Join(all, " "))
		ctx.Forward(r)
	case "to":
		ctx.ForwardTo(arg, r)
	case "early":
		r.Time = time.UnixMilli(-5)
		ctx.Forward(r)
	case "stop":
		p.timer.Cancel()
	case "meta":
		m, ok := stream.MetadataOf(ctx)
		r.Value = stream.Some(fmt.Sprintf("%s/%d %s %s %v %d", m.Topic, m.Partition, m.Task, m.Node, ok, ctx.StreamTime().UnixMilli()))
		r.Headers = r.Headers.With("h", []byte("x"))
		ctx.Forward(r)
		ctx.RequestCommit()
	}
	return nil
}

type wrongValues struct{ n int }

func (*wrongValues) Init(*stream.InitContext[string, string]) error { return nil }
func (*wrongValues) Process(*stream.ValueContext[string, string], stream.Record[string, string]) error {
	return nil
}

func TestProcess(t *testing.T) {
	b := stream.NewBuilder()
	var made []*counter
	s := stream.Process(from(b, "in"), func() *counter {
		made = append(made, new(counter))
		return made[len(made)-1]
	}, []stream.StoreRef{seen}, stream.Named("p"))
	s.To("all", stream.Named("all"))
	s.To("some", stream.Named("some"))
	r := newRig(t, b)
	r.must("in", "a", "put 1", 5)
	r.wants("all tick=5 @5", "some tick=5 @5")
	r.must("in", "b", "put 2", 9)
	r.must("in", "a", "list", 10)
	r.wants("all a=a:1 b:2 b a @10", "some a=a:1 b:2 b a @10", "all tick=10 @10", "some tick=10 @10")
	r.must("in", "a", "to some", 11)
	r.wants("some a=to some @11")
	r.fails("in", "c", "fail", 12, "process at p: fail as told")
	r.fails("in", "c", "early", 12, "process at p: a record with the timestamp -5 is forwarded, which no topic takes")
	r.fails("in", "c", "to none", 12, `process at p: ForwardTo("none"): no step of that name follows, there are [all some]`)
	r.must("in", "a", "list", 13)
	r.wants("all a=a:1 b:2 b a @13", "some a=a:1 b:2 b a @13")
	r.fails("in", "c", "", 666, "punctuate at p: cursed")
	r.must("in", "-", "meta", 667)
	r.wants("all -=in/0 0_0 p true 667 @667 h:x", "some -=in/0 0_0 p true 667 @667 h:x")
	if !r.tasks[0].Task.CommitRequested {
		t.Error("the task does not know that a commit was requested")
	}
	r.must("in", "a", "stop", 670)
	r.must("in", "a", "", 700)
	r.wants()
	if err := r.tasks[0].Close(); err != nil || !slices.Equal(made[len(made)-1].log, []string{"closed"}) {
		t.Errorf("Close says %v, the processor %q", err, made[len(made)-1].log)
	}
}

// stranger opens a store that it was not given.
type stranger struct{ counter }

func TestStoreNotGiven(t *testing.T) {
	b := stream.NewBuilder()
	stream.Process(from(b, "in"), func() *stranger { return new(stranger) }, nil)
	topo, err := b.Build("app")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, topo: topo}
	err = r.open()
	if err == nil || !strings.Contains(err.Error(), `store "seen" is opened, but is not in the list that Process was given`) {
		t.Errorf("Init says %v", err)
	}
}

// lengths keeps the key.
type lengths struct {
	kv stream.KVStore[string, string]
}

func (p *lengths) Init(c *stream.StoreContext) error {
	p.kv = seen.Open(c)
	return nil
}

func (p *lengths) Process(ctx *stream.ValueContext[string, int32], r stream.Record[string, string]) error {
	v, ok := r.Value.Get()
	if !ok {
		ctx.ForwardWith(stream.None[int32](), r.Time, r.Headers)
		return nil
	}
	had, _, err := p.kv.PutIfAbsent("first", v)
	ctx.Forward(int32(len(v) + len(had)))
	return err
}

func TestProcessValues(t *testing.T) {
	b := stream.NewBuilder()
	s := stream.ProcessValues(from(b, "in"), func() *lengths { return new(lengths) }, []stream.StoreRef{seen})
	stream.MapValues(s, func(_ string, n int32) string { return fmt.Sprint(n) }).To("out")
	s.GroupByKey().Count() // no repartition topic is needed
	r := newRig(t, b)
	if len(r.topo.Subs) != 1 {
		t.Errorf("%d sub-topologies, want 1: the key is kept", len(r.topo.Subs))
	}
	r.must("in", "a", "xyz", 1)
	r.must("in", "-", "x", 2)
	r.must("in", "a", "-", 3)
	r.wants("out a=3 @1", "out -=4 @2", "out a=- @3")
}

// TestSkip: what a processor returns reaches the policy as it is.
func TestSkip(t *testing.T) {
	b := stream.NewBuilder()
	from(b, "in").TryForEach(func(context, string, string) error { return stream.Skip }, stream.OnError(stream.Fail()))
	r := newRig(t, b)
	err := r.send("in", "a", "x", 1)
	var f *stream.Failure
	if !errors.As(err, &f) || !errors.Is(err, stream.Skip) {
		t.Fatalf("got %v, want a failure that says skip", err)
	}
	if d := r.topo.Policy(f.Node).Decide(f, 1, 0, 0); d.Action != dlq.ActionSkip {
		t.Errorf("the policy decides %v, want skip", d.Action)
	}
}
