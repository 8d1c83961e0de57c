package memstore

import "bytes"

// A tree is an immutable B+ tree of sorted keys. An edit builds a new tree that shares with the old one all nodes that it
// did not change, so a reader who holds a tree keeps a snapshot, and needs no lock.
//
// Nodes may become less than half full by deletes; they are removed when they are empty. So the height is bounded by what
// was ever in the tree at once, which is enough here.
type tree struct {
	root *node
	n    int // number of keys
}

const fanout = 64

// node is a leaf if kids is nil. In an inner node keys[i] is a lower bound of the keys below kids[i], and keys[0] is not
// looked at.
type node struct {
	owner *edit
	keys  [][]byte
	vals  [][]byte
	kids  []*node
}

// edit is one change of a tree. Nodes that it owns are not yet visible to anyone and are written in place.
type edit struct {
	cmp func(a, b []byte) int
	tree
}

func (t tree) edit(cmp func(a, b []byte) int) *edit { return &edit{cmp: cmp, tree: t} }

// done ends the edit. The nodes that it owned must not be written to any more, so the edit is not used again.
func (e *edit) done() tree { return e.tree }

func (t tree) get(cmp func(a, b []byte) int, key []byte) ([]byte, bool) {
	for n := t.root; n != nil; {
		i, eq := n.search(cmp, key)
		if n.kids == nil {
			if !eq {
				return nil, false
			}
			return n.vals[i], true
		}
		n = n.kids[i]
	}
	return nil, false
}

// search returns, in a leaf, the index of the first key that is not less than key, and whether it is equal; in an inner
// node the index of the child that may hold it.
func (n *node) search(cmp func(a, b []byte) int, key []byte) (i int, eq bool) {
	lo, hi := 0, len(n.keys)
	if n.kids != nil {
		lo = 1 // keys[0] bounds nothing
	}
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		c := cmp(n.keys[m], key)
		if c == 0 {
			return m, true
		}
		if c < 0 {
			lo = m + 1
		} else {
			hi = m
		}
	}
	if n.kids != nil {
		lo--
	}
	return lo, false
}

func (e *edit) own(n *node) *node {
	if n.owner == e {
		return n
	}
	c := &node{owner: e, keys: append(make([][]byte, 0, fanout+1), n.keys...)}
	if n.kids != nil {
		c.kids = append(make([]*node, 0, fanout+1), n.kids...)
	} else {
		c.vals = append(make([][]byte, 0, fanout+1), n.vals...)
	}
	return c
}

// set takes key and value as they are: they must not change afterwards.
func (e *edit) set(key, value []byte) {
	if e.root == nil {
		e.root = &node{owner: e, keys: [][]byte{key}, vals: [][]byte{value}}
		e.n = 1
		return
	}
	root, right := e.insert(e.root, key, value)
	if right != nil {
		root = &node{owner: e, keys: [][]byte{nil, right.least()}, kids: []*node{root, right}}
	}
	e.root = root
}

// insert returns the changed node, and the right half of it if it had to be split.
func (e *edit) insert(n *node, key, value []byte) (left, right *node) {
	n = e.own(n)
	i, eq := n.search(e.cmp, key)
	switch {
	case n.kids != nil:
		kid, more := e.insert(n.kids[i], key, value)
		n.kids[i] = kid
		if more != nil {
			n.keys = insertAt(n.keys, i+1, more.least())
			n.kids = insertAt(n.kids, i+1, more)
		}
	case eq:
		n.keys[i], n.vals[i] = key, value
	default:
		n.keys = insertAt(n.keys, i, key)
		n.vals = insertAt(n.vals, i, value)
		e.n++
	}
	if len(n.keys) <= fanout {
		return n, nil
	}
	return n, e.split(n)
}

func (e *edit) split(n *node) (right *node) {
	at := len(n.keys) / 2
	if n.kids == nil && len(n.keys) > 1 {
		// Keys that come in order fill a leaf, instead of leaving all leaves half empty.
		at = len(n.keys) - len(n.keys)/8
	}
	right = &node{owner: e, keys: append(make([][]byte, 0, fanout+1), n.keys[at:]...)}
	clear(n.keys[at:])
	n.keys = n.keys[:at]
	if n.kids != nil {
		right.kids = append(make([]*node, 0, fanout+1), n.kids[at:]...)
		clear(n.kids[at:])
		n.kids = n.kids[:at]
		return right
	}
	right.vals = append(make([][]byte, 0, fanout+1), n.vals[at:]...)
	clear(n.vals[at:])
	n.vals = n.vals[:at]
	return right
}

// least returns a copy of the lower bound of a node, so that a separator does not keep a dead value alive.
func (n *node) least() []byte { return bytes.Clone(n.keys[0]) }

// delete removes key and tells whether it was there.
func (e *edit) delete(key []byte) bool {
	if _, ok := e.get(e.cmp, key); !ok {
		return false
	}
	e.root = e.remove(e.root, key)
	for e.root != nil && len(e.root.kids) == 1 {
		e.root = e.root.kids[0]
	}
	e.n--
	return true
}

// remove returns the node without key, which it holds; nil if nothing is left.
func (e *edit) remove(n *node, key []byte) *node {
	n = e.own(n)
	i, _ := n.search(e.cmp, key)
	if n.kids == nil {
		n.keys, n.vals = removeAt(n.keys, i), removeAt(n.vals, i)
	} else if kid := e.remove(n.kids[i], key); kid != nil {
		n.kids[i] = kid
	} else {
		n.keys, n.kids = removeAt(n.keys, i), removeAt(n.kids, i)
	}
	if len(n.keys) == 0 {
		return nil
	}
	return n
}

// deleteRange removes [lower, upper), nil for no bound.
func (e *edit) deleteRange(lower, upper []byte) {
	if lower == nil && upper == nil {
		e.root, e.n = nil, 0
		return
	}
	var doomed [][]byte
	for c := newCursor(e.tree, e.cmp, lower, upper, false); c.next(); {
		doomed = append(doomed, c.key())
	}
	for _, k := range doomed {
		e.delete(k)
	}
}

func insertAt[T any](s []T, i int, v T) []T {
	var zero T
	s = append(s, zero)
	copy(s[i+1:], s[i:])
	s[i] = v
	return s
}

func removeAt[T any](s []T, i int) []T {
	copy(s[i:], s[i+1:])
	var zero T
	s[len(s)-1] = zero
	return s[:len(s)-1]
}
