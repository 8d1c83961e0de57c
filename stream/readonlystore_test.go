package stream_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

// priceKeeper keeps what its topic has: a null value deletes.
type priceKeeper struct {
	ref   stream.KVRef[string, string]
	store stream.KVStore[string, string]
}

func (p *priceKeeper) Init(c *stream.InitContext[string, string]) error {
	p.store = p.ref.Open(c)
	return nil
}

func (p *priceKeeper) Process(_ *stream.ProcessContext[string, string], r stream.Record[string, string]) error {
	if v, ok := r.Value.Get(); ok {
		return p.store.Put(r.Key, v)
	}
	return p.store.Delete(r.Key)
}

func readOnlyProgram() (*stream.Builder, stream.KVRef[string, string]) {
	b := stream.NewBuilder()
	ref := stream.KeyValue("prices", serde.String, serde.String)
	stream.Process(from(b, "in"), func() *reader { return &reader{ref: ref} }, []stream.StoreRef{ref}).To("out",
		stream.WithKey(serde.String), stream.WithValue(serde.String))
	stream.AddReadOnlyStore(b, ref, "prices", func() *priceKeeper { return &priceKeeper{ref: ref} })
	return b, ref
}

func TestReadOnlyStore(t *testing.T) {
	b, _ := readOnlyProgram()
	d := streamtest.New(t, b)
	prices, in := streamtest.Input(d, "prices", serde.String, serde.String), streamtest.Input(d, "in", serde.String, serde.String)
	for _, kv := range []string{"fig=2", "plum=3", "fig=4"} {
		k, v, _ := strings.Cut(kv, "=")
		if err := prices.Pipe(k, v); err != nil {
			t.Fatal(err)
		}
	}
	if err := prices.Delete("plum"); err != nil {
		t.Fatal(err)
	}
	for _, v := range []string{"fig", "plum", "put", "all"} {
		if err := in.Pipe("k", v); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, r := range streamtest.Output(d, "out", serde.String, serde.String).ReadAll() {
		got = append(got, r.Value.Or("-"))
	}
	if s := fmt.Sprint(got); s != "[4 true  false fig=4]" {
		t.Error(s)
	}
	letters := d.DeadLetters()
	if len(letters) != 1 || !strings.Contains(letters[0].Message(), `store "prices" is read only here: it is made of topic "prices" by prices-processor`) {
		t.Errorf("%d letters: %v", len(letters), letters)
	}
}

// The nodes are those that Kafka Streams' Topology.addReadOnlyStateStore makes, without numbers, and with the reader of the store in
// one sub-topology. The topic is the changelog: no other is made.
func TestReadOnlyStoreIsDescribed(t *testing.T) {
	b := stream.NewBuilder()
	ref := stream.KeyValue("prices", serde.String, serde.String)
	stream.AddReadOnlyStore(b, ref, "price-list", func() *priceKeeper { return &priceKeeper{ref: ref} }, stream.Named("keep"))
	stream.Process(from(b, "in"), func() *reader { return &reader{ref: ref} }, []stream.StoreRef{ref})
	text, err := b.Describe()
	want := `Topologies:
   Sub-topology: 0
    Source: KSTREAM-SOURCE-0000000000 (topics: [in])
      --> KSTREAM-PROCESSOR-0000000001
    Source: keep-source (topics: [price-list])
      --> keep
    Processor: KSTREAM-PROCESSOR-0000000001 (stores: [prices])
      --> none
      <-- KSTREAM-SOURCE-0000000000
    Processor: keep (stores: [prices])
      --> none
      <-- keep-source

`
	if err != nil || text != want {
		t.Errorf("%v\n%s", err, text)
	}
	topo, err := b.Build("app")
	if err != nil {
		t.Fatal(err)
	}
	if st := topo.Stores[0]; !st.Source || st.Changelog != "price-list" {
		t.Errorf("%+v", st)
	}
	if got := fmt.Sprint(topo.Copartitions[0].Topics); got != "[in price-list]" {
		t.Errorf("the reader's topic and the store's must have equal partition counts, not %s", got)
	}
}

func TestReadOnlyStoreFaults(t *testing.T) {
	b := stream.NewBuilder()
	mk := func(ref stream.KVRef[string, string]) func() *priceKeeper {
		return func() *priceKeeper { return &priceKeeper{ref: ref} }
	}
	twice := stream.KeyValue("twice", serde.String, serde.String)
	stream.AddReadOnlyStore(b, twice, "a", mk(twice))
	stream.AddReadOnlyStore(b, twice, "b", mk(twice))
	unlogged := stream.KeyValue("unlogged", serde.String, serde.String, stream.NoChangelog())
	stream.AddReadOnlyStore(b, unlogged, "c", mk(unlogged), stream.Offset(stream.Latest))
	stream.AddReadOnlyStore(b, stream.KVRef[string, string]{}, "d", mk(twice))
	_, err := b.Describe()
	for _, want := range []string{`store "twice" is made of topic "a" already`, `store "unlogged", declared at`,
		"Offset has no place here", "its store is a zero KVRef"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nlacks %q", err, want)
		}
	}
}

// With a new disk the store comes back from its topic, up to where the application had read it, and no further than that.
func TestAppRestoresItsReadOnlyStores(t *testing.T) {
	c := newCluster(t, 3, "prices", "in", "out")
	var list []string
	for i := range 50 {
		list = append(list, fmt.Sprintf("%02d=old", i), fmt.Sprintf("%02d=p%d", i, i))
	}
	c.produce("prices", list...)
	for run := range 2 {
		b, _ := readOnlyProgram()
		_, stop := start(t, b, c.config("read-only")) // each time in another directory
		if run == 0 {
			c.produce("in", "00=00") // what the key leads to is in the task of the price
		} else {
			c.produce("in", "01=01", "49=49")
		}
		got := map[string]string{}
		for _, r := range c.read("out", 1+2*run) {
			got[string(r.Key)] = string(r.Value)
		}
		if s := fmt.Sprint(got); run == 1 && s != "map[00:p0 true 01:p1 true 49:p49 true]" {
			t.Errorf("run %d: %s", run, s)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}
