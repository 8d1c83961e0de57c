package kafka

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// coordModel is a group coordinator as a broker has it (classic protocol): who is a member, when it answers what. It
// answers by calling reply, at once or when the group gets there.
type coordModel struct {
	rng       *rand.Rand
	session   time.Duration
	rebalance time.Duration

	state      string // empty, preparing, completing, stable
	generation int32
	leader     string
	members    map[string]*modelMember
	pending    map[string]bool // ids that were given out and not used yet
	deadline   time.Time       // of preparing and completing
	ids        int
	removed    map[string]int // members that were thrown out, by reason
}

type modelMember struct {
	id, instance string
	meta         []byte
	seen         time.Time
	join         func(groupJoined)
	sync         func(groupSynced)
	synced       bool
	joined       int32 // the generation it has last joined
	since        int32 // and from which on it has joined each
	assignment   []byte
}

func newCoordModel(rng *rand.Rand, session, rebalance time.Duration) *coordModel {
	return &coordModel{rng: rng, session: session, rebalance: rebalance, state: "empty", members: map[string]*modelMember{},
		pending: map[string]bool{}, removed: map[string]int{}}
}

func code(c Code) error { return &BrokerError{Code: c} }

func (c *coordModel) newID(instance string) string {
	c.ids++
	return fmt.Sprintf("%s-%d", instance, c.ids)
}

func (c *coordModel) byInstance(instance string) *modelMember {
	for _, m := range c.members {
		if instance != "" && m.instance == instance {
			return m
		}
	}
	return nil
}

func (c *coordModel) handleJoin(now time.Time, id, instance string, meta []byte, reply func(groupJoined)) {
	static := c.byInstance(instance)
	switch {
	case id == "" && instance == "":
		id = c.newID("")
		c.pending[id] = true
		reply(groupJoined{memberID: id, err: code(codeMemberIDRequired)})
		return
	case id == "" && static != nil:
		c.replace(now, static, meta, reply)
		return
	case id == "":
		c.add(now, &modelMember{id: c.newID(instance), instance: instance, meta: meta, seen: now, join: reply})
		return
	case static != nil && static.id != id:
		reply(groupJoined{err: code(codeFencedInstance)})
		return
	}
	m := c.members[id]
	switch {
	case m == nil && c.pending[id]:
		delete(c.pending, id)
		c.add(now, &modelMember{id: id, instance: instance, meta: meta, seen: now, join: reply})
	case m == nil:
		reply(groupJoined{err: code(codeUnknownMember)})
	default:
		same := bytes.Equal(m.meta, meta)
		m.meta, m.seen = meta, now
		switch {
		case c.state == "stable" && same && id != c.leader, c.state == "completing" && same:
			reply(c.joinAnswer(m))
		default:
			m.join = reply
			c.prepare(now)
			c.complete(now, false)
		}
	}
}

// replace lets a static member come back. A stable group does not notice.
func (c *coordModel) replace(now time.Time, old *modelMember, meta []byte, reply func(groupJoined)) {
	delete(c.members, old.id)
	wasLeader := c.leader == old.id
	if old.join != nil {
		old.join(groupJoined{err: code(codeFencedInstance)})
	}
	if old.sync != nil {
		old.sync(groupSynced{err: code(codeFencedInstance)})
	}
	m := &modelMember{id: c.newID(old.instance), instance: old.instance, meta: meta, seen: now, assignment: old.assignment, synced: old.synced}
	c.members[m.id] = m
	if wasLeader {
		c.leader = m.id
	}
	if c.state == "stable" {
		m.joined, m.since = c.generation, c.generation
		a := c.joinAnswer(m)
		a.skip = a.leader
		reply(a)
		return
	}
	m.join = reply
	c.prepare(now)
	c.complete(now, false)
}

func (c *coordModel) add(now time.Time, m *modelMember) {
	c.members[m.id] = m
	c.prepare(now)
	c.complete(now, false)
}

func (c *coordModel) prepare(now time.Time) {
	if c.state == "preparing" {
		return
	}
	c.state, c.deadline = "preparing", now.Add(c.rebalance)
	for _, m := range c.ordered() {
		if m.sync != nil {
			f := m.sync
			m.sync = nil
			m.seen = now
			f(groupSynced{err: code(codeRebalance)})
		}
	}
}

func (c *coordModel) ordered() []*modelMember {
	var ms []*modelMember
	for _, m := range c.members {
		ms = append(ms, m)
	}
	slices.SortFunc(ms, func(a, b *modelMember) int { return bytes.Compare([]byte(a.id), []byte(b.id)) })
	return ms
}

