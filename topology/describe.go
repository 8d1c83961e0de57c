package topology

import (
	"fmt"
	"slices"
	"strings"
)

// described is a node while its sub-topology is described.
type described struct {
	*Node
	size  int // the node and all below it, once for each way
	above []*described
	preds sizeOrdered
	succs sizeOrdered
}

// Describe returns the text that Kafka Streams' TopologyDescription prints for the same program, byte for byte.
func (t *Topology) Describe() string {
	var b strings.Builder
	b.WriteString("Topologies:\n ")
	for _, sub := range t.Subs {
		fmt.Fprintf(&b, "  Sub-topology: %d", sub.ID)
		if sub.Global != nil {
			b.WriteString(" for global store (will not generate tasks)")
		}
		b.WriteByte('\n')
		for _, d := range describe(sub) {
			b.WriteString("    ")
			d.write(&b)
			b.WriteByte('\n')
		}
		if sub.Global == nil {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// describe links the nodes of a sub-topology in the order in which Kafka Streams does, and sorts them.
func describe(sub *Sub) []*described {
	names := make([]string, len(sub.Nodes))
	byName := map[string]*described{}
	for i, n := range sub.Nodes {
		names[i] = n.Name
		byName[n.Name] = &described{Node: n, size: 1}
	}
	all := make([]*described, 0, len(names))
	for _, name := range hashOrder(names) {
		d := byName[name]
		all = append(all, d)
		for _, parent := range d.Parents {
			p := byName[parent.Name]
			d.above = append(d.above, p)
			d.preds.add(p)
			p.succs.add(d)
			p.grow(d.size)
		}
	}
	slices.SortFunc(all, func(a, b *described) int {
		if before(a, b) {
			return -1
		}
		return 1
	})
	return all
}

func (d *described) grow(by int) {
	d.size += by
	for _, p := range d.above {
		p.grow(by)
	}
}

func (d *described) write(b *strings.Builder) {
	switch d.Kind {
	case KindSource:
		topics := "[" + strings.Join(hashOrder(hashOrder(d.Topics)), ", ") + "]"
		if d.Pattern != nil {
			topics = d.Pattern.String()
		}
		fmt.Fprintf(b, "Source: %s (topics: %s)\n      --> %s", d.Name, topics, nodeNames(d.succs))
	case KindProcessor:
		fmt.Fprintf(b, "Processor: %s (stores: [%s])\n      --> %s\n      <-- %s", d.Name,
			strings.Join(hashOrder(d.Stores), ", "), nodeNames(d.succs), nodeNames(d.preds))
	case KindSink:
		if len(d.Topics) == 1 {
			fmt.Fprintf(b, "Sink: %s (topic: %s)\n      <-- %s", d.Name, d.Topics[0], nodeNames(d.preds))
			return
		}
		fmt.Fprintf(b, "Sink: %s (extractor class: func at %s)\n      <-- %s", d.Name, lastElement(d.Site), nodeNames(d.preds))
	}
}

func nodeNames(set sizeOrdered) string {
	if set.root == nil {
		return "none"
	}
	return strings.Join(set.names(), ", ")
}

func lastElement(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
