package oracle

import (
	"fmt"

	"pgregory.net/rapid"
)

// limits of a random program.
type limits struct {
	fails  bool // functions that fail
	joins  bool
	order  bool // aggregates whose result depends on the order of their rows
	poison bool // inputs that cannot be read
}

const maxDepth = 6

// generator draws a program. Every stream and table that nobody reads is written to a topic at the end.
type generator struct {
	t       *rapid.T
	limits  limits
	p       Program
	depth   []int
	streams []int
	tables  []int
	read    map[int]bool
}

func drawProgram(t *rapid.T, l limits) Program {
	g := &generator{t: t, limits: l, read: map[int]bool{}}
	for _, topic := range []string{"a", "b"}[:rapid.IntRange(1, 2).Draw(t, "sources")] {
		g.add(Step{Op: From, Topic: topic})
	}
	if rapid.Bool().Draw(t, "table") {
		g.add(Step{Op: TableFrom, Topic: "t", Store: g.bool("store")})
	}
	for range rapid.IntRange(2, 14).Draw(t, "steps") {
		g.step()
	}
	for _, i := range append([]int{}, g.tables...) {
		if !g.read[i] {
			g.add(Step{Op: ToStream, Of: []int{i}})
		}
	}
	for _, i := range append([]int{}, g.streams...) {
		if !g.read[i] {
			g.add(Step{Op: To, Of: []int{i}, Topic: fmt.Sprint("out", i)})
		}
	}
	return g.p
}

func (g *generator) bool(what string) bool { return rapid.Bool().Draw(g.t, what) }

// add puts a step, whose functions fail now and then, behind those it stands on.
func (g *generator) add(s Step) int {
	i := len(g.p)
	depth := 0
	for _, of := range s.Of {
		g.read[of] = true
		depth = max(depth, g.depth[of]+1)
	}
	s.Salt = rapid.IntRange(0, 1000).Draw(g.t, "salt")
	if g.limits.fails && s.Op != From && s.Op != TableFrom {
		s.Fails = rapid.IntRange(0, 2).Draw(g.t, "fails") == 0
		s.Skips = s.Fails && rapid.IntRange(0, 4).Draw(g.t, "skips") == 0
	}
	g.p = append(g.p, s)
	g.depth = append(g.depth, depth)
	switch {
	case g.p.IsTable(i):
		g.tables = append(g.tables, i)
	case g.p.IsStream(i):
		g.streams = append(g.streams, i)
	}
	return i
}

var onStreams = []Op{Filter, FilterNot, MapValues, FlatMapValues, Map, SelectKey, FlatMap, Peek, Merge, Split, Repartition, NullMap,
	To, ToTopics, Join, LeftJoin, ToTable, Count, Reduce, Aggregate, AggregateOpt}
var onTables = []Op{FilterTable, MapTable, SumTable, ConcatTable, ToStream}

// step adds a step behind some other.
func (g *generator) step() {
	ops := onStreams
	if len(g.tables) > 0 {
		ops = append(append([]Op{}, onStreams...), append(onTables, onTables...)...)
	}
	s := Step{Op: rapid.SampledFrom(ops).Draw(g.t, "op")}
	from := g.streams
	for _, op := range onTables {
		if op == s.Op {
			from = g.tables
		}
	}
	of := from[len(from)-1-rapid.IntRange(0, len(from)-1).Draw(g.t, "of")] // small numbers are frequent: programs grow deep
	if g.depth[of] >= maxDepth {
		return
	}
	s.Of = []int{of}
	switch s.Op {
	case Merge:
		other := rapid.SampledFrom(g.streams).Draw(g.t, "other")
		if other == of {
			return
		}
		s.Of = append(s.Of, other)
	case Join, LeftJoin:
		if len(g.tables) == 0 || !g.limits.joins {
			return
		}
		s.Of = append(s.Of, rapid.SampledFrom(g.tables).Draw(g.t, "with"))
	case Split:
		split := g.add(s)
		for range rapid.IntRange(2, 3).Draw(g.t, "branches") {
			g.add(Step{Op: Branch, Of: []int{split}})
		}
		return
	case To:
		s.Topic = fmt.Sprint("mid", len(g.p))
	case ToTopics:
		s.Topic = fmt.Sprint("dyn", len(g.p), "-")
	case ConcatTable:
		if !g.limits.order {
			s.Op = SumTable
		}
	case Count, Reduce, Aggregate, AggregateOpt:
		s.By = g.bool("by")
	case ToTable, FilterTable, MapTable:
		s.Store = g.bool("store")
	}
	g.add(s)
}

// drawInputs draws records for the sources: out of order, ties, nulls, tombstones, poison.
func drawInputs(t *rapid.T, p Program, l limits, most int) []Input {
	var topics []string
	for _, s := range p {
		if s.Op == From || s.Op == TableFrom {
			topics = append(topics, s.Topic)
		}
	}
	one := rapid.Custom(func(t *rapid.T) Input {
		in := Input{Topic: rapid.SampledFrom(topics).Draw(t, "topic")}
		key := rapid.SampledFrom([]string{"a", "b", "c", "p", "q", "", "-"}).Draw(t, "key")
		if key != "-" {
			in.Key = &key
		}
		value := rapid.SampledFrom([]string{"x", "y", "z", "xx", "yyy", "", "-", "-"}).Draw(t, "value")
		if value != "-" {
			in.Value = &value
		}
		in.Time = rapid.Int64Range(0, 20).Draw(t, "time")
		in.Label = rapid.SampledFrom([]string{"", "", "l1", "l2"}).Draw(t, "label")
		if l.poison {
			bad := rapid.SampledFrom([]string{BadBytes, PanicBytes}).Draw(t, "bad")
			switch rapid.IntRange(0, 20).Draw(t, "poison") {
			case 20:
				in.Key = text(bad + key)
			case 19:
				in.Value = text(bad + value)
			case 18:
				in.Time = -7
			}
		}
		return in
	})
	var inputs []Input
	for range 3 { // a slice is short as a rule
		inputs = append(inputs, rapid.SliceOfN(one, 0, most/3).Draw(t, "inputs")...)
	}
	if len(inputs) == 0 {
		inputs = append(inputs, one.Draw(t, "input"))
	}
	return inputs
}
