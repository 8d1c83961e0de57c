package topology

// checkSources finds topics that are read by two nodes.
func (c *Compiler) checkSources() {
	byTopic := map[string]*Node{}
	var patterns []*Node
	for _, n := range c.nodes {
		if n.Kind != KindSource {
			continue
		}
		if n.Pattern != nil {
			patterns = append(patterns, n)
		}
		for _, t := range n.Topics {
			if other := byTopic[t]; other != nil && (n.table || other.table) {
				c.fault(n.Site, "topic %q is read at %s already: a topic can be read by one table, or by equal sources of streams",
					t, other.Site)
				continue
			}
			byTopic[t] = n
		}
	}
	for _, p := range patterns {
		for _, n := range c.nodes {
			for _, t := range n.Topics {
				if n.Kind == KindSource && matches(p, t) {
					c.fault(n.Site, "topic %q matches the pattern %q read at %s: narrow the pattern", t, p.Pattern, p.Site)
				}
			}
		}
	}
}
