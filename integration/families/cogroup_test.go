package families

import (
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

func star(_, v, a string) string { return tail(a + "*" + v) }

// bothSides folds both topics, each in its way.
func bothSides(b *stream.Builder, p place) stream.Cogrouped[string, string] {
	return stream.And(stream.Cogroup(from(b, p.in(0)).GroupByKey(), add), from(b, p.in(1)).GroupByKey(), star)
}

var cogroupFamilies = []*family{
	{
		name: "cogroup", sides: 2, parts: 2,
		build: func(b *stream.Builder, p place) {
			write(bothSides(b, p).Aggregate(zero, stream.WithValue(serde.String)).ToStream(), p)
		},
		model: func(in []input) (out []output) {
			table := map[string]row{}
			for _, r := range in {
				if r.value == null {
					continue
				}
				old, ok := table[r.key]
				if !ok {
					old = row{zero(), r.time}
				}
				now := row{side(r, old.value), max(old.time, r.time)}
				table[r.key] = now
				out = append(out, output{r.key, now.value, now.time})
			}
			return out
		},
	},
	{
		name: "cogroup-windows", sides: 2, parts: 2,
		build: func(b *stream.Builder, p place) {
			c := stream.WindowCogroup(bothSides(b, p), hopping.window())
			writeWindows(c.Aggregate(zero, stream.WithValue(serde.String)), p)
		},
		model: cogroupedWindows,
	},
}

// side folds a record in the way of its topic.
func side(r input, old string) string {
	if r.side == 1 {
		return star(r.key, r.value, old)
	}
	return add(r.key, r.value, old)
}

// cogroupedWindows is hopping, with a stream time for each topic, by which its records are late. They share a store, which has one of
// its own, the largest start of a window so far: what is older by size and grace is not there any more, and not kept.
func cogroupedWindows(in []input) (out []output) {
	type at struct {
		key   string
		start int64
	}
	table := map[at]row{}
	now, stored := [2]int64{}, int64(0)
	for _, r := range in {
		now[r.side] = max(now[r.side], r.time)
		if r.value == null {
			continue
		}
		for start := (r.time - hopping.size + hopping.advance) / hopping.advance * hopping.advance; start <= r.time; start += hopping.advance {
			if start+hopping.size <= now[r.side]-hopping.grace {
				continue
			}
			stored = max(stored, start)
			old, ok := table[at{r.key, start}]
			if there := start > stored-hopping.size-hopping.grace; !ok || !there {
				old = row{zero(), r.time}
			}
			to := row{side(r, old.value), max(old.time, r.time)}
			table[at{r.key, start}] = to
			out = append(out, output{windowKey(r.key, start, start+hopping.size), to.value, to.time})
		}
	}
	return out
}
