package topology

import "unicode/utf16"

// Kafka Streams prints sets of names in the order of a Java HashSet. That order depends on nothing but the names, so it can be
// had here.

// hashOrder returns names in the iteration order of a HashSet to which they were added one by one.
func hashOrder(names []string) []string {
	size := 16
	for size*3/4 < len(names) {
		size *= 2
	}
	buckets := make([][]string, size)
	for _, name := range names {
		h := javaHash(name)
		i := (h ^ h>>16) & uint32(size-1)
		buckets[i] = append(buckets[i], name)
	}
	out := make([]string, 0, len(names))
	for _, b := range buckets {
		out = append(out, b...)
	}
	return out
}

// javaHash is String.hashCode.
func javaHash(s string) uint32 {
	var h uint32
	for _, u := range utf16.Encode([]rune(s)) {
		h = 31*h + uint32(u)
	}
	return h
}

// sizeOrdered is a set of described nodes as a TreeSet keeps it: ordered by size and name as they were when each was added. Sizes
// still grow meanwhile, so the order is that in which a red-black tree compares, not the sorted one.
type sizeOrdered struct{ root *leaf }

type leaf struct {
	node                *described
	left, right, parent *leaf
	red                 bool
}

func (t *sizeOrdered) add(n *described) {
	at := &t.root
	var parent *leaf
	for *at != nil {
		parent = *at
		switch {
		case parent.node == n:
			return
		case before(n, parent.node):
			at = &parent.left
		default:
			at = &parent.right
		}
	}
	x := &leaf{node: n, parent: parent, red: true}
	*at = x
	t.balance(x)
}

// balance restores the red-black rules after x was added: no red leaf has a red parent.
func (t *sizeOrdered) balance(x *leaf) {
	for x.parent != nil && x.parent.red {
		parent, above := x.parent, x.parent.parent
		uncle, inner := above.right, parent.right
		if parent == above.right {
			uncle, inner = above.left, parent.left
		}
		if uncle != nil && uncle.red {
			parent.red, uncle.red, above.red = false, false, true
			x = above
			continue
		}
		if x == inner {
			t.rotate(x)
			parent = x
		}
		parent.red, above.red = false, true
		t.rotate(parent)
		break
	}
	t.root.red = false
}

// rotate puts x into the place of its parent.
func (t *sizeOrdered) rotate(x *leaf) {
	p := x.parent
	moved := &x.right
	if p.left == x {
		p.left = x.right
	} else {
		moved = &x.left
		p.right = x.left
	}
	if *moved != nil {
		(*moved).parent = p
	}
	*moved = p
	x.parent, p.parent = p.parent, x
	switch {
	case x.parent == nil:
		t.root = x
	case x.parent.left == p:
		x.parent.left = x
	default:
		x.parent.right = x
	}
}

func (t *sizeOrdered) names() []string { return t.root.names(nil) }

func (l *leaf) names(dst []string) []string {
	if l == nil {
		return dst
	}
	return l.right.names(append(l.left.names(dst), l.node.Name))
}

// before tells whether a description lists a before b: the node with more below it comes first.
func before(a, b *described) bool {
	if a.size != b.size {
		return a.size > b.size
	}
	return a.Name < b.Name
}
