package assign

import (
	"cmp"
	"slices"
)

// quotas is how many tasks of each sub-topology each member gets.
//
// First each sub-topology by itself: everyone gets its share rounded down, and what is left goes one by one to those who
// are to have (else have state of) more than that, so that as little as possible moves. Then, while a member's total is
// off its share by one or more, the member that is most over gives one to the member that is most under, in a sub-topology
// where the one is above its share and the other is not.
//
// With unequal workers there may be no such sub-topology, and the spread suffers. What comes out then need not be what
// comes out of itself, so that is tried until it is no better: the next assignment finds nothing to change (A3).
type quotas struct {
	*problem
	has, wished *table // what members are attached to
	n           *table
	floor       *table
	// off is a member's total minus its share, times the sum of all workers: a whole number.
	off []int64
}

func (p *problem) quotas() *table {
	n := p.seated
	if !p.settled() {
		n = p.fill(p.seated, p.wished)
	}
	nothing := newTable(p.shape, p.members)
	for cost := p.cost(n); cost > 0; {
		better := p.fill(n, nothing)
		next := p.cost(better)
		if next >= cost {
			break
		}
		n, cost = better, next
	}
	return n
}

// settled tells whether every task has a seat, and the totals are level.
func (p *problem) settled() bool {
	all := int64(0)
	for m, w := range p.weight {
		n := int64(0)
		for sub := range p.subs {
			n += int64(*p.seated.at(sub, m))
		}
		all += n
		if off := n*p.weights - p.total*w; off >= p.weights || off <= -p.weights {
			return false
		}
	}
	return all == p.total
}

// share is what a member gets of a sub-topology, rounded down.
func (p *problem) share(sub, m int) int32 {
	return int32(int64(p.tasks[sub]) * p.weight[m] / p.weights)
}

// cost is how far the spread of the sub-topologies is from shares rounded down or up.
func (p *problem) cost(n *table) (cost int) {
	for sub := range p.subs {
		for m := range p.members {
			above := *n.at(sub, m) - p.share(sub, m)
			cost += int(max(0, above-1, -above))
		}
	}
	return cost
}

func (p *problem) fill(has, wished *table) *table {
	q := &quotas{
		problem: p, has: has, wished: wished,
		n: newTable(p.shape, p.members), floor: newTable(p.shape, p.members), off: make([]int64, len(p.members)),
	}
	for m, w := range p.weight {
		q.off[m] = -p.total * w
	}
	for sub := range p.subs {
		for m := range p.members {
			*q.floor.at(sub, m) = p.share(sub, m)
			q.give(sub, m, p.share(sub, m))
		}
	}
	order := make([]int, 0, len(p.members))
	for sub := range p.subs {
		q.spread(sub, order)
	}
	q.level()
	return q.n
}

func (q *quotas) give(sub, m int, n int32) {
	*q.n.at(sub, m) += n
	q.off[m] += int64(n) * q.weights
}

// spread gives out what rounding down has left of a sub-topology: fewer tasks than there are members.
func (q *quotas) spread(sub int, order []int) {
	left := int(q.tasks[sub])
	order = order[:0]
	for m, w := range q.weight {
		left -= int(*q.n.at(sub, m))
		if w > 0 {
			order = append(order, m)
		}
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(
			cmp.Compare(q.claim(sub, b, 1), q.claim(sub, a, 1)),
			cmp.Compare(q.off[a], q.off[b]),
			cmp.Compare(a, b),
		)
	})
	for _, m := range order[:left] {
		q.give(sub, m, 1)
	}
}

// claim says how much a member is attached to its nth task beyond those it is given so far: 2 if it is to have that many, 1
// if it does together with those it has the best state of.
func (q *quotas) claim(sub, m int, nth int32) int {
	has, n := *q.has.at(sub, m), *q.n.at(sub, m)+nth
	switch {
	case has >= n:
		return 2
	case has+*q.wished.at(sub, m) >= n:
		return 1
	}
	return 0
}

// level moves single tasks until every total is off its share by less than one. Each move makes the sum of the squares of
// off smaller, so it ends.
func (q *quotas) level() {
	for {
		over, under := 0, 0
		for m, off := range q.off {
			if off > q.off[over] {
				over = m
			}
			if off < q.off[under] {
				under = m
			}
		}
		if q.off[over] < q.weights && q.off[under] > -q.weights {
			return
		}
		sub := q.cheapest(over, under)
		q.give(sub, over, -1)
		q.give(sub, under, 1)
	}
}

// cheapest returns the sub-topology in which a task goes over best: one that keeps the spread, then one in which nothing
// runs yet, or ran at the receiver.
func (q *quotas) cheapest(from, to int) int {
	best, bestSpread, bestGain := -1, int64(0), 0
	for sub := range q.subs {
		n, m := *q.n.at(sub, from), *q.n.at(sub, to)
		if n == 0 {
			continue
		}
		spread := int64(0)
		if n <= *q.floor.at(sub, from) || m > *q.floor.at(sub, to) {
			// How much farther the receiver gets from its share of the sub-topology than the giver; above 0 in any case.
			tasks := int64(q.tasks[sub])
			above := int64(n)*q.weights - tasks*q.weight[from]
			below := int64(m)*q.weights - tasks*q.weight[to]
			spread = max(1, below-above+2*q.weights)
		}
		gain := q.claim(sub, to, 1) - q.claim(sub, from, 0)
		if best < 0 || spread < bestSpread || spread == bestSpread && gain > bestGain {
			best, bestSpread, bestGain = sub, spread, gain
		}
	}
	return best
}
