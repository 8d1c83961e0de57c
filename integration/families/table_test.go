package families

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// tableJoin is a join of two tables of a kind. What it sends on the way to the last row of each key is told by transcripts.
func tableJoin(kind string, versioned bool) *family {
	name := kind + "-tables"
	if versioned {
		name += "-versioned"
	}
	return &family{
		name: name, sides: 2, parts: 2, last: true,
		build: func(b *stream.Builder, p place) {
			side := func(n int) rows {
				if versioned {
					return table(b, p.in(n), stream.As(fmt.Sprint(p.name, n)), stream.Versioned(time.Hour))
				}
				return table(b, p.in(n))
			}
			l, r := side(0), side(1)
			switch kind {
			case "inner":
				write(stream.JoinTables(l, r, func(_, l, r string) string { return pair(l, r) }).ToStream(), p)
			case "left":
				write(stream.LeftJoinTables(l, r, withSome).ToStream(), p)
			default:
				write(stream.OuterJoinTables(l, r, either).ToStream(), p)
			}
		},
		model: func(in []input) (out []output) {
			l, r := latest(in, 0, versioned), latest(in, 1, versioned)
			for k := range 2 * keysPerPart {
				k := fmt.Sprint("k", k)
				if l[k] != "" && r[k] != "" || l[k] != "" && kind != "inner" || r[k] != "" && kind == "outer" {
					out = append(out, output{k, pair(cmp.Or(l[k], "?"), cmp.Or(r[k], "?")), 0})
				}
			}
			return out
		},
	}
}

var tableFamilies = []*family{
	tableJoin("inner", false), tableJoin("left", false), tableJoin("outer", false), tableJoin("left", true),
	{ // its repartition topic has what is added beside what is taken away: sums do not depend on the order
		name: "group-table", last: true,
		build: func(b *stream.Builder, p place) {
			grouped := stream.GroupTableBy(table(b, p.in(0)), func(_, v string) (string, string) { return byEnd("", v), v })
			add := func(_, v string, n int64) int64 { return n + int64(number(v[1:])) }
			sub := func(_, v string, n int64) int64 { return n - int64(number(v[1:])) }
			sums := stream.AggregateTable(grouped, func() int64 { return 0 }, add, sub, stream.WithValue(serde.Int64))
			write(stream.MapTable(sums, func(_ string, n int64) string { return fmt.Sprint(n) }).ToStream(), p)
		},
		model: func(in []input) (out []output) {
			sums := map[string]int{}
			for _, r := range in {
				if r.value != null {
					sums[byEnd("", r.value)] += 0
				}
			}
			for _, v := range latest(in, 0, false) {
				sums[byEnd("", v)] += number(strings.TrimPrefix(v, "v"))
			}
			for k, n := range sums {
				out = append(out, output{k, fmt.Sprint(n), 0})
			}
			return out
		},
	},
}