// complete ends the join phase when all have joined, or when it is late.
func (c *coordModel) complete(now time.Time, late bool) {
	if c.state != "preparing" {
		return
	}
	var joined []*modelMember
	for _, m := range c.ordered() {
		switch {
		case m.join != nil:
			joined = append(joined, m)
		case !late:
			return
		case m.instance == "":
			c.removed["late to rejoin"]++
			delete(c.members, m.id)
		}
	}
	if len(joined) == 0 {
		if len(c.members) == 0 {
			c.state = "empty"
			c.generation++
		} else {
			c.deadline = now.Add(c.rebalance)
		}
		return
	}
	c.generation++
	c.state, c.deadline = "completing", now.Add(c.rebalance)
	if l := c.members[c.leader]; l == nil || l.join == nil {
		c.leader = joined[0].id
	}
	for _, m := range c.ordered() {
		m.synced = false
	}
	for _, m := range joined {
		f := m.join
		if m.joined != c.generation-1 {
			m.since = c.generation
		}
		m.join, m.seen, m.joined = nil, now, c.generation
		f(c.joinAnswer(m))
	}
}

func (c *coordModel) joinAnswer(m *modelMember) groupJoined {
	a := groupJoined{memberID: m.id, generation: c.generation, leader: m.id == c.leader}
	if a.leader {
		for _, o := range c.ordered() {
			om, err := readSubscription(o.meta)
			if err != nil {
				panic(err)
			}
			om.ID, om.InstanceID = o.id, o.instance
			a.members = append(a.members, om)
		}
	}
	return a
}

// current tells whether a member takes part in the current generation. A static one that is late to rejoin stays a
// member, but what it said about itself is old, and it is told so at its next word.
func (c *coordModel) current(id string) bool {
	m := c.members[id]
	return m != nil && m.joined == c.generation
}

// holds tells whether a member still has what it was given in a generation: it has taken part in every one since then. One
// that has missed a generation and is back has lost it (G5), also while the answer that says so is on its way.
func (c *coordModel) holds(id string, given int32) bool {
	return c.current(id) && c.members[id].since <= given
}

// check finds the member that speaks, or why it may not.
func (c *coordModel) check(id, instance string, generation int32) (*modelMember, error) {
	if s := c.byInstance(instance); s != nil && s.id != id {
		return nil, code(codeFencedInstance)
	}
	m := c.members[id]
	switch {
	case m == nil:
		return nil, code(codeUnknownMember)
	case generation != c.generation:
		return nil, code(codeIllegalGeneration)
	}
	return m, nil
}

func (c *coordModel) handleSync(now time.Time, id, instance string, generation int32, plan map[string][]byte, reply func(groupSynced)) {
	m, err := c.check(id, instance, generation)
	if err != nil {
		reply(groupSynced{err: err})
		return
	}
	m.seen = now
	answer := func(m *modelMember) groupSynced {
		a, err := readAssignment(m.assignment)
		return groupSynced{assignment: a, err: err}
	}
	switch c.state {
	case "preparing":
		reply(groupSynced{err: code(codeRebalance)})
	case "stable":
		m.synced = true
		reply(answer(m))
	case "completing":
		m.sync, m.synced = reply, true
		if id != c.leader {
			return
		}
		c.state = "stable"
		for _, o := range c.ordered() {
			o.assignment = plan[o.id]
			if o.sync != nil {
				f := o.sync
				o.sync, o.seen = nil, now
				f(answer(o))
			}
		}
	}
}

func (c *coordModel) handleBeat(now time.Time, id, instance string, generation int32) error {
	m, err := c.check(id, instance, generation)
	if err != nil {
		return err
	}
	m.seen = now
	if c.state == "preparing" {
		return code(codeRebalance)
	}
	return nil
}

// handleCommit tells whether a commit is accepted.
func (c *coordModel) handleCommit(now time.Time, id, instance string, generation int32) error {
	m, err := c.check(id, instance, generation)
	if err != nil {
		return err
	}
	m.seen = now
	if c.state == "completing" {
		return code(codeRebalance)
	}
	return nil
}

func (c *coordModel) handleLeave(now time.Time, id string) {
	if c.members[id] != nil {
		c.remove(now, id, "left")
	}
	delete(c.pending, id)
}

func (c *coordModel) remove(now time.Time, id, reason string) {
	c.removed[reason]++
	delete(c.members, id)
	c.prepare(now)
	c.complete(now, false)
}

// tick lets time pass: sessions expire, phases end.
func (c *coordModel) tick(now time.Time) {
	expired := func(m *modelMember) bool { return m.join == nil && m.sync == nil && now.Sub(m.seen) > c.session }
	for _, one := range c.members {
		if !expired(one) {
			continue
		}
		for _, m := range c.ordered() { // in an order that does not hang on the map
			if expired(m) {
				c.remove(now, m.id, "session expired")
			}
		}
		break
	}
	if c.state == "preparing" && now.After(c.deadline) {
		c.complete(now, true)
	}
	if c.state == "completing" && now.After(c.deadline) {
		for _, m := range c.ordered() {
			if !m.synced {
				c.remove(now, m.id, "late to sync")
			}
		}
		c.deadline = now.Add(c.rebalance)
	}
}

func ownedBy(owned []record.TopicPartition, tp record.TopicPartition) bool {
	return slices.Contains(owned, tp)
}
