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

// sizeOrdered is a set of described nodes as a TreeSet keeps it: ordered by size and name as they were when each was added,
// since sizes still grow meanwhile.
type sizeOrdered struct {
	node        *described
	left, right *sizeOrdered
}

func (t *sizeOrdered) add(n *described) *sizeOrdered {
	switch {
	case t == nil:
		return &sizeOrdered{node: n}
	case t.node == n:
	case before(n, t.node):
		t.left = t.left.add(n)
	default:
		t.right = t.right.add(n)
	}
	return t
}

func (t *sizeOrdered) names(dst []string) []string {
	if t == nil {
		return dst
	}
	return t.right.names(append(t.left.names(dst), t.node.Name))
}

// before tells whether a description lists a before b: the node with more below it comes first.
func before(a, b *described) bool {
	if a.size != b.size {
		return a.size > b.size
	}
	return a.Name < b.Name
}
