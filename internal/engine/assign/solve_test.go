package assign

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
	"pgregory.net/rapid"
)

// tester is what *testing.T and *rapid.T share.
type tester interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// group plays the members of a group: what they own, and what is on their disks.
type group struct {
	t       tester
	subs    []Sub
	members []Member
	gen     int32
	born    int
	moved   int // tasks that changed from one living owner to another, or were taken from one
}

func (g *group) join(workers int) {
	g.born++
	m := Member{ID: fmt.Sprintf("m%d", g.born), Workers: workers}
	m.Process[0], m.Process[1] = byte(g.born>>8), byte(g.born)
	g.members = append(g.members, m)
}

// round assigns once and checks what must hold of every assignment. It tells whether nobody has to join again.
func (g *group) round() (settled bool) {
	g.t.Helper()
	results, err := Solve(g.subs, g.members)
	if err != nil {
		g.t.Fatal(err)
	}
	g.gen++
	before := map[record.TaskID]int{}
	for i, m := range g.members {
		for _, id := range m.Owned {
			before[id] = i
		}
	}
	settled = true
	after, meant := map[record.TaskID]int{}, map[record.TaskID]int{}
	for i, r := range results {
		for _, id := range r.Active {
			if o, twice := after[id]; twice {
				g.t.Fatalf("%v is given to %d and %d", id, o, i)
			}
			if o, owned := before[id]; owned && o != i {
				g.t.Fatalf("%v is given to %d while %d has it", id, i, o)
			}
			after[id] = i
			meant[id]++
		}
		for _, id := range r.Coming {
			meant[id]++
			settled = false
		}
	}
	all := 0
	for _, s := range g.subs {
		for p := range s.Tasks() {
			all++
			if meant[record.TaskID{Sub: s.ID, Partition: p}] != 1 {
				g.t.Fatalf("%d_%d is meant for %d members", s.ID, p, meant[record.TaskID{Sub: s.ID, Partition: p}])
			}
		}
	}
	if len(meant) != all {
		g.t.Fatalf("%d tasks are assigned, there are %d", len(meant), all)
	}
	for id, o := range before {
		if now, ok := after[id]; !ok || now != o {
			g.moved++
		}
	}
	for i := range g.members {
		m := &g.members[i]
		m.Owned, m.Generation, m.Coming, m.ComingOf = results[i].Active, g.gen, results[i].Coming, g.gen
	}
	g.balanced(results)
	return settled
}

// balanced checks A2 for what is meant, not only for what is already given.
func (g *group) balanced(results []Result) {
	g.t.Helper()
	weights, all := 0, 0
	equal := true
	for _, m := range g.members {
		weights += m.Workers
		equal = equal && m.Workers == g.members[0].Workers
	}
	for _, s := range g.subs {
		all += int(s.Tasks())
	}
	for i, r := range results {
		n, share := len(r.Active)+len(r.Coming), all*g.members[i].Workers
		if n < share/weights || n > (share+weights-1)/weights {
			g.t.Fatalf("member %d with %d of %d workers has %d of %d tasks", i, g.members[i].Workers, weights, n, all)
		}
	}
	if !equal {
		return
	}
	for _, s := range g.subs {
		least, most := int(s.Tasks()), 0
		for _, r := range results {
			n := 0
			for _, id := range slices.Concat(r.Active, r.Coming) {
				if id.Sub == s.ID {
					n++
				}
			}
			least, most = min(least, n), max(most, n)
		}
		if most-least > 1 {
			g.t.Fatalf("sub-topology %d: one member has %d tasks, another %d", s.ID, most, least)
		}
	}
}

// settle assigns until nothing is on its way.
func (g *group) settle() {
	g.t.Helper()
	for rounds := 1; ; rounds++ {
		if g.round() {
			return
		}
		if rounds == 3 {
			g.t.Fatalf("not settled after %d rounds", rounds)
		}
	}
}

func (g *group) resettle() (moved int) {
	g.t.Helper()
	g.moved = 0
	g.settle()
	return g.moved
}

func drawSubs(t *rapid.T, most int32) []Sub {
	var subs []Sub
	for i := range rapid.IntRange(1, 6).Draw(t, "subs") {
		s := Sub{ID: int32(i), Stateful: rapid.Bool().Draw(t, "stateful")}
		for j := range rapid.IntRange(1, 3).Draw(t, "topics") {
			s.Topics = append(s.Topics, Topic{fmt.Sprintf("t%d-%d", i, j), rapid.Int32Range(1, most).Draw(t, "partitions")})
		}
		subs = append(subs, s)
	}
	return subs
}

