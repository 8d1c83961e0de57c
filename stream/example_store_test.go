package stream_test

import (
	"fmt"
	"strings"
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

func ExampleVersionedStoreOf() {
	b := stream.NewBuilder()
	ref := stream.VersionedStoreOf("prices", time.Hour, serde.String, serde.String)
	stream.Process(from(b, "in"), func() *remember {
		var prices *stream.VersionedStore[string, string]
		return &remember{
			open: func(c *stream.InitContext[string, string]) { prices = ref.Open(c) },
			each: func(r stream.Record[string, string]) (string, error) {
				when, price, put := strings.Cut(r.Value.Or(""), "=")
				after, err := time.ParseDuration(when)
				if err != nil {
					return "", err
				}
				if at := r.Time.Add(after); put {
					_, err = prices.Put(r.Key, price, at)
				} else {
					var then stream.Version[string]
					then, _, err = prices.GetAsOf(r.Key, at)
					price = "was " + then.Value
				}
				return price, err
			},
		}
	}, []stream.StoreRef{ref}).To("out")
	run(b, "in fig 10m=2", "in fig 20m=3", "in fig 15m", "in fig 25m")
	// Output:
	// fig 2
	// fig 3
	// fig was 2
	// fig was 3
}

func ExampleDuplicatesStoreOf() {
	b := stream.NewBuilder()
	ref := stream.DuplicatesStoreOf("lately", time.Hour, serde.String, serde.String)
	stream.Process(from(b, "in"), func() *remember {
		var lately *stream.DuplicatesStore[string, string]
		return &remember{
			open: func(c *stream.InitContext[string, string]) { lately = ref.Open(c) },
			each: func(r stream.Record[string, string]) (string, error) {
				if err := lately.Put(r.Key, r.Time, r.Value.Or("")); err != nil {
					return "", err
				}
				all := ""
				for _, v := range lately.Fetch(r.Key, r.Time.Add(-time.Minute), r.Time) {
					all += v
				}
				return all, nil
			},
		}
	}, []stream.StoreRef{ref}).To("out")
	run(b, "in a x", "in a x", "in a y")
	// Output:
	// a x
	// a xx
	// a xxy
}

// upToDate keeps what a topic has.
type upToDate struct {
	ref   stream.KVRef[string, string]
	store stream.KVStore[string, string]
}

func (p *upToDate) Init(c *stream.InitContext[string, string]) error {
	p.store = p.ref.Open(c)
	return nil
}

func (p *upToDate) Process(_ *stream.ProcessContext[string, string], r stream.Record[string, string]) error {
	v, ok := r.Value.Get()
	if !ok {
		return p.store.Delete(r.Key)
	}
	return p.store.Put(r.Key, v)
}

func ExampleAddReadOnlyStore() {
	b := stream.NewBuilder()
	ref := stream.KeyValue("prices", serde.String, serde.String)
	stream.AddReadOnlyStore(b, ref, "prices", func() *upToDate { return &upToDate{ref: ref} })
	stream.Process(from(b, "in"), func() *remember {
		var prices stream.KVStore[string, string]
		return &remember{
			open: func(c *stream.InitContext[string, string]) { prices = ref.Open(c) },
			each: func(r stream.Record[string, string]) (string, error) {
				price, _, err := prices.Get(r.Key)
				return r.Value.Or("") + " at " + price, err
			},
		}
	}, []stream.StoreRef{ref}).To("out")
	run(b, "prices fig 2", "in fig 10", "prices fig 3", "in fig 7")
	// Output:
	// fig 10 at 2
	// fig 7 at 3
}
