package kafka

import (
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// split re-encodes a batch that the broker found too large as two with half of its records each. o keeps its memory.
func (o *OutBatch) split(tp record.TopicPartition, codec Codec) (first, second *OutBatch, err error) {
	wire := NewBuffer(o.Bytes())
	defer wire.Release()
	copy(wire.b[copy(wire.b, o.head[:]):], o.records)
	var halves [2]*OutBatch
	_, err = ParseBatches(tp, wire, wire.b, 0, ParseOptions{DecompressLimit: maxBatchBytes}, func(b *Batch) {
		defer b.Release()
		halves, err = halve(b, codec)
	})
	if err == nil && halves[1] == nil {
		err = fmt.Errorf("%s: produce: a batch of %d records cannot be split", tp, o.count)
	}
	return halves[0], halves[1], err
}

func halve(b *Batch, codec Codec) (halves [2]*OutBatch, err error) {
	var r record.Raw
	var to Builder
	c := b.Cursor(0)
	for n := 1; ; n++ {
		ok, err := c.Next(&r)
		if err != nil {
			return halves, err
		}
		if ok {
			if _, err := to.Append(r.Time, r.Key, r.Value, r.Headers); err != nil {
				return halves, err
			}
		}
		switch {
		case n == b.Count()/2:
			halves[0], err = to.Seal(codec)
		case !ok && to.Count() > 0:
			halves[1], err = to.Seal(codec)
		}
		if !ok || err != nil {
			return halves, err
		}
	}
}