// Members come, go and crash, several at once, also before the last change is settled.
func TestMembersComeAndGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := &group{t: t, subs: drawSubs(t, 40)}
		uneven := rapid.Bool().Draw(t, "uneven")
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			for range rapid.IntRange(0, 3).Draw(t, "joins") {
				workers := 4
				if uneven {
					workers = rapid.IntRange(1, 16).Draw(t, "workers")
				}
				g.join(workers)
			}
			for range rapid.IntRange(0, 2).Draw(t, "leaves") {
				if len(g.members) > 0 {
					i := rapid.IntRange(0, len(g.members)-1).Draw(t, "who")
					g.members = slices.Delete(g.members, i, i+1)
				}
			}
			if len(g.members) == 0 {
				g.join(4)
			}
			if rapid.Bool().Draw(t, "settle") {
				g.settle()
				if moved := g.resettle(); moved != 0 {
					t.Fatalf("%d tasks move in a group in which nothing has changed", moved)
				}
			} else {
				g.round()
			}
		}
		g.settle()
	})
}

// With equal workers, nothing moves between members that stay, up to one task per sub-topology.
func TestStickiness(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := &group{t: t, subs: drawSubs(t, 60)}
		for range rapid.IntRange(1, 10).Draw(t, "members") {
			g.join(2)
		}
		g.settle()
		for range 8 {
			slack := len(g.subs)
			if len(g.members) > 1 && rapid.Bool().Draw(t, "leave") {
				i := rapid.IntRange(0, len(g.members)-1).Draw(t, "who")
				g.members = slices.Delete(g.members, i, i+1)
				if moved := g.resettle(); moved > slack {
					t.Fatalf("one left: %d tasks move between the others", moved)
				}
				continue
			}
			g.join(2)
			moved := g.resettle()
			if got := len(g.members[len(g.members)-1].Owned); moved > got+slack {
				t.Fatalf("one joined and got %d tasks: %d move", got, moved)
			}
		}
	})
}

// Claims of older generations are void against newer ones; two of one generation make both let go.
func TestClaimsOfOneTask(t *testing.T) {
	subs := []Sub{{ID: 0, Topics: []Topic{{"in", 2}}}}
	t0, t1 := record.TaskID{}, record.TaskID{Partition: 1}
	old := Member{ID: "a", Workers: 1, Owned: []record.TaskID{t0, t1}, Generation: 3}
	young := Member{ID: "b", Workers: 1, Owned: []record.TaskID{t0}, Generation: 4}
	for range 2 {
		results, err := Solve(subs, []Member{old, young})
		if err != nil || !slices.Equal(results[0].Active, []record.TaskID{t1}) || !slices.Equal(results[1].Active, []record.TaskID{t0}) {
			t.Fatalf("%+v, %v", results, err)
		}
	}
	young.Generation = 3
	results, err := Solve(subs, []Member{old, young})
	if err != nil || slices.Contains(results[0].Active, t0) || slices.Contains(results[1].Active, t0) {
		t.Fatalf("a disputed task is given away at once: %+v, %v", results, err)
	}
	if len(results[0].Coming)+len(results[1].Coming) != 1 {
		t.Fatalf("a disputed task is meant for nobody: %+v", results)
	}
	results, err = Solve(subs, []Member{{ID: "x", Workers: 1, Owned: []record.TaskID{{Sub: 9}, {Partition: 2}, {Partition: -1}, {Sub: -1}}}})
	if err != nil || len(results[0].Active) != 2 {
		t.Fatalf("claims of tasks that do not exist: %+v, %v", results, err)
	}
}

// The whole application restarts with new member ids: everyone gets what its disk has.
func TestStateIsFoundAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := &group{t: t, subs: drawSubs(t, 30)}
		for i := range g.subs {
			g.subs[i].Stateful = true
		}
		for range rapid.IntRange(1, 9).Draw(t, "members") {
			g.join(2)
		}
		g.settle()
		was := map[[16]byte][]record.TaskID{}
		for i := range g.members {
			m := &g.members[i]
			was[m.Process] = m.Owned
			for _, id := range m.Owned {
				m.State = append(m.State, TaskState{id, int64(rapid.IntRange(0, 100).Draw(t, "lag"))})
			}
			if i > 0 { // state that is old, of a task that another one has more of
				for _, id := range g.members[i-1].Owned {
					m.State = append(m.State, TaskState{id, -1})
				}
			}
			m.Owned, m.Generation, m.ID = nil, -1, fmt.Sprintf("reborn-%d", 100-i)
		}
		g.gen = -1
		g.members = rapid.Permutation(g.members).Draw(t, "order")
		g.settle()
		for _, m := range g.members {
			if !slices.Equal(m.Owned, was[m.Process]) {
				t.Fatalf("process %x had %v and gets %v", m.Process[:2], was[m.Process], m.Owned)
			}
		}
	})
}

