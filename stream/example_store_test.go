package stream_test

import (
	"fmt"
	"time"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// remember is a processor made of a function that opens its stores and one that is called for each record.
type remember struct {
	open func(c *stream.InitContext[string, string])
	each func(r stream.Record[string, string]) (string, error)
}

func (p *remember) Init(c *stream.InitContext[string, string]) error {
	p.open(c)
	return nil
}

func (p *remember) Process(ctx *stream.ProcessContext[string, string], r stream.Record[string, string]) error {
	text, err := p.each(r)
	ctx.Forward(stream.Record[string, string]{Key: r.Key, Value: stream.Some(text), Time: r.Time})
	return err
}

func ExampleKeyValue() {
	b := stream.NewBuilder()
	ref := stream.KeyValue("last", serde.String, serde.String)
	stream.Process(from(b, "in"), func() *remember {
		var last stream.KVStore[string, string]
		return &remember{
			open: func(c *stream.InitContext[string, string]) { last = ref.Open(c) },
			each: func(r stream.Record[string, string]) (string, error) {
				before, _, err := last.Get(r.Key)
				if err != nil {
					return "", err
				}
				return before + ">" + r.Value.Or(""), last.Put(r.Key, r.Value.Or(""))
			},
		}
	}, []stream.StoreRef{ref}).To("out")
	run(b, "in a x", "in a y")
	// Output:
	// a >x
	// a x>y
}

func ExampleLRUMap() {
	b := stream.NewBuilder()
	ref := stream.LRUMap("recent", 2, serde.String, serde.String) // the two keys used last
	stream.Process(from(b, "in"), func() *remember {
		var recent *stream.LRUStore[string, string]
		return &remember{
			open: func(c *stream.InitContext[string, string]) { recent = ref.Open(c) },
			each: func(r stream.Record[string, string]) (string, error) {
				_, known, err := recent.Get(r.Key)
				if err != nil {
					return "", err
				}
				return fmt.Sprint(known), recent.Put(r.Key, r.Value.Or(""))
			},
		}
	}, []stream.StoreRef{ref}).To("out")
	run(b, "in a x", "in b x", "in a x", "in c x", "in b x")
	// Output:
	// a false
	// b false
	// a true
	// c false
	// b false
}

func ExampleWindowStoreOf() {
	b := stream.NewBuilder()
	ref := stream.WindowStoreOf("per-10ms", 10*time.Millisecond, serde.String, serde.String, stream.Retention(time.Hour))
	stream.Process(from(b, "in"), func() *remember {
		var rows *stream.WindowStore[string, string]
		return &remember{
			open: func(c *stream.InitContext[string, string]) { rows = ref.Open(c) },
			each: func(r stream.Record[string, string]) (string, error) {
				all := ""
				for w, v := range rows.Fetch(r.Key, time.UnixMilli(0), r.Time) {
					all += fmt.Sprint(v, "@", w.Start.UnixMilli(), " ")
				}
				return all + "before", rows.Put(r.Key, r.Time.Truncate(10*time.Millisecond), r.Value.Or(""))
			},
		}
	}, []stream.StoreRef{ref}).To("out")
	runAt(b, "in a x 1", "in a y 12", "in a z 25")
	// Output:
	// a before @1
	// a x@0 before @12
	// a x@0 y@10 before @25
}

func ExampleSessionStoreOf() {
	b := stream.NewBuilder()
	ref := stream.SessionStoreOf("visits", time.Hour, serde.String, serde.String)
	stream.Process(from(b, "in"), func() *remember {
		var visits *stream.SessionStore[string, string]
		return &remember{
			open: func(c *stream.InitContext[string, string]) { visits = ref.Open(c) },
			each: func(r stream.Record[string, string]) (string, error) {
				n := 0
				for range visits.Fetch(r.Key) {
					n++
				}
				visit := stream.Windowed[string]{Key: r.Key, Start: r.Time, End: r.Time.Add(time.Millisecond)}
				return fmt.Sprint(n, " before"), visits.Put(visit, r.Value.Or(""))
			},
		}
	}, []stream.StoreRef{ref}).To("out")
	runAt(b, "in a x 1", "in a y 12")
	// Output:
	// a 0 before @1
	// a 1 before @12
}
