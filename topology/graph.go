package topology

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
)

// Graph collects the steps of a program. It belongs to the goroutine that writes the program.
type Graph struct {
	next     int // number of the next name
	priority int
	sources  []*Op // steps without parents
	ops      []*Op
	groups   []copartition
	faults   Faults
	optimize Optimization
}

// NewGraph returns an empty graph.
func NewGraph() *Graph { return &Graph{} }

// Op is a step of a program: one or several nodes, written together.
type Op struct {
	// Site is file:line of the call.
	Site string
	// Name of the node that steps after it attach to, where somebody needs to know it.
	Name string
	// Source says what the step reads, if it reads topics: sources, tables, and steps that go through a repartition topic.
	Source *SourceSpec
	// Write adds the step's nodes and returns the one that steps after it attach to.
	Write func(c *Compiler) *Node
	// RelaxedNullKey: the step takes records with a null key, so a repartition topic before it carries them.
	RelaxedNullKey bool
	// Repartition: the step reads the internal topic that it writes.
	Repartition bool

	// Movable: a repartition that a step after it needs, so that it may stand further up (MergeRepartitions).
	Movable bool
	// Adapted: a repartition that sees the records in another form than the step before it gives them.
	Adapted bool
	// Changes is what the step may change of records; Merges: it is one of several streams.
	Changes Changes
	Merges  bool
	// Records is the type of the records that a repartition takes, and of those that come out of a step that changes keys.
	Records reflect.Type

	// After are steps that are written before this one although it does not follow them: those whose stores it uses.
	After []*Op

	parents, children []*Op
	priority          int
}

// SourceSpec is what a step reads.
type SourceSpec struct {
	Topics  []string
	Pattern *regexp.Regexp
	Offset  OffsetReset
	// Table: the step is a table; it shares its topic with no other source.
	Table bool
	// Global: the step is a global table; all partitions of its topic are read by every instance.
	Global bool
	// Key and Value are the serdes, to tell whether two streams of one topic agree.
	Key, Value any
}

// OffsetReset says where to begin in a partition without a committed offset.
type OffsetReset uint8

// The policies. OffsetDefault is that of the application.
const (
	OffsetDefault OffsetReset = iota
	OffsetEarliest
	OffsetLatest
	OffsetNone // an error
)

func (o OffsetReset) String() string {
	return [...]string{"default", "earliest", "latest", "none"}[o]
}

// Name takes the next number for a node.
func (g *Graph) Name(prefix string) string {
	g.next++
	return fmt.Sprintf("%s%010d", prefix, g.next-1)
}

// NameOr takes the next number, and returns the user's name if there is one (G2).
func (g *Graph) NameOr(name, prefix string) string {
	generated := g.Name(prefix)
	if name != "" {
		return name
	}
	return generated
}

// StoreName takes the next number for a store.
func (g *Graph) StoreName(prefix string) string { return g.Name(prefix + "STATE-STORE-") }

// Add puts op behind its parents.
func (g *Graph) Add(op *Op, parents ...*Op) *Op {
	if op.Site == "" {
		op.Site = Site()
	}
	op.priority = g.priority
	g.priority++
	for _, p := range parents {
		if !slices.Contains(op.parents, p) {
			op.parents = append(op.parents, p)
			p.children = append(p.children, op)
		}
	}
	if len(parents) == 0 {
		g.sources = append(g.sources, op)
	}
	g.ops = append(g.ops, op)
	return op
}

// Again moves op behind all steps added so far, as far as its children allow.
func (g *Graph) Again(op *Op) {
	op.priority = g.priority
	g.priority++
}

// Fault notes a mistake. site may be empty: then it is that of the running call.
func (g *Graph) Fault(site, format string, args ...any) {
	if site == "" {
		site = Site()
	}
	g.faults = append(g.faults, Fault{site, fmt.Sprintf(format, args...)})
}

// Copartition says that a join needs the topics of these sources to have equal partition counts.
func (g *Graph) Copartition(sources []*Op) {
	g.groups = append(g.groups, copartition{site: Site(), sources: slices.Clone(sources)})
}

// mergeSources decides for each stream source that reads what an earlier one reads which one that is.
func (c *Compiler) mergeSources() {
	c.merged = map[*Op]*Op{}
	byTopic, byPattern := map[string]*Op{}, map[string]*Op{}
	for _, op := range c.graph.sources {
		s := op.Source
		if s == nil || s.Table {
			continue
		}
		if s.Pattern != nil {
			if main := byPattern[s.Pattern.String()]; main != nil {
				c.merge(main, op)
			} else {
				byPattern[s.Pattern.String()] = op
			}
			continue
		}
		for _, topic := range s.Topics {
			main := byTopic[topic]
			switch {
			case main == nil:
				byTopic[topic] = op
			case main == op || c.merged[op] == main:
			case !sameSet(main.Source.Topics, s.Topics):
				c.fault(op.Site, "source of %q overlaps with the source of %q at %s: read the shared topics in one From and "+
					"merge, or read equal sets", s.Topics, main.Source.Topics, main.Site)
			default:
				c.merge(main, op)
			}
		}
	}
}

// merge lets the steps after op follow main. Both read the same.
func (c *Compiler) merge(main, op *Op) {
	c.merged[op] = main
	if main.Source.Offset != op.Source.Offset {
		c.fault(op.Site, "source of %s resets offsets to %s, the one at %s to %s: give both the same policy",
			op.Source.what(), op.Source.Offset, main.Site, main.Source.Offset)
	}
	for _, s := range [][3]any{{"keys", main.Source.Key, op.Source.Key}, {"values", main.Source.Value, op.Source.Value}} {
		if a, b := reflect.TypeOf(s[1]), reflect.TypeOf(s[2]); a != b {
			c.fault(op.Site, "source of %s decodes its %s with %v, the one at %s with %v: a topic is read once per sub-topology; "+
				"use one From and map what it gives", op.Source.what(), s[0], b, main.Site, a)
		}
	}
}

func (s *SourceSpec) what() string {
	if s.Pattern != nil {
		return fmt.Sprintf("pattern %q", s.Pattern)
	}
	return fmt.Sprintf("%q", s.Topics)
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}