// One instance is restarted: it gets back what it had, though the others have taken it over meanwhile.
func TestRestartedInstanceGetsItsTasksBack(t *testing.T) {
	g := &group{t: t, subs: []Sub{{ID: 0, Stateful: true, Topics: []Topic{{"a", 12}}}, {ID: 1, Stateful: true, Topics: []Topic{{"b", 12}}}}}
	for range 3 {
		g.join(2)
	}
	g.settle()
	gone := g.members[1]
	had := slices.Clone(gone.Owned)
	g.members = slices.Delete(g.members, 1, 2)
	g.settle()
	for _, id := range had {
		gone.State = append(gone.State, TaskState{id, 50})
	}
	gone.ID, gone.Owned, gone.Generation = "again", nil, -1
	g.members = append(g.members, gone)
	if moved := g.resettle(); moved != len(had) || !slices.Equal(g.members[2].Owned, had) {
		t.Fatalf("it had %v, it gets %v; %d tasks move", had, g.members[2].Owned, moved)
	}
}

func TestExcludedMembersGiveUpFirst(t *testing.T) {
	subs := []Sub{{ID: 0, Topics: []Topic{{"in", 4}}}}
	all := []record.TaskID{{}, {Partition: 1}, {Partition: 2}, {Partition: 3}}
	members := []Member{{ID: "a", Workers: 1, Excluded: true, Owned: all, Generation: 1}, {ID: "b", Workers: 1}}
	r, err := Solve(subs, members)
	if err != nil || len(r[0].Active)+len(r[0].Coming)+len(r[1].Active) != 0 || len(r[1].Coming) != 4 {
		t.Fatalf("%+v, %v", r, err)
	}
	members[0].Owned = nil
	if r, err = Solve(subs, members); err != nil || !slices.Equal(r[1].Active, all) {
		t.Fatalf("%+v, %v", r, err)
	}
	if r, err = Solve(subs, members[:1]); err != nil || len(r[0].Active)+len(r[0].Coming) != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
}

// Equal input gives equal output, whatever the order of the members.
func TestOrderOfMembersMatchesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := &group{t: t, subs: drawSubs(t, 20)}
		for range rapid.IntRange(2, 8).Draw(t, "members") {
			g.join(rapid.IntRange(1, 5).Draw(t, "workers"))
		}
		g.round()
		g.join(3)
		one, _ := Solve(g.subs, g.members)
		reversed := slices.Clone(g.members)
		slices.Reverse(reversed)
		two, _ := Solve(g.subs, reversed)
		slices.Reverse(two)
		if fmt.Sprint(one) != fmt.Sprint(two) {
			t.Fatalf("%v\n%v", one, two)
		}
	})
}

func TestMalformedShapes(t *testing.T) {
	for _, subs := range [][]Sub{
		{{ID: 1}, {ID: 1}}, {{ID: -1}}, {{ID: 0, Topics: []Topic{{"a", 1}}}, {ID: 1, Topics: []Topic{{"a", 1}}}},
	} {
		if _, err := Solve(subs, nil); err == nil {
			t.Errorf("%v: no error", subs)
		}
	}
	if r, err := Solve([]Sub{{ID: 3, Topics: []Topic{{"a", 0}}}}, []Member{{}}); err != nil || len(r[0].Active) != 0 {
		t.Errorf("a topic without partitions: %v, %v", r, err)
	}
}

// bigGroup has 1 000 members of three sizes and 10 000 tasks in 20 sub-topologies.
func bigGroup(t testing.TB) *group {
	g := &group{t: t}
	for i := range 20 {
		g.subs = append(g.subs, Sub{ID: int32(i), Stateful: i%2 == 0, Topics: []Topic{{fmt.Sprint("t", i), 500}}})
	}
	for i := range 1000 {
		g.join(2 + 3*(i%3))
	}
	return g
}

func TestAThousandMembers(t *testing.T) {
	g := bigGroup(t)
	start := time.Now()
	results, err := Solve(g.subs, g.members)
	took := time.Since(start)
	if err != nil || len(results) != 1000 {
		t.Fatal(err)
	}
	if took > time.Second {
		t.Errorf("the first assignment took %v", took)
	}
	g.settle()
	g.members = g.members[:900]
	start = time.Now()
	moved := g.resettle()
	t.Logf("10 000 tasks, 1 000 members: %v; 100 members left: %v with all checks, %d tasks moved between the others", took, time.Since(start), moved)
}

func BenchmarkSolve(b *testing.B) {
	g := bigGroup(b)
	g.settle()
	members := g.members[:990]
	for b.Loop() {
		if _, err := Solve(g.subs, members); err != nil {
			b.Fatal(err)
		}
	}
}
