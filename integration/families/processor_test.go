package families

import (
	"fmt"

	"github.com/oxbow-streams/oxbow/stream"
)

// counter numbers the values of each key.
type counter struct {
	ref  stream.KVRef[string, int64]
	seen stream.KVStore[string, int64]
}

func (c *counter) Init(ctx *stream.InitContext[string, string]) error {
	c.seen = c.ref.Open(ctx)
	return nil
}

func (c *counter) Process(ctx *stream.ProcessContext[string, string], r stream.Record[string, string]) error {
	n, _, err := c.seen.Get(r.Key)
	if err != nil {
		return err
	}
	r.Value = stream.Some(numbered(r.Value.Or(""), n+1))
	ctx.Forward(r)
	return c.seen.Put(r.Key, n+1)
}

func numbered(v string, n int64) string { return fmt.Sprint(v, "#", n) }
