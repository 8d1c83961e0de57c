package topology

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// copartition is a join's wish: the topics of these sources have equal partition counts.
type copartition struct {
	site    string
	sources []*Op
}

// Copartition is a group of topics that must have equal partition counts, so that equal keys meet in one task.
type Copartition struct {
	Topics []string // real names, sorted
	Site   string   // of a call that needs it
}

func (c *Compiler) copartitions(t *Topology) {
	var topics []string
	index := map[string]int{}
	add := func(name string) int {
		i, ok := index[name]
		if !ok {
			i = len(topics)
			index[name] = i
			topics = append(topics, name)
		}
		return i
	}
	var pairs [][2]int
	site := map[int]string{}
	for _, g := range c.graph.groups {
		first := -1
		for _, op := range g.sources {
			src := c.main(op).Source
			if src == nil {
				continue
			}
			for _, name := range src.Topics {
				i := add(t.TopicName(name))
				if first < 0 {
					first = i
				}
				pairs = append(pairs, [2]int{first, i})
				if site[i] == "" {
					site[i] = g.site
				}
			}
		}
	}
	for _, s := range c.stores {
		if !s.ReadOnly {
			continue
		}
		first := add(s.Reads)
		for _, n := range s.nodes {
			for _, name := range readAbove(n) {
				i := add(t.TopicName(name))
				pairs = append(pairs, [2]int{first, i})
				for _, at := range []int{first, i} {
					if site[at] == "" {
						site[at] = fmt.Sprintf("%s (of the read-only store %s with its readers)", s.Site, s.Name)
					}
				}
			}
		}
	}
	u := newUnion(len(topics))
	for _, p := range pairs {
		u.unite(p[0], p[1])
	}
	byRoot := map[int]int{}
	for i, name := range topics {
		at, ok := byRoot[u.root(i)]
		if !ok {
			at = len(t.Copartitions)
			byRoot[u.root(i)] = at
			t.Copartitions = append(t.Copartitions, Copartition{Site: site[i]})
		}
		t.Copartitions[at].Topics = append(t.Copartitions[at].Topics, name)
	}
	for _, g := range t.Copartitions {
		slices.Sort(g.Topics)
	}
}

// readAbove lists the topics whose records reach a node.
func readAbove(n *Node) (topics []string) {
	if n.Kind == KindSource {
		return n.Topics
	}
	for _, p := range n.Parents {
		topics = append(topics, readAbove(p)...)
	}
	return topics
}

// checkFixedCounts finds groups that cannot be satisfied whatever the cluster has.
func (t *Topology) checkFixedCounts(c *Compiler) {
	for _, g := range t.Copartitions {
		counts := map[string]int{}
		for _, name := range g.Topics {
			if in := t.real(name); in != nil && in.Fixed {
				counts[name] = in.Partitions
			}
		}
		if err := unequal(g, counts); err != nil {
			c.fault(g.Site, "%v", err)
		}
	}
}

func (t *Topology) real(topic string) *Internal {
	for _, in := range t.Internals {
		if in.Topic == topic {
			return in
		}
	}
	return nil
}

// CopartitionError says that topics of a join have different partition counts.
type CopartitionError struct {
	A, B           string
	CountA, CountB int
	Site           string
}

func (e *CopartitionError) Error() string {
	return fmt.Sprintf("%s has %d partitions, %s %d: the join at %s needs equal counts; create one of them with as many "+
		"partitions as the other, or send one through Repartition", e.A, e.CountA, e.B, e.CountB, e.Site)
}

func unequal(g Copartition, counts map[string]int) error {
	names := slices.Sorted(maps.Keys(counts))
	for _, name := range names {
		if counts[name] != counts[names[0]] {
			return &CopartitionError{names[0], name, counts[names[0]], counts[name], g.Site}
		}
	}
	return nil
}

// Partitions computes the partition counts of the repartition topics from those of the topics that exist, and checks every
// co-partition group. external has the count of each source topic of the user, by name. Every fault is reported, as
// *[CopartitionError] or as a topic that is missing.
func (t *Topology) Partitions(external map[string]int) (map[string]int, error) {
	counts := maps.Clone(external)
	if counts == nil {
		counts = map[string]int{}
	}
	var faults Faults
	for _, sub := range t.Subs {
		for _, topic := range sub.Topics {
			if in := t.real(topic); in == nil && counts[topic] <= 0 {
				faults = append(faults, Fault{t.Source(topic).Site,
					fmt.Sprintf("source topic %q does not exist: create it before the start", topic)})
			} else if in != nil && in.Fixed {
				counts[topic] = in.Partitions
			} else if in != nil {
				delete(counts, topic)
			}
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	t.adopt(counts)
	errs := t.equalise(counts)
	if len(errs) > 0 {
		return nil, errs
	}
	internal := make(map[string]int, len(t.Internals))
	for _, in := range t.Internals {
		internal[in.Topic] = counts[in.Topic]
	}
	return internal, nil
}

// adopt gives each repartition topic without a count the largest one of what the sub-topology that writes it reads. That may
// be a repartition topic itself, so it goes on until nothing changes.
func (t *Topology) adopt(counts map[string]int) {
	reads := make([][]string, len(t.Subs))
	for i, sub := range t.Subs {
		reads[i] = sub.Topics
	}
	for topic := range counts { // what patterns match
		if n := t.Source(topic); n != nil && !slices.Contains(t.Subs[n.Sub].Topics, topic) {
			reads[n.Sub] = append(slices.Clip(reads[n.Sub]), topic)
		}
	}
	for range len(t.Internals) + 1 {
		changed := false
		for _, in := range t.Internals {
			if in.Fixed {
				continue
			}
			n := counts[in.Topic]
			for _, topic := range reads[in.From] {
				n = max(n, counts[topic])
			}
			if n != counts[in.Topic] {
				counts[in.Topic], changed = n, true
			}
		}
		if !changed {
			return
		}
	}
}

// equalise gives the repartition topics of each group the count that the others of the group have.
func (t *Topology) equalise(counts map[string]int) (faults errorList) {
	for _, g := range t.Copartitions {
		given := map[string]int{}
		for _, topic := range g.Topics {
			if in := t.real(topic); in == nil || in.Fixed {
				given[topic] = counts[topic]
			}
		}
		if err := unequal(g, given); err != nil {
			faults = append(faults, err)
			continue
		}
		n := 0
		for _, topic := range g.Topics {
			if _, ok := given[topic]; ok {
				n = given[topic]
				break
			}
			n = max(n, counts[topic])
		}
		for _, topic := range g.Topics {
			counts[topic] = n
		}
	}
	return faults
}

// errorList is several errors, one a line.
type errorList []error

func (l errorList) Error() string {
	lines := make([]string, len(l))
	for i, err := range l {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

func (l errorList) Unwrap() []error { return l }
