package memstore

// cursor walks a tree, which does not change, between two bounds.
type cursor struct {
	cmp          func(a, b []byte) int
	lower, upper []byte
	reverse      bool
	started      bool
	root         *node
	path         []step // from the root to a leaf; empty: before the start or behind the end
}

type step struct {
	n *node
	i int
}

func newCursor(t tree, cmp func(a, b []byte) int, lower, upper []byte, reverse bool) *cursor {
	return &cursor{cmp: cmp, lower: lower, upper: upper, reverse: reverse, root: t.root}
}

func (c *cursor) key() []byte   { s := c.path[len(c.path)-1]; return s.n.keys[s.i] }
func (c *cursor) value() []byte { s := c.path[len(c.path)-1]; return s.n.vals[s.i] }

func (c *cursor) next() bool {
	switch {
	case !c.started:
		c.started = true
		if c.root == nil {
			return false
		}
		c.first()
	case len(c.path) > 0:
		c.step()
	}
	if len(c.path) == 0 {
		return false
	}
	if c.reverse {
		if c.lower != nil && c.cmp(c.key(), c.lower) < 0 {
			c.path = c.path[:0]
		}
	} else if c.upper != nil && c.cmp(c.key(), c.upper) >= 0 {
		c.path = c.path[:0]
	}
	return len(c.path) > 0
}

// first goes to the first key in the direction of the walk.
func (c *cursor) first() {
	bound := c.lower
	if c.reverse {
		bound = c.upper
	}
	for n := c.root; ; {
		i := 0
		switch {
		case bound != nil:
			i, _ = n.search(c.cmp, bound)
		case c.reverse:
			i = len(n.keys) - 1
		}
		c.path = append(c.path, step{n, i})
		if n.kids == nil {
			break
		}
		n = n.kids[i]
	}
	leaf := &c.path[len(c.path)-1]
	if c.reverse && bound != nil || leaf.i == len(leaf.n.keys) {
		// search found the first key that is not less than the bound: a reverse walk begins before it, and a forward walk
		// goes on in the next leaf if this one has none.
		if !c.reverse {
			leaf.i--
		}
		c.step()
	}
}

// step goes to the next key in the direction of the walk, or empties the path.
func (c *cursor) step() {
	d := 1
	if c.reverse {
		d = -1
	}
	for len(c.path) > 0 {
		top := &c.path[len(c.path)-1]
		top.i += d
		if top.i >= 0 && top.i < len(top.n.keys) {
			break
		}
		c.path = c.path[:len(c.path)-1]
	}
	if len(c.path) == 0 {
		return
	}
	for top := c.path[len(c.path)-1]; top.n.kids != nil; {
		kid := top.n.kids[top.i]
		i := 0
		if c.reverse {
			i = len(kid.keys) - 1
		}
		top = step{kid, i}
		c.path = append(c.path, top)
	}
}
