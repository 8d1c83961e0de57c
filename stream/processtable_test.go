package stream_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

// nth numbers what comes by key: it counts in a store that the whole task shares, deletions too.
type nth struct {
	kv     stream.KVStore[string, string]
	closed *int
}

func (p *nth) Init(c *stream.StoreContext) error {
	p.kv = seen.Open(c)
	return nil
}

func (p *nth) Close() { *p.closed++ }

func (p *nth) Process(ctx *stream.TableContext, k string, v opt) (opt, error) {
	n, _, err := p.kv.Get(k)
	if err != nil {
		return opt{}, err
	}
	if err := p.kv.Put(k, n+"I"); err != nil {
		return opt{}, err
	}
	switch m, _ := stream.MetadataOf(ctx); v.Or("") {
	case "drop":
		return stream.None[string](), nil
	case "fail":
		return opt{}, errors.New("as told")
	case "where":
		ctx.RequestCommit()
		return stream.Some(fmt.Sprintf("%s@%d %d", m.Topic, m.Offset, ctx.StreamTime().UnixMilli())), nil
	}
	return stream.Some(v.Or("null") + " " + n + "I"), nil
}

func nthOf(t stream.Table[string, string], closed *int, opts ...stream.AggOption) stream.Table[string, string] {
	return stream.ProcessTableValues(t, func() *nth { return &nth{closed: closed} }, []stream.StoreRef{seen}, opts...)
}

// TestProcessTableValues: deletions are seen, None deletes, what a record that fails wrote to the store is undone (P5), each record
// undone and run again, with a store or without.
func TestProcessTableValues(t *testing.T) {
	for name, opts := range map[string][]stream.AggOption{"computed": nil, "stored": {stream.As("rows"), stream.WithValue(serde.String)}} {
		t.Run(name, func(t *testing.T) {
			closed := 0
			b := stream.NewBuilder()
			nthOf(tableOf(b, "in"), &closed, opts...).ToStream().To("out", stream.WithValue(serde.String))
			d := streamtest.New(t, b, streamtest.NoCaching(), streamtest.Twice(), streamtest.OnError(stream.DeadLetter()))
			for i, l := range []string{"a=x", "a=fail", "a=-", "b=drop", "b=where", "a=y"} {
				k, v, _ := strings.Cut(l, "=")
				pipe(t, d, line{"in", k, v, int64(i)})
			}
			got := strings.Join(drained(d, "out"), ", ")
			if want := "a=x I @0, a=null II @2, b=- @3, b=in@4 4 @4, a=y III @5"; got != want {
				t.Errorf("written %s, want %s", got, want)
			}
			if l := d.DeadLetters(); len(l) != 1 || l[0].Message() != "as told" || l[0].Node() != "KTABLE-TRANSFORMVALUES-0000000003" && name == "computed" {
				t.Errorf("dead letters %v", l)
			}
			if err := d.Close(); err != nil || closed != 1 {
				t.Errorf("closed %d times, %v", closed, err)
			}
		})
	}
}

// TestProcessTableValuesLookedUp: a join looks rows up through a processor of its own if the table has no store, and finds them in
// the store if it has. The stores of the processor are reached from the join's side too.
func TestProcessTableValuesLookedUp(t *testing.T) {
	for _, c := range []struct {
		opts []stream.AggOption
		want string
	}{
		{nil, "k=o1+null I @0, k=o2+p III @2, k=o3+p IIII @3"},
		{[]stream.AggOption{stream.As("rows"), stream.WithValue(serde.String)}, "k=o1+? @0, k=o2+p I @2, k=o3+p I @3"},
	} {
		b := stream.NewBuilder()
		prices := nthOf(tableOf(b, "prices"), new(int), c.opts...)
		stream.LeftJoinTable(from(b, "orders"), prices, func(_, o string, p opt) string { return plus(o, p.Or("?")) }).
			To("out", stream.WithValue(serde.String))
		topo, err := b.Build("app")
		if err != nil || len(topo.Subs) != 1 {
			t.Fatalf("%d sub-topologies (%v)", len(topo.Subs), err)
		}
		d := streamtest.New(t, b, streamtest.Twice())
		for i, l := range []string{"orders o1", "prices p", "orders o2", "orders o3"} {
			topic, v, _ := strings.Cut(l, " ")
			pipe(t, d, line{topic, "k", v, int64(i)})
		}
		if got := strings.Join(drained(d, "out"), ", "); got != c.want {
			t.Errorf("with %d options: %s, want %s", len(c.opts), got, c.want)
		}
	}
}

// wrongInit has an Init that would never be called.
type wrongInit struct{ nth }

func (*wrongInit) Init(*stream.InitContext[string, string]) error { return nil }

func TestProcessTableValuesFaults(t *testing.T) {
	b := stream.NewBuilder()
	in := tableOf(b, "in")
	stream.ProcessTableValues(in, func() *wrongInit { return new(wrongInit) }, []stream.StoreRef{nil})
	same := &nth{}
	stream.ProcessTableValues(in, func() *nth { return same }, nil)
	stream.ProcessTableValues[string, string, string](in, (func() *nth)(nil), nil)
	_, err := b.Build("app")
	for _, want := range []string{"would never be called: want func(*stream.StoreContext) error", "store 0 of its list is nil",
		"returns the same *stream_test.nth twice", "ProcessTableValues: its function is nil"} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("Build does not say %q: %v", want, err)
		}
	}
	b = stream.NewBuilder()
	stream.ProcessTableValues(tableOf(b, "in"), func() *nth { return &nth{closed: new(int)} }, nil).ToStream().To("out")
	d, err := streamtest.Open(b)
	if err == nil {
		defer d.Close()
		err = streamtest.Input(d, "in", serde.String, serde.String).PipeAt("a", "b", time.UnixMilli(0))
	}
	if want := `Init: process at KTABLE-TRANSFORMVALUES-0000000003: store "seen" is opened, but is not in the list`; !strings.Contains(fmt.Sprint(err), want) {
		t.Errorf("a store that was not given: %v, want %s", err, want)
	}
}

// stars counts in a store how often a user was changed.
type stars struct {
	counts stream.KVStore[string, string]
}

func (p *stars) Init(c *stream.StoreContext) error {
	p.counts = seen.Open(c)
	return nil
}

func (p *stars) Process(_ *stream.TableContext, k string, v opt) (opt, error) {
	n, _, err := p.counts.Get(k)
	if err != nil {
		return opt{}, err
	}
	return stream.Some(v.Or("gone") + " " + n + "*"), p.counts.Put(k, n+"*")
}

func ExampleProcessTableValues() {
	b := stream.NewBuilder()
	starred := stream.ProcessTableValues(tableOf(b, "users"), func() *stars { return new(stars) }, []stream.StoreRef{seen})
	starred.ToStream().To("out", stream.WithValue(serde.String))
	run(b, "users bob Bob", "users bob Rob", "users bob -")
	// Output:
	// bob Bob *
	// bob Rob **
	// bob gone ***
}
