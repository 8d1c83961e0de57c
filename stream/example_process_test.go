package stream_test

import (
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

var lastSeen = stream.KeyValue("last-seen", serde.String, serde.String)

// dedup forwards a value only if it is not the one that its key had last.
type dedup struct {
	last stream.KVStore[string, string]
}

func (d *dedup) Init(c *stream.InitContext[string, string]) error {
	d.last = lastSeen.Open(c)
	return nil
}

func (d *dedup) Process(ctx *stream.ProcessContext[string, string], r stream.Record[string, string]) error {
	v := r.Value.Or("")
	had, ok, err := d.last.Get(r.Key)
	if err != nil || ok && had == v {
		return err
	}
	ctx.Forward(r)
	return d.last.Put(r.Key, v)
}

func ExampleProcess() {
	b := stream.NewBuilder()
	stream.Process(from(b, "in"), func() *dedup { return new(dedup) }, []stream.StoreRef{lastSeen}).To("out")
	run(b, "in a 1", "in a 1", "in a 2")
	// Output:
	// a 1
	// a 2
}

// measure keeps the key, so that nothing is repartitioned behind it.
type measure struct{}

func (measure) Process(ctx *stream.ValueContext[string, int64], r stream.Record[string, string]) error {
	ctx.Forward(int64(len(r.Value.Or(""))))
	return nil
}

func ExampleProcessValues() {
	b := stream.NewBuilder()
	stream.ProcessValues(from(b, "in"), func() measure { return measure{} }, nil).To("out", stream.WithValue(decimal))
	run(b, "in a hello")
	// Output: a 5
}
