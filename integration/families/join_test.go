package families

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/oxbow-streams/oxbow/integration/oracle"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

const (
	before, after, joinGrace = 100, 60, 161
	tableGrace               = 101
)

func table(b *stream.Builder, topic string, opts ...stream.TableOption) rows {
	return stream.TableFrom(b, topic, serde.String, serde.String, opts...)
}

func pair(l, r string) string { return l + "+" + r }

func withSome(_, l string, r opt) string { return pair(l, r.Or("?")) }

func either(_ string, l, r opt) string { return pair(l.Or("?"), r.Or("?")) }

// shops are a global table. It is there before the application begins: when it hears of a row is not defined.
var shops = map[string]string{"0": "zero", "1": "one", "2": "two", "5": "five"}

func shopOf(_, v string) string { return v[len(v)-1:] }

// streamJoin is a join of two streams of a kind.
//
// When the results of what has met nothing are looked for, Kafka Streams decides by a time that it does not keep across a restart, and
// we not across the loss of a disk (rule B8 of state.UnmatchedStore): so what stands between which others is not defined, and whether a
// record that comes after window and grace still meets one that waits.
func streamJoin(kind string) *family {
	outer := kind != "inner"
	return &family{
		name: kind + "-join", sides: 2, parts: 2, punctual: outer, unordered: outer,
		build: func(b *stream.Builder, p place) {
			l, r := from(b, p.in(0)), from(b, p.in(1))
			w := stream.Within(0).Before(ms(before)).After(ms(after)).Grace(ms(joinGrace))
			switch kind {
			case "inner":
				write(stream.JoinStream(l, r, w, func(_, l, r string) string { return pair(l, r) }), p)
			case "left":
				write(stream.LeftJoinStream(l, r, w, withSome), p)
			default:
				write(stream.OuterJoinStream(l, r, w, either), p)
			}
		},
		model: func(in []input) (out []output) {
			take := oracle.JoinStreams(before, after, joinGrace, outer, kind == "outer")
			for _, r := range in {
				take(r.side == 0, r.key, r.value, r.time, func(key, value string, time int64) {
					out = append(out, output{key, value, time})
				})
			}
			return out
		},
	}
}

var joinFamilies = []*family{
	streamJoin("inner"), streamJoin("left"), streamJoin("outer"),
	{
		name: "table-join", sides: 2, parts: 2,
		build: func(b *stream.Builder, p place) {
			write(stream.LeftJoinTable(from(b, p.in(0)), table(b, p.in(1)), withSome), p)
		},
		model: func(in []input) (out []output) {
			there := map[string]string{}
			for _, r := range in {
				switch {
				case r.side == 1:
					there[r.key] = strings.Replace(r.value, null, "?", 1)
				case r.value != null:
					out = append(out, output{r.key, pair(r.value, cmp.Or(there[r.key], "?")), r.time})
				}
			}
			return out
		},
	},
	{
		name: "grace-join", sides: 2, parts: 2,
		build: func(b *stream.Builder, p place) {
			versions := table(b, p.in(1), stream.As(p.name+"-versions"), stream.Versioned(time.Hour))
			write(stream.LeftJoinTable(from(b, p.in(0)), versions, withSome, stream.Grace(ms(tableGrace))), p)
		},
		model: graceJoin,
	},
	{
		name: "global-join", parts: 2,
		build: func(b *stream.Builder, p place) {
			g := stream.GlobalTableFrom(b, p.app+"-shops", serde.String, serde.String)
			write(stream.LeftJoinGlobal(from(b, p.in(0)), g, shopOf, withSome), p)
		},
		model: func(in []input) (out []output) {
			for _, r := range in {
				if r.value != null {
					out = append(out, output{r.key, pair(r.value, cmp.Or(shops[shopOf("", r.value)], "?")), r.time})
				}
			}
			return out
		},
	},
	{ // the answers of the right side's task come back beside the left table's own records
		name: "foreign-join", sides: 2, last: true,
		values: func(r *rand.Rand, side, n int) string {
			if side == 0 {
				return fmt.Sprintf("k%d:%d", r.IntN(keysPerPart+1), n)
			}
			return fmt.Sprint("r", n)
		},
		build: func(b *stream.Builder, p place) {
			write(stream.LeftJoinForeign(table(b, p.in(0)), table(b, p.in(1)), foreign, withSome).ToStream(), p)
		},
		model: func(in []input) (out []output) {
			l, r := latest(in, 0, false), latest(in, 1, false)
			for k, v := range l {
				f, _ := foreign(k, v).Get()
				out = append(out, output{k, pair(v, cmp.Or(r[f], "?")), 0})
			}
			return out
		},
	},
}

func foreign(_, v string) opt {
	f, _, _ := strings.Cut(v, ":")
	return stream.Some(f)
}

// graceJoin lets records wait until stream time is past them by the grace, and joins each with the row that held at its time, of those
// that have come until then. One that is later than the grace is joined at once.
func graceJoin(in []input) (out []output) {
	var versions, waiting []input
	now := int64(-1)
	join := func(r input) {
		valid := input{time: -1, value: null}
		for _, v := range versions {
			if v.key == r.key && v.time <= r.time && v.time > valid.time {
				valid = v
			}
		}
		out = append(out, output{r.key, pair(r.value, strings.Replace(valid.value, null, "?", 1)), r.time})
	}
	for _, r := range in {
		switch {
		case r.side == 1:
			versions = append(versions, r)
			continue
		case r.value == null:
			continue
		case r.time < now-tableGrace:
			join(r)
			continue
		}
		now = max(now, r.time)
		waiting = append(waiting, r)
		slices.SortStableFunc(waiting, func(a, b input) int { return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.key, b.key)) })
		for len(waiting) > 0 && waiting[0].time <= now-tableGrace {
			join(waiting[0])
			waiting = waiting[1:]
		}
	}
	return out
}

// latest is a table after all records: the last one of each key that came, or in a versioned one that which is of the latest time.
func latest(in []input, side int, versioned bool) map[string]string {
	last := map[string]input{}
	for _, r := range in {
		if was, ok := last[r.key]; r.side == side && !(versioned && ok && was.time > r.time) {
			last[r.key] = r
		}
	}
	rows := map[string]string{}
	for k, r := range last {
		if r.value != null {
			rows[k] = r.value
		}
	}
	return rows
}
