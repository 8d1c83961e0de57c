package assign

// place returns the member of each task of a sub-topology. Everyone gets exactly its quota.
func (p *problem) place(sub int, q *table) []int {
	to := make([]int, p.tasks[sub])
	need := make([]int32, len(p.members))
	for m := range need {
		need[m] = *q.at(sub, m) - *p.seated.at(sub, m)
	}
	// Members with too much let go of tasks: first of those that a member with room has state of.
	given := map[int32]bool{}
	for _, h := range p.holders[sub] {
		seat := p.seat[sub][h.partition]
		if seat >= 0 && seat != h.member && need[seat] < 0 && need[h.member] > 0 && !given[h.partition] {
			given[h.partition] = true
			need[seat]++
			need[h.member]--
			to[h.partition] = h.member
		}
	}
	for t, seat := range p.seat[sub] {
		switch {
		case given[int32(t)]:
		case seat == free:
			to[t] = free
		case need[seat] < 0:
			need[seat]++
			to[t] = free
		default:
			to[t] = seat
		}
	}
	for _, h := range p.holders[sub] {
		if to[h.partition] == free && need[h.member] > 0 {
			to[h.partition] = h.member
			need[h.member]--
		}
	}
	next := 0
	for t := range to {
		for to[t] == free {
			if need[next] > 0 {
				to[t] = next
				need[next]--
			} else {
				next++
			}
		}
	}
	return to
}
