package oracle

import (
	"fmt"
	"hash/fnv"
	"strings"
)

// Op is what a step does.
type Op string

// The steps. Keys and values are text everywhere; counts and sums are shown as text.
const (
	From          Op = "from"
	Filter        Op = "filter"
	FilterNot     Op = "filterNot"
	MapValues     Op = "mapValues"
	FlatMapValues Op = "flatMapValues"
	Map           Op = "map"
	SelectKey     Op = "selectKey"
	FlatMap       Op = "flatMap"
	Peek          Op = "peek"
	Merge         Op = "merge"  // of two streams
	Split         Op = "split"  // sends each record to one of its branches
	Branch        Op = "branch" // of a split; the last one takes what is left
	Repartition   Op = "repartition"
	NullMap       Op = "nullMap" // Nullable, a map that sees nulls, Present
	To            Op = "to"
	ToTopics      Op = "toTopics"
	Join          Op = "join" // of a stream and a table
	LeftJoin      Op = "leftJoin"

	TableFrom    Op = "tableFrom"
	ToTable      Op = "toTable"
	Count        Op = "count"
	Reduce       Op = "reduce"
	Aggregate    Op = "aggregate"
	AggregateOpt Op = "aggregateOpt" // deletes some rows
	FilterTable  Op = "filterTable"
	MapTable     Op = "mapTable"
	SumTable     Op = "sumTable"    // GroupTableBy, then an aggregate that forgets the order
	ConcatTable  Op = "concatTable" // GroupTableBy, then one that does not
	ToStream     Op = "toStream"
)

// Step is one step of a program.
type Step struct {
	Op    Op
	Of    []int // the steps it stands on
	Topic string
	Salt  int  // tells functions apart
	By    bool // of aggregates: group by a new key first
	Fails bool // its function fails for some records
	Skips bool // what fails is skipped
	Store bool // of tables that need no store: it has one all the same
}

// Program is a list of steps, each after those it stands on.
type Program []Step

// Name is the name of a step's node.
func (p Program) Name(i int) string { return fmt.Sprintf("%s%d", p[i].Op, i) }

// IsTable tells whether a step makes a table.
func (p Program) IsTable(i int) bool {
	switch p[i].Op {
	case TableFrom, ToTable, Count, Reduce, Aggregate, AggregateOpt, FilterTable, MapTable, SumTable, ConcatTable:
		return true
	}
	return false
}

// IsStream tells whether a step makes a stream.
func (p Program) IsStream(i int) bool {
	return !p.IsTable(i) && p[i].Op != To && p[i].Op != ToTopics && p[i].Op != Split
}

// Rekeyed tells whether the stream of a step may have other keys than the topic it came from.
func (p Program) Rekeyed(i int) bool {
	s := p[i]
	switch s.Op {
	case From, Repartition, Join, LeftJoin, ToStream:
		return false
	case Map, SelectKey, FlatMap:
		return true
	case Merge:
		return p.Rekeyed(s.Of[0]) || p.Rekeyed(s.Of[1])
	}
	return p.Rekeyed(s.Of[0])
}

// Branches lists the branches of a split, in order.
func (p Program) Branches(split int) (list []int) {
	for i, s := range p {
		if s.Op == Branch && s.Of[0] == split {
			list = append(list, i)
		}
	}
	return list
}

// String lists the steps.
func (p Program) String() string {
	var b strings.Builder
	for i, s := range p {
		fmt.Fprintf(&b, "%d %s", i, s.Op)
		for _, of := range s.Of {
			fmt.Fprintf(&b, " %d", of)
		}
		if s.Topic != "" {
			b.WriteString(" " + s.Topic)
		}
		for _, f := range []struct {
			on   bool
			text string
		}{{s.By, "by"}, {s.Fails, "fails"}, {s.Skips, "skips"}, {s.Store, "store"}} {
			if f.on {
				b.WriteString(" " + f.text)
			}
		}
		fmt.Fprintf(&b, " salt=%d\n", s.Salt)
	}
	return b.String()
}

// Trouble is what a function does with a record instead of its work.
type Trouble string

// Kinds of trouble.
const (
	Fine   Trouble = ""
	Error  Trouble = "error"
	Panic  Trouble = "panic"
	Skip   Trouble = "skip"
	Second Trouble = "second" // of functions that make several records: it panics after the first
)

// TroubleWith says what a step's function does with these arguments.
func (s Step) TroubleWith(a, b string) Trouble {
	if !s.Fails {
		return Fine
	}
	switch s.hash("trouble", a, b) % 12 {
	case 0:
		return Error
	case 1:
		return Panic
	case 2:
		return Skip
	case 3:
		if s.Op == FlatMap || s.Op == FlatMapValues {
			return Second
		}
	}
	return Fine
}

func (s Step) hash(parts ...string) int {
	h := fnv.New32a()
	fmt.Fprintf(h, "%d", s.Salt)
	for _, p := range parts {
		h.Write([]byte{0})
		h.Write([]byte(p))
	}
	return int(h.Sum32() >> 3)
}

// The functions of the steps.

// Keep is a predicate.
func (s Step) Keep(k, v string) bool { return s.hash("keep", k, v)%3 != 0 }

// Key makes a key of few.
func (s Step) Key(k, v string) string { return string(rune('p' + s.hash("key", k, v)%3)) }

// Value makes a value that stays short.
func (s Step) Value(k, v string) string { return s.short(k + v + "/") }

// Join makes the result of a join. The right side may be absent.
func (s Step) Join(k, l string, r *string) string { return s.short(k + l + "*" + Text(r)) }

// Fold makes the next aggregate.
func (s Step) Fold(k, old, v string) string { return s.short(old + k + "+" + v) }

// Unfold takes a value out of an aggregate, after a fashion.
func (s Step) Unfold(k, old, v string) string { return s.short(old + k + "-" + v) }

// Drops tells whether the next aggregate is none.
func (s Step) Drops(k, old, v string) bool { return s.hash("drop", k, old, v)%3 == 0 }

// Many makes zero to two values.
func (s Step) Many(k, v string) (out []string) {
	for i := range s.hash("many", k, v) % 3 {
		out = append(out, s.short(fmt.Sprint(v, i)))
	}
	return out
}

// Dest chooses a topic.
func (s Step) Dest(k, v string) string { return fmt.Sprint(s.Topic, s.hash("dest", k, v)%2) }

// ShowNull makes a value, or null, of a value or null.
func (s Step) ShowNull(k string, v *string) *string {
	if s.hash("null", k, Text(v))%4 == 0 {
		return nil
	}
	out := s.short(Text(v) + "?")
	return &out
}

func (s Step) short(v string) string {
	if len(v) <= 14 {
		return v
	}
	return fmt.Sprintf("%s#%04x", v[:6], s.hash("short", v)&0xffff)
}

// Text shows null as a dash.
func Text(v *string) string {
	if v == nil {
		return "-"
	}
	return *v
}
