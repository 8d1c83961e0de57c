package topology

import (
	"fmt"
	"strings"
)

// DOT returns the topology as a graph in the language of Graphviz: topics are boxes, stores cylinders, each sub-topology a
// cluster.
func (t *Topology) DOT() string {
	var b strings.Builder
	b.WriteString("digraph topology {\n  rankdir=LR;\n  node [shape=ellipse];\n")
	for _, sub := range t.Subs {
		fmt.Fprintf(&b, "  subgraph cluster_%d {\n    label=%q;\n", sub.ID, subTitle(sub))
		for _, n := range sub.Nodes {
			fmt.Fprintf(&b, "    %q;\n", n.Name)
		}
		for _, s := range sub.Stores {
			fmt.Fprintf(&b, "    %q [label=%q, shape=cylinder];\n", "store "+s.Name, s.Name)
		}
		b.WriteString("  }\n")
	}
	for _, topic := range t.drawnTopics() {
		fmt.Fprintf(&b, "  %q [label=%q, shape=box];\n", "topic "+topic, topic)
	}
	t.edges(func(from, to string, plain bool) {
		style := ""
		if !plain {
			style = " [style=dashed, dir=none]"
		}
		fmt.Fprintf(&b, "  %q -> %q%s;\n", from, to, style)
	})
	b.WriteString("}\n")
	return b.String()
}

// Mermaid returns the topology as a Mermaid flowchart, which Markdown viewers draw: topics are boxes, stores cylinders, each
// sub-topology a subgraph.
func (t *Topology) Mermaid() string {
	ids := map[string]string{}
	id := func(name string) string {
		if ids[name] == "" {
			ids[name] = fmt.Sprintf("n%d", len(ids))
		}
		return ids[name]
	}
	text := func(s string) string { return `"` + strings.ReplaceAll(s, `"`, "#quot;") + `"` }
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	for _, sub := range t.Subs {
		fmt.Fprintf(&b, "  subgraph s%d [%s]\n", sub.ID, text(subTitle(sub)))
		for _, n := range sub.Nodes {
			fmt.Fprintf(&b, "    %s([%s])\n", id(n.Name), text(n.Name))
		}
		for _, s := range sub.Stores {
			fmt.Fprintf(&b, "    %s[(%s)]\n", id("store "+s.Name), text(s.Name))
		}
		b.WriteString("  end\n")
	}
	for _, topic := range t.drawnTopics() {
		fmt.Fprintf(&b, "  %s[%s]\n", id("topic "+topic), text(topic))
	}
	t.edges(func(from, to string, plain bool) {
		arrow := "-->"
		if !plain {
			arrow = "-.-"
		}
		fmt.Fprintf(&b, "  %s %s %s\n", id(from), arrow, id(to))
	})
	return b.String()
}

func subTitle(sub *Sub) string {
	if sub.Global != nil {
		return fmt.Sprintf("Sub-topology %d, global", sub.ID)
	}
	return fmt.Sprintf("Sub-topology %d", sub.ID)
}

// drawnTopics lists the topics that nodes read and write, each once, in the order of the nodes.
func (t *Topology) drawnTopics() (topics []string) {
	seen := map[string]bool{}
	for _, n := range t.Nodes {
		for _, topic := range t.topicsOf(n) {
			if !seen[topic] {
				seen[topic] = true
				topics = append(topics, topic)
			}
		}
	}
	return topics
}

// topicsOf are the real names of a node's topics, or what stands for them.
func (t *Topology) topicsOf(n *Node) (topics []string) {
	for _, name := range n.Topics {
		topics = append(topics, t.TopicName(name))
	}
	switch {
	case n.Pattern != nil:
		topics = append(topics, "topics matching "+n.Pattern.String())
	case n.Kind == KindSink && len(topics) == 0:
		topics = append(topics, "topics chosen per record")
	}
	return topics
}

// edges names every arrow: plain ones are the ways of records, the others tie nodes to stores.
func (t *Topology) edges(edge func(from, to string, plain bool)) {
	for _, n := range t.Nodes {
		for _, topic := range t.topicsOf(n) {
			if n.Kind == KindSource {
				edge("topic "+topic, n.Name, true)
			} else {
				edge(n.Name, "topic "+topic, true)
			}
		}
		for _, child := range n.Children {
			edge(n.Name, child.Name, true)
		}
		for _, s := range n.Stores {
			edge(n.Name, "store "+s, false)
		}
	}
}
