package state

import "github.com/oxbow-streams/oxbow/internal/record"

// usage is a list of keys by their last use, undone with units. 0 is the end of the list and of the chain of spare nodes.
type usage struct {
	units *record.Units
	nodes []used            // nodes[0] is the head: its next is the oldest, its prev the newest
	at    map[string]uint32 // key → node
	spare []uint32
	log   []moved
}

type used struct {
	key        string
	prev, next uint32
}

// moved is an entry of the undo log: where a key was.
type moved struct {
	key   string
	after uint32 // the node before it
	was   bool   // it was in the list
}

func (u *usage) clear() {
	u.nodes, u.at, u.spare, u.log = []used{{}}, map[string]uint32{}, nil, nil
}

func (u *usage) len() int { return len(u.at) }

// oldest returns the key that was not used for the longest time. There is one.
func (u *usage) oldest() string { return u.nodes[u.nodes[0].next].key }

// append puts a key that is not in the list at its end, not to be undone.
func (u *usage) append(key string) { u.insert(key, u.nodes[0].prev) }

// use puts a key at the end of the list.
func (u *usage) use(key []byte) {
	n, was := u.at[string(key)]
	if was && u.nodes[0].prev == n {
		return
	}
	k := string(key)
	if was {
		k = u.nodes[n].key
	}
	u.note(k, n, was)
	if was {
		u.remove(k)
	}
	u.insert(k, u.nodes[0].prev)
}

// drop takes a key out of the list, if it is there.
func (u *usage) drop(key string) {
	if n, was := u.at[key]; was {
		u.note(key, n, true)
		u.remove(key)
	}
}

func (u *usage) note(key string, n uint32, was bool) {
	if len(u.log) == 0 {
		u.units.Touch(u)
	}
	m := moved{key: key, was: was}
	if was {
		m.after = u.nodes[n].prev
	}
	u.log = append(u.log, m)
}

func (u *usage) insert(key string, after uint32) {
	var n uint32
	if k := len(u.spare); k > 0 {
		n, u.spare = u.spare[k-1], u.spare[:k-1]
	} else {
		n = uint32(len(u.nodes))
		u.nodes = append(u.nodes, used{})
	}
	next := u.nodes[after].next
	u.nodes[n] = used{key, after, next}
	u.nodes[after].next, u.nodes[next].prev = n, n
	u.at[key] = n
}

func (u *usage) remove(key string) {
	n := u.at[key]
	node := u.nodes[n]
	u.nodes[node.prev].next, u.nodes[node.next].prev = node.next, node.prev
	u.nodes[n] = used{}
	u.spare = append(u.spare, n)
	delete(u.at, key)
}

// Mark is part of [record.Undoer].
func (u *usage) Mark() int { return len(u.log) }

// Undo is part of [record.Undoer]. Nodes are used again in the reverse order of their release, so that each number of a node in
// the log is that of the same key again when its entry is reached.
func (u *usage) Undo(mark int) {
	for n := len(u.log) - 1; n >= mark; n-- {
		m := u.log[n]
		if _, is := u.at[m.key]; is {
			u.remove(m.key)
		}
		if m.was {
			u.insert(m.key, m.after)
		}
	}
	clear(u.log[mark:])
	u.log = u.log[:mark]
}

// Release is part of [record.Undoer].
func (u *usage) Release() {
	clear(u.log)
	u.log = u.log[:0]
}
