package families

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

func ms(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// windowKey is how a window's key is written.
func windowKey(k string, start, end int64) string { return fmt.Sprintf("%s[%d,%d]", k, start, end) }

func writeWindows(t stream.Table[stream.Windowed[string], string], p place) {
	write(stream.ToStreamBy(t, func(w stream.Windowed[string], _ opt) string {
		return windowKey(w.Key, w.Start.UnixMilli()-p.base, w.End.UnixMilli()-p.base)
	}), p)
}

// grid are windows of time.
type grid struct{ size, advance, grace int64 }

func (g grid) window() stream.Window {
	return stream.Hopping(ms(g.size), ms(g.advance)).Grace(ms(g.grace))
}

func (g grid) reduce(b *stream.Builder, p place, opts ...stream.AggOption) stream.Table[stream.Windowed[string], string] {
	return stream.WindowBy(from(b, p.in(0)).GroupByKey(), g.window()).Reduce(plus, opts...)
}

var tumbling, hopping = grid{500, 500, 61}, grid{500, 200, 61}

var windowFamilies = []*family{
	{
		name: "tumbling", parts: 2,
		build: func(b *stream.Builder, p place) { writeWindows(tumbling.reduce(b, p), p) },
		model: func(in []input) []output { return texts(tumbling.model(in, false)) },
	},
	{
		name: "hopping", parts: 2,
		build: func(b *stream.Builder, p place) { writeWindows(hopping.reduce(b, p), p) },
		model: func(in []input) []output { return texts(hopping.model(in, false)) },
	},
	{
		name: "hopping-on-close", parts: 2,
		build: func(b *stream.Builder, p place) { writeWindows(hopping.reduce(b, p, stream.EmitOnClose), p) },
		model: func(in []input) []output { return texts(hopping.model(in, true)) },
	},
	{ // in which order the windows of a record are sent is told by transcripts: here it is which ones there are, and what is in them
		name: "sliding", parts: 2, punctual: true, last: true,
		build: func(b *stream.Builder, p place) {
			w := stream.WindowBy(from(b, p.in(0)).GroupByKey(), stream.Sliding(ms(slide)).Grace(ms(500)))
			writeWindows(stream.AggregateWindowed(w, func() string { return "0" }, sum, stream.WithValue(serde.String)), p)
		},
		model: slid,
	},
}

// change is an update of a window.
type change struct {
	key        string
	start, end int64
	row
}

func texts(changes []change) (out []output) {
	for _, c := range changes {
		out = append(out, output{windowKey(c.key, c.start, c.end), c.value, c.time})
	}
	return out
}

// model reduces by windows with plus. A window that ends at stream time - grace or before is closed, one by one; a row's time is the
// largest of its records. On close, those that a record closes come by start and key, each once.
func (g grid) model(in []input, onClose bool) (out []change) {
	type place struct {
		key   string
		start int64
	}
	table := map[place]row{}
	now := int64(-1)
	for _, r := range in {
		now = max(now, r.time) // also by a record that is dropped
		if r.value == null {
			continue
		}
		for start := (r.time - g.size + g.advance) / g.advance * g.advance; start <= r.time; start += g.advance {
			if start+g.size <= now-g.grace {
				continue
			}
			at := place{r.key, start}
			to := row{r.value, r.time}
			if old, ok := table[at]; ok {
				to = row{plus(old.value, r.value), max(old.time, r.time)}
			}
			table[at] = to
			if !onClose {
				out = append(out, change{r.key, start, start + g.size, to})
			}
		}
	}
	if onClose {
		for at, r := range table {
			if at.start+g.size <= now-g.grace { // windows close in the order of their ends, whichever record closes them
				out = append(out, change{at.key, at.start, at.start + g.size, r})
			}
		}
		slices.SortFunc(out, func(a, b change) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.key, b.key)) })
	}
	return out
}

const slide = 300

// sum adds a record to "<how many>:<sum of their numbers>".
func sum(_, v, a string) string {
	n, total, _ := strings.Cut(a, ":")
	return fmt.Sprintf("%d:%d", number(n)+1, number(total)+number(strings.TrimLeft(v, "v")))
}

func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// slid are the sliding windows of records none of which is late: one that ends with each record, and one that begins right after it if
// something is in there.
func slid(in []input) (out []output) {
	byKey := map[string][]input{}
	for _, r := range in {
		if r.value != null {
			byKey[r.key] = append(byKey[r.key], r)
		}
	}
	for k, list := range byKey {
		for _, r := range list {
			for _, start := range []int64{r.time - slide, r.time + 1} {
				all := "0"
				for _, other := range list {
					if other.time >= start && other.time <= start+slide {
						all = sum(k, other.value, all)
					}
				}
				if all != "0" {
					out = append(out, output{windowKey(k, start, start+slide), all, 0})
				}
			}
		}
	}
	return out
}
