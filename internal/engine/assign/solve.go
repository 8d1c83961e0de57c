package assign

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// Member is a member of the group as the decision sees it.
type Member struct {
	ID         string
	InstanceID string   // of a static member
	Process    [16]byte // of the app instance, kept on its disk
	Workers    int      // at least 1
	Owned      []record.TaskID
	Generation int32 // of Owned
	// Coming is what it was told is coming in the generation ComingOf.
	Coming   []record.TaskID
	ComingOf int32
	State    []TaskState // what its disk holds of stateful tasks
	Excluded bool        // gets nothing; what it owns it has to give up
}

// TaskState says how far the state of a task on a member's disk follows its changelogs.
type TaskState struct {
	Task record.TaskID
	Lag  int64 // records behind; negative: unknown
}

// Result is what one member gets.
type Result struct {
	Active []record.TaskID
	// Coming are the tasks that are meant for it and that another member has to give up first.
	Coming []record.TaskID
}

// Solve assigns every task, in the order of the given members. All of it but the error (of malformed sub-topologies) is
// total: claims of tasks that do not exist are void.
func Solve(subs []Sub, members []Member) ([]Result, error) {
	s, err := newShape(subs)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(members))
	if len(members) == 0 {
		return results, nil
	}
	order := make([]int, len(members))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return compareMembers(&members[a], &members[b]) })
	sorted := make([]*Member, len(members))
	for at, i := range order {
		sorted[at] = &members[i]
	}
	p := newProblem(s, sorted)
	if p.weights == 0 {
		return results, nil
	}
	q := p.quotas()
	for sub := range s.subs {
		for part, m := range p.place(sub, q) {
			id := record.TaskID{Sub: s.subs[sub].ID, Partition: int32(part)}
			r := &results[order[m]]
			if owner := p.owner[sub][part]; owner == free || owner == m {
				r.Active = append(r.Active, id)
			} else {
				r.Coming = append(r.Coming, id)
			}
		}
	}
	return results, nil
}

// compareMembers orders members by what outlives a restart.
func compareMembers(a, b *Member) int {
	return cmp.Or(
		cmp.Compare(a.InstanceID, b.InstanceID),
		bytes.Compare(a.Process[:], b.Process[:]),
		cmp.Compare(a.ID, b.ID),
	)
}

// Owners of a task that are no member.
const (
	free     = -1
	disputed = -2 // claimed by two of one generation: both must let go first
)

// problem is the input, indexed by sub-topology, partition and member.
type problem struct {
	*shape
	members []*Member
	weight  []int64 // workers; 0 for the excluded
	weights int64
	total   int64     // tasks
	owner   [][]int   // of each task: a member, or one of the above
	seat    [][]int   // of each task: the member it was meant for last; its owner's if it is not on its way; or free
	seated  *table    // how many tasks of a sub-topology are meant for a member
	wished  *table    // ... and how many that are free it has the best state of
	holders [][]state // of each sub-topology, by lag: who has state of its tasks
}

// state is a member's state of a task.
type state struct {
	partition int32
	member    int
	lag       uint64
}

func newProblem(s *shape, members []*Member) *problem {
	p := &problem{shape: s, members: members, seated: newTable(s, members), wished: newTable(s, members)}
	for i := range s.subs {
		p.total += int64(s.tasks[i])
		owners := make([]int, s.tasks[i])
		for t := range owners {
			owners[t] = free
		}
		p.owner = append(p.owner, owners)
	}
	for _, m := range members {
		w := int64(min(max(m.Workers, 1), maxWorkers))
		if m.Excluded {
			w = 0
		}
		p.weight = append(p.weight, w)
		p.weights += w
	}
	p.settleOwners()
	p.seatTasks()
	p.findHolders()
	return p
}

// settleOwners finds the owner of each task. Of two claims the one of the newer generation holds: who missed a generation
// has lost what it had.
func (p *problem) settleOwners() {
	generation := make([][]int32, len(p.subs))
	for i := range p.subs {
		generation[i] = make([]int32, p.tasks[i])
	}
	for m, member := range p.members {
		for _, id := range member.Owned {
			sub, ok := p.has(id)
			if !ok {
				continue
			}
			owner, gen := &p.owner[sub][id.Partition], &generation[sub][id.Partition]
			switch {
			case *owner == m:
			case *owner == free || member.Generation > *gen:
				*owner, *gen = m, member.Generation
			case member.Generation == *gen:
				*owner = disputed
			}
		}
	}
}

// seatTasks finds where each task was meant to be. What is on its way stays on its way: else each generation of a
// rebalance might have other plans.
func (p *problem) seatTasks() {
	newest := int32(-1)
	for _, m := range p.members {
		newest = max(newest, m.Generation)
	}
	for _, owners := range p.owner {
		seats := slices.Clone(owners)
		for t, m := range seats {
			if m == disputed {
				seats[t] = free
			}
		}
		p.seat = append(p.seat, seats)
	}
	for m, member := range p.members {
		if member.ComingOf != newest || member.Excluded {
			continue
		}
		for _, id := range member.Coming {
			if sub, ok := p.has(id); ok {
				p.seat[sub][id.Partition] = m
			}
		}
	}
	for sub, seats := range p.seat {
		for _, m := range seats {
			if m >= 0 {
				*p.seated.at(sub, m)++
			}
		}
	}
}

func (p *problem) findHolders() {
	p.holders = make([][]state, len(p.subs))
	for m, member := range p.members {
		for _, ts := range member.State {
			if sub, ok := p.has(ts.Task); ok && p.subs[sub].Stateful && !member.Excluded {
				// Unknown lags become the largest.
				p.holders[sub] = append(p.holders[sub], state{ts.Task.Partition, m, uint64(ts.Lag)})
			}
		}
	}
	for sub, held := range p.holders {
		slices.SortFunc(held, func(a, b state) int {
			return cmp.Or(cmp.Compare(a.lag, b.lag), cmp.Compare(a.partition, b.partition), cmp.Compare(a.member, b.member))
		})
		seen := make([]bool, p.tasks[sub])
		for _, h := range held {
			if !seen[h.partition] && p.seat[sub][h.partition] == free {
				*p.wished.at(sub, h.member)++
			}
			seen[h.partition] = true
		}
	}
}

// table holds a number per sub-topology and member.
type table struct {
	n       []int32
	members int
}

func newTable(s *shape, members []*Member) *table {
	return &table{make([]int32, len(s.subs)*len(members)), len(members)}
}

func (t *table) at(sub, member int) *int32 { return &t.n[sub*t.members+member] }
