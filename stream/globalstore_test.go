package stream_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

// longest keeps the longest value of each key in a global store.
type longest struct {
	ref   stream.KVRef[string, string]
	store stream.KVStore[string, string]
}

func (l *longest) Init(c *stream.InitContext[string, string]) error {
	l.store = l.ref.Open(c)
	return nil
}

func (l *longest) Process(_ *stream.ProcessContext[string, string], r stream.Record[string, string]) error {
	old, _, err := l.store.Get(r.Key)
	if v := r.Value.Or(""); err == nil && len(v) > len(old) {
		err = l.store.Put(r.Key, v)
	}
	return err
}

// reader forwards what a global store has for the value of a record, or does to it what the value says.
type reader struct {
	ref   stream.KVRef[string, string]
	store stream.KVStore[string, string]
}

func (p *reader) Init(c *stream.InitContext[string, string]) error {
	p.store = p.ref.Open(c)
	return nil
}

func (p *reader) Process(ctx *stream.ProcessContext[string, string], r stream.Record[string, string]) error {
	switch v := r.Value.Or(""); v {
	case "put":
		return p.store.Put("x", "y")
	case "all":
		var all []string
		for k, v := range p.store.All() {
			all = append(all, k+"="+v)
		}
		r.Value = stream.Some(strings.Join(all, " "))
	default:
		got, ok, err := p.store.Get(v)
		if err != nil {
			return err
		}
		r.Value = stream.Some(fmt.Sprintf("%s %v", got, ok))
	}
	ctx.Forward(r)
	return nil
}

func globalStoreProgram() *stream.Builder {
	b := stream.NewBuilder()
	ref := stream.KeyValue("longest", serde.String, serde.String)
	stream.AddGlobalStore(b, ref, "words", serde.String, serde.String, func() *longest { return &longest{ref: ref} })
	stream.Process(from(b, "in"), func() *reader { return &reader{ref: ref} }, nil).To("out", stream.WithKey(serde.String),
		stream.WithValue(serde.String))
	return b
}

func TestGlobalStore(t *testing.T) {
	d := streamtest.New(t, globalStoreProgram())
	words, in := streamtest.Input(d, "words", serde.String, serde.String), streamtest.Input(d, "in", serde.String, serde.String)
	for _, w := range []string{"ab", "abc", "a"} {
		if err := words.Pipe(w[:1], w); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range []string{"a", "b", "put", "all"} {
		if err := in.Pipe("k", v); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, r := range streamtest.Output(d, "out", serde.String, serde.String).ReadAll() {
		got = append(got, r.Value.Or("-"))
	}
	if s := fmt.Sprint(got); s != "[abc true  false a=abc]" {
		t.Error(s)
	}
	letters := d.DeadLetters()
	if len(letters) != 1 || !strings.Contains(letters[0].Message(), `store "longest" is global and read only here`) {
		t.Errorf("%d letters: %v", len(letters), letters)
	}
	text, err := globalStoreProgram().Describe()
	if err != nil || !strings.Contains(text, "for global store (will not generate tasks)\n    Source: KSTREAM-SOURCE-0000000000 (topics: [words])\n"+
		"      --> KTABLE-SOURCE-0000000001\n    Processor: KTABLE-SOURCE-0000000001 (stores: [longest])") {
		t.Error(text, err)
	}
}

// In an application the store is complete before the first record is processed.
func TestAppFillsItsGlobalStores(t *testing.T) {
	c := newCluster(t, 3, "words", "in", "out")
	var words []string
	for i := range 50 {
		words = append(words, fmt.Sprintf("%02d=x", i), fmt.Sprintf("%02d=long", i))
	}
	c.produce("words", words...)
	c.produce("in", "a=00", "b=49", "c=50")
	_, stop := start(t, globalStoreProgram(), c.config("globals"))
	got := map[string]string{}
	for _, r := range c.read("out", 3) {
		got[string(r.Key)] = string(r.Value)
	}
	if s := fmt.Sprint(got); s != "map[a:long true b:long true c: false]" {
		t.Error(s)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
